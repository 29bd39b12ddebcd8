/** A capture that stands still: at a step of its way it is stopped, as the runtime may stop an isolate, and goes on later as if nothing had happened. */
import type { CaptureDeps } from '../../../shared/engine/capture.ts'
import type { Claim } from '../../../shared/ports/outbox.ts'

/** Every point at which capture waits for the world, before the call has its effect and after. */
export const steps = [
  'connect asked',
  'claim asked',
  'claim answered with rows',
  'claim answered without',
  'renewal asked',
  'renewal answered',
  'publish asked',
  'publish answered',
  'acknowledge asked',
  'acknowledge answered',
  'successor asked',
  'successor answered',
  'sleep begun',
  'sleep ended',
  'release asked',
  'release answered',
] as const
export type Step = (typeof steps)[number]

/** Where a pause finds a capture that holds its shard, so that somebody else must take it over meanwhile. */
export const holding: ReadonlySet<Step> = new Set<Step>([
  'claim answered with rows',
  'renewal answered',
  'publish asked',
  'publish answered',
  'acknowledge asked',
  'acknowledge answered',
  'release asked',
])

export interface Place {
  readonly name: string
  /** The shard it works on. */
  shard: number
  /** Called at each step; resolves when the capture may go on. */
  pass(step: Step): Promise<void>
  /** How long it stood still, in all. */
  readonly pausedMs: number
}

export interface PlaceDeps {
  readonly name: string
  /** True when a capture has to stop at this very step. */
  readonly due: (step: Step, place: Place) => Promise<void> | null
}

export function createPlace({ due, name }: PlaceDeps): Place {
  let pause: Promise<void> | null = null
  let pausedMs = 0
  const place: Place = {
    name,
    shard: 0,
    get pausedMs() {
      return pausedMs
    },
    pass: async (step) => {
      if (pause === null) {
        pause = due(step, place)
        if (pause !== null) {
          const began = Date.now()
          void pause.then(() => {
            pausedMs += Date.now() - began
            pause = null
          })
        }
      }
      while (pause !== null) await pause
    },
  }
  return place
}

/** The deps of one capture, each call of them a step. What was under way when it was stopped has its effect; its answer waits. */
export function pausable(deps: CaptureDeps, { pass }: Place): CaptureDeps {
  const call = async <T>(asked: Step, work: () => Promise<T>, answered: (value: T) => Step | null): Promise<T> => {
    await pass(asked)
    const value = await work()
    const step = answered(value)
    if (step !== null) await pass(step)
    return value
  }
  const { clock, outbox, publisher, startSuccessor } = deps
  return {
    ...deps,
    outbox: {
      ...outbox,
      claim: (request, options) => {
        const renewal = request.floor === Number.MAX_SAFE_INTEGER
        const answered = (claim: Claim): Step | null => {
          if (claim.status !== 'held') return null
          if (renewal) return 'renewal answered'
          return claim.changes.length > 0 ? 'claim answered with rows' : 'claim answered without'
        }
        return call(renewal ? 'renewal asked' : 'claim asked', () => outbox.claim(request, options), answered)
      },
      acknowledge: (...of) =>
        call(
          'acknowledge asked',
          () => outbox.acknowledge(...of),
          () => 'acknowledge answered',
        ),
      release: (...of) =>
        call(
          'release asked',
          () => outbox.release(...of),
          () => 'release answered',
        ),
    },
    publisher: {
      ...publisher,
      connect: (options) =>
        call(
          'connect asked',
          () => publisher.connect(options),
          () => null,
        ),
      publish: (...of) =>
        call(
          'publish asked',
          () => publisher.publish(...of),
          () => 'publish answered',
        ),
    },
    clock: {
      now: clock.now,
      sleep: (...of) =>
        call(
          'sleep begun',
          () => clock.sleep(...of),
          () => 'sleep ended',
        ),
    },
    startSuccessor: (...of) =>
      call(
        'successor asked',
        () => startSuccessor(...of),
        () => 'successor answered',
      ),
  }
}
