/**
 * A barrier through outbox, topic and sinks: resolves when each sink has shown that all that was committed before has gone through it. The
 * outbox has let go of every version drawn until then, so Kafka has them; what Kafka had then, each consumer has settled. A sink's progress is
 * written with, or after, what it settles.
 */
import type { Cancellable } from '../ports/cancellable.ts'
import type { Progress } from '../ports/control.ts'
import type { Drained } from '../ports/reconcile.ts'
import type { Watermark } from '../ports/watermarks.ts'
import { AfluenteError } from './errors.ts'
import type { ComparedTable, Persistently, ReconcileDeps } from './reconcile-deps.ts'

export interface BarrierDeps extends Pick<ReconcileDeps, 'outbox' | 'watermarks' | 'control' | 'clock'> {
  readonly of: ComparedTable
  readonly persistently: Persistently
  /** Told again and again while it waits: how many changes and records are left. */
  readonly onWait: (left: number) => Promise<void>
}

const LOOK_MS = { first: 20, most: 500 } as const
/** Nothing has moved for so long: the sweeps that find what a lost wake-up left come each minute. */
const PATIENCE_MS = 150_000

/** Throws `unavailable` where nothing moves any more, or the source began another life meanwhile. */
export async function passBarrier(deps: BarrierDeps, options: Cancellable): Promise<void> {
  const { clock, control, of, onWait, outbox, persistently, watermarks } = deps
  const patient = patience(deps)
  const { life, version } = sound(await persistently('drained', () => outbox.drained(null, options)), null)
  for (const waits = growing(); ; await clock.sleep(waits(), options)) {
    options.signal.throwIfAborted()
    const { left } = sound(await persistently('drained', () => outbox.drained(version, options)), life)
    if (left === 0) break
    patient(left, 'the outbox: see that the function capture runs and reaches Kafka')
    await onWait(left)
  }
  const before = await persistently('progress', () => control.progress(options))
  const ends = await persistently('watermarks', () => watermarks.read([of.topic], options))
  assertSameTopic(of, before, ends)
  for (const waits = growing(); ; await clock.sleep(waits(), options)) {
    options.signal.throwIfAborted()
    const behind = leftOf(of, await persistently('progress', () => control.progress(options)), ends)
    const left = behind.reduce((sum, { records }) => sum + records, 0n)
    if (left === 0n) return
    patient(Number(left), `the consumer ${[...new Set(behind.map(({ consumer }) => consumer))].join(', ')}: npx afluente status says how it fares`)
    await onWait(Number(left))
  }
}

function sound(drained: Drained, life: string | null): Drained {
  if (drained.refused !== null) throw new AfluenteError('unavailable', 'refused', `Capture stands still: ${drained.refused}`)
  if (life !== null && drained.life !== life)
    throw new AfluenteError('unavailable', 'another-life', 'The source was restarted, and what waits has other versions now: reconcile again.')
  return drained
}

function leftOf({ consumers, topic }: ComparedTable, progress: readonly Progress[], ends: readonly Watermark[]) {
  return consumers.flatMap((consumer) =>
    ends.flatMap(({ high, low, partition }) => {
      const next = nextOf(progress, consumer, topic, partition)
      const from = next > low ? next : low
      return high > from ? [{ consumer, records: high - from }] : []
    }),
  )
}

/** Progress never goes back. So where a topic was made anew, it says nothing until the topic has grown past it. */
function assertSameTopic({ consumers, topic }: ComparedTable, progress: readonly Progress[], ends: readonly Watermark[]): void {
  for (const consumer of consumers)
    for (const { high, partition } of ends)
      if (nextOf(progress, consumer, topic, partition) > high)
        throw new AfluenteError(
          'unavailable',
          'topic-anew',
          `${topic} was made anew and has fewer records than the consumer ${consumer} had settled of the old one, so nobody can tell what it has settled of this one. ` +
            'Reconcile again when the topic has grown past it, or give the consumer another name.',
        )
}

function nextOf(progress: readonly Progress[], consumer: string, topic: string, partition: number): bigint {
  return BigInt(progress.find((one) => one.consumer === consumer && one.topic === topic && one.partition === partition)?.nextOffset ?? '0')
}

function growing(): () => number {
  let next = LOOK_MS.first / 2
  return () => (next = Math.min(LOOK_MS.most, next * 2))
}

/** Throws when what is left has not changed for too long. */
function patience({ clock }: BarrierDeps): (left: number, where: string) => void {
  let seen = { left: -1, where: '', sinceMs: clock.now() }
  return (left, where) => {
    if (seen.left !== left || seen.where !== where) seen = { left, where, sinceMs: clock.now() }
    else if (clock.now() - seen.sinceMs > PATIENCE_MS)
      throw new AfluenteError('unavailable', 'barrier', `Nothing was judged, for ${left} change(s) stay in ${where}.`)
  }
}
