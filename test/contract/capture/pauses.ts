/** A capture that stands still: at a step of its way it is stopped, as the runtime may stop an isolate, and goes on later as if nothing had happened. */
import type { CaptureDeps } from '../../../shared/engine/capture.ts'
import type { Claim } from '../../../shared/ports/outbox.ts'
import type { CaptureBoundary } from '../../support/failpoints/boundaries.ts'
import { capturePublisherOf, outboxOf, successorOf } from '../../support/failpoints/ports.ts'

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

const asked: Readonly<Record<CaptureBoundary, Step>> = {
  'capture.connect': 'connect asked',
  'capture.claim': 'claim asked',
  'capture.claim-beside': 'claim asked',
  'capture.claim-again': 'claim asked',
  'capture.renew': 'renewal asked',
  'capture.publish': 'publish asked',
  'capture.publish-keys': 'publish asked',
  'capture.acknowledge': 'acknowledge asked',
  'capture.hand-over': 'successor asked',
  'capture.rest': 'sleep begun',
  'capture.release': 'release asked',
}

const answered: Readonly<Record<CaptureBoundary, (answer: unknown) => Step | null>> = {
  'capture.connect': () => null,
  'capture.claim': claimAnswered,
  'capture.claim-beside': claimAnswered,
  'capture.claim-again': claimAnswered,
  'capture.renew': (answer) => (isHeld(answer) ? 'renewal answered' : null),
  'capture.publish': () => 'publish answered',
  'capture.publish-keys': () => 'publish answered',
  'capture.acknowledge': () => 'acknowledge answered',
  'capture.hand-over': () => 'successor answered',
  'capture.rest': () => 'sleep ended',
  'capture.release': () => 'release answered',
}

function claimAnswered(answer: unknown): Step | null {
  if (!isHeld(answer)) return null
  return answer.changes.length > 0 ? 'claim answered with rows' : 'claim answered without'
}

function isHeld(answer: unknown): answer is Extract<Claim, { status: 'held' }> {
  return (answer as Claim).status === 'held'
}

/** The deps of one capture, each call of them a step. What was under way when it was stopped has its effect; its answer waits. */
export function pausable(deps: CaptureDeps, { pass }: Place): CaptureDeps {
  const call = async <T>(boundary: CaptureBoundary, work: () => Promise<T>): Promise<T> => {
    await pass(asked[boundary])
    const value = await work()
    const step = answered[boundary](value)
    if (step !== null) await pass(step)
    return value
  }
  const { clock, outbox, publisher, startSuccessor } = deps
  return {
    ...deps,
    outbox: outboxOf({ call }, outbox),
    publisher: capturePublisherOf({ call }, publisher),
    clock: { now: clock.now, sleep: (...of) => call('capture.rest', () => clock.sleep(...of)) },
    startSuccessor: successorOf({ call }, startSuccessor),
  }
}
