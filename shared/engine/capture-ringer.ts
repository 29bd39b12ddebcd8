/** What a doorbell does in one isolate: one run a shard, told to look once more when it is rung while it works. */
import type { Log } from '../ports/log.ts'
import type { Ending } from './capture.ts'

export interface Ringer {
  /**
   * Starts a run for the shard, unless one is at work that will look again. The promise resolves when the work is done, for
   * `waitUntil`; it never rejects.
   */
  ring(shard: number): Promise<void>
  /** Starts a run that waits for the shard, whose holder is about to hand it over: also beside a run of this very isolate. */
  takeOver(shard: number): Promise<void>
}

export interface RingerDeps {
  /** One run; see `captureShard`. Never rejects. */
  readonly capture: (run: { readonly shard: number; readonly successor: boolean; readonly onLook: () => void }) => Promise<Ending>
  readonly log: Log
}

export function createRinger({ capture, log }: RingerDeps): Ringer {
  const atWork = new Map<number, { unheard: boolean; readonly done: Promise<void> }>()

  const start = (shard: number, successor: boolean): Promise<void> => {
    const work = { unheard: true, done: Promise.resolve() }
    const run = async () => {
      let first = true
      for (;;) {
        const ending = await capture({ shard, successor: successor && first, onLook: () => (work.unheard = false) })
        first = false
        // Between this question and the end nobody can ring: there is no await.
        if (ending !== 'idle' || !work.unheard) break
      }
      if (atWork.get(shard) === work) atWork.delete(shard)
    }
    work.done = run()
    atWork.set(shard, work)
    return work.done
  }

  return {
    ring: (shard) => {
      const working = atWork.get(shard)
      if (working === undefined) return start(shard, false)
      working.unheard = true
      log.info('capture.rung-again', { shard })
      return working.done
    },
    takeOver: (shard) => start(shard, true),
  }
}
