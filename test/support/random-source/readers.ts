/** Captures as they come and go: claims that go into a log as Kafka would hold it, acknowledgements, pauses past the lease. */
import type { Random } from './random.ts'
import { acknowledge, claim, type ClaimedRow, type Session } from '../source.ts'

export interface LoggedEvent {
  readonly version: number
  readonly table: string
  readonly key: string
  readonly op: string
  readonly before: string | null
  readonly after: string | null
}

export interface Readers {
  /** Every event that was published, however often, under its version. */
  readonly log: ReadonlyMap<number, LoggedEvent>
  /** One shard, one reader, one claim; sometimes one that is paused past its lease and comes back. Throws on what must not be. */
  turn(): Promise<void>
  /** Another number of shards, in the midst of it all; it may be refused by a lock. */
  reshard(): Promise<void>
  /** Reads on until the outbox is empty. */
  drain(): Promise<void>
}

export interface ReaderDeps {
  readonly session: Session
  /** May change the leases, as the clock would. */
  readonly clock: Session
  readonly random: Random
  readonly shards: number
}

export function createReaders({ session, clock, random, shards: initialShards }: ReaderDeps): Readers {
  const log = new Map<number, LoggedEvent>()
  const floors = new Map<number, number>()
  let shards = initialShards
  const owners = ['first', 'second', 'third']

  const publish = (rows: readonly ClaimedRow[]) => {
    for (const [version, table, , key, op, before, after, , , oversized] of rows) {
      const event = { version, table, key, op, before, after }
      const former = log.get(version)
      if (oversized !== null) throw new Error(`The change ${version} of ${table} came as oversized`)
      if (former !== undefined && JSON.stringify(former) !== JSON.stringify(event))
        throw new Error(`Version ${version} was two changes: ${JSON.stringify(former)} and ${JSON.stringify(event)}`)
      log.set(version, event)
    }
  }
  const take = async (owner: string, shard: number, rows: number, floor = 0) => {
    const claimed = await claim(session, owner, { shard, lease: '1 hour', max_rows: rows, floor })
    if (claimed.status === 'refused') throw new Error(`The claim was refused: ${claimed.reason}`)
    if (claimed.status === 'held') floors.set(shard, Math.max(floors.get(shard) ?? 0, ...claimed.rows.map(([version]) => version)))
    return claimed.status === 'held' ? claimed : undefined
  }
  const expire = (shard: number) => clock.run('update afluente.shards set leased_until = clock_timestamp() where shard = $1', [shard])
  const settle = async (shard: number, epoch: number, rows: readonly ClaimedRow[]) => {
    const answer = (await acknowledge(
      session,
      epoch,
      rows.map(([version]) => version),
      shard,
    )) as { status: string; deleted?: number }
    if (answer.status !== 'done' || answer.deleted !== rows.length)
      throw new Error(`${rows.length} changes of shard ${shard} were acknowledged by their holder: ${JSON.stringify(answer)}`)
  }

  const turn = async () => {
    const shard = random.below(shards)
    const owner = random.pick(owners)
    const rows = 1 + random.below(30)
    const kind = random.below(10)
    // A change with a lower version may commit late: that is what looks from the bottom are for.
    const floor = random.chance(0.5) ? (floors.get(shard) ?? 0) : 0
    if (kind < 3) await expire(shard)
    const claimed = await take(owner, shard, rows, floor)
    if (claimed === undefined) return
    if (kind === 9) {
      // Paused with its rows in hand, before or after it published them; somebody else goes on meanwhile.
      const published = random.chance(0.5)
      if (published) publish(claimed.rows)
      await expire(shard)
      const successor = await take(`successor of ${owner}`, shard, rows)
      if (successor === undefined) throw new Error(`Shard ${shard} is still held after its lease`)
      publish(successor.rows)
      if (random.chance(0.5)) await settle(shard, successor.epoch, successor.rows)
      if (!published) publish(claimed.rows)
      const versions = claimed.rows.map(([version]) => version)
      const answer = JSON.stringify(await acknowledge(session, claimed.epoch, versions, shard))
      if (answer !== JSON.stringify({ status: 'fenced', epoch: successor.epoch }))
        throw new Error(`A paused reader's acknowledgement was answered with ${answer}`)
      return
    }
    publish(claimed.rows)
    // Crashed before it could acknowledge, or in the midst of it.
    if (kind === 8) return
    await settle(shard, claimed.epoch, kind === 7 ? claimed.rows.slice(0, 3) : claimed.rows)
  }

  return {
    log,
    turn,
    reshard: async () => {
      const wanted = random.pick([1, 4, 8])
      try {
        await clock.run(`set statement_timeout = '25ms'; select afluente.set_shards(${wanted})`)
      } catch {
        // Somebody's open transaction has written into the outbox.
        return
      } finally {
        await clock.run('set statement_timeout = default')
      }
      floors.clear()
      shards = wanted
    },
    drain: async () => {
      for (let shard = 0; shard < shards; shard += 1) {
        await expire(shard)
        for (;;) {
          const claimed = await take('last', shard, 1000)
          if (claimed === undefined) throw new Error(`Shard ${shard} can't be had`)
          if (claimed.rows.length === 0) break
          publish(claimed.rows)
          await settle(shard, claimed.epoch, claimed.rows)
        }
      }
    },
  }
}
