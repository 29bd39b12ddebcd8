import { pipeline } from '../../shared/pipeline.ts'
import { until } from './deadline.ts'
import { stackKafka } from './kafka-client.ts'
import type { Places } from './places.ts'
import type { Report } from './progress.ts'

const withinMs = 20_000

export interface ConsumersDeps {
  readonly places: Places
  readonly passOn: Readonly<Record<string, string>>
  readonly report: Report
  readonly signal: AbortSignal
}

/**
 * Waits until every continuous consumer of the definition has joined its group, so that the first row of a ready stack flows at once.
 * Says so and goes on when one takes long: after a hard kill the broker keeps the old members' places for a while.
 */
export async function awaitConsumers({ places, passOn, report, signal }: ConsumersDeps): Promise<void> {
  const groups = Object.entries(pipeline.consumers).flatMap(([name, { mode }]) => (mode === 'continuous' ? [`afluente.${name}`] : []))
  const admin = stackKafka(places.brokers, passOn).admin()
  report({ key: 'consumers', state: 'running', text: 'consumers joining' })
  try {
    await admin.connect()
    const joined = await until(async () => {
      if (signal.aborted) return true
      const described = await admin.describeGroups(groups)
      return described.groups.every((group) => group.state === 'Stable')
    }, withinMs)
    const text = joined
      ? `consumers joined: ${groups.join(', ')}`
      : `consumers have not joined within ${withinMs / 1000} s; they go on trying, see logs/worker.log`
    report({ key: 'consumers', state: joined ? 'done' : 'note', text })
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}
