/**
 * A consumer group in memory: who holds which partition under which generation, and the committed offsets. As in Kafka,
 * a commit under an old generation is refused, and a group without an offset begins at the earliest record.
 */
export interface Assignment {
  readonly generation: string
  readonly partitions: readonly Place[]
  /** Aborts when the group gives its partitions anew. */
  readonly revoked: AbortSignal
}

export interface Place {
  readonly topic: string
  readonly partition: number
}

export interface Member {
  /** What this member holds now; null once the group has thrown it out. */
  assignment(): Assignment | null
  /** Where reading begins: the committed offset, or 0. */
  position(place: Place): number
  /** False when the generation has passed: nothing was committed then. */
  commit(assignment: Assignment, place: Place, nextOffset: number): Promise<boolean>
  leave(): void
}

export interface MemoryGroup {
  join(topics: readonly string[], name?: string): Member
  /** Throws out the members of that name, as when they were silent for too long. They learn of it only when they ask. */
  expire(name: string): void
  /** Gives the partitions anew, as when a member comes or goes. */
  rebalance(): void
  committed(place: Place): number | null
}

interface Seat {
  readonly name: string
  readonly topics: readonly string[]
  assignment: Assignment | null
  revoke: AbortController
  /** Only a member that is still in the group hears of a rebalance. */
  present: boolean
}

export function memoryGroup({ partitions }: { readonly partitions: number }): MemoryGroup {
  const offsets = new Map<string, number>()
  let seats: readonly Seat[] = []
  let generation = 0

  const rebalance = () => {
    generation += 1
    for (const [index, seat] of seats.entries()) {
      seat.revoke.abort(new Error('The group gave its partitions anew.'))
      seat.revoke = new AbortController()
      const places = seat.topics.flatMap((topic) => Array.from({ length: partitions }, (_, partition) => ({ topic, partition })))
      seat.assignment = {
        generation: `${generation}/${index}`,
        partitions: places.filter((_, at) => at % seats.length === index),
        revoked: seat.revoke.signal,
      }
    }
  }

  const leave = (seat: Seat) => {
    if (!seat.present) return
    seat.present = false
    seats = seats.filter((other) => other !== seat)
    rebalance()
  }

  return {
    join: (topics, name = '') => {
      const seat: Seat = { name, topics, assignment: null, revoke: new AbortController(), present: true }
      seats = [...seats, seat]
      rebalance()
      return {
        assignment: () => (seat.present ? seat.assignment : null),
        position: ({ topic, partition }) => offsets.get(`${topic}:${partition}`) ?? 0,
        commit: async (assignment, { topic, partition }, nextOffset) => {
          if (!seat.present || seat.assignment !== assignment) return false
          offsets.set(`${topic}:${partition}`, nextOffset)
          return true
        },
        leave: () => leave(seat),
      }
    },
    expire: (name) => {
      for (const seat of seats) if (seat.name === name) leave(seat)
    },
    rebalance,
    committed: ({ topic, partition }) => offsets.get(`${topic}:${partition}`) ?? null,
  }
}
