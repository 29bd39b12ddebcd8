/** How old the records of a topic are, asked of Kafka's own index of times over an admin connection. */
import type { Admin, Kafka } from 'kafkajs'
import type { RecordAges } from '../../ports/purges.ts'

export interface RecordAgesDeps {
  /** A new client a question: it is connected, asked and closed. */
  readonly kafka: () => Kafka
  readonly faultOf: (error: unknown) => Error
}

/** What Kafka holds is younger than what it once held, so an answer is right for as long as anybody needs it, and only too early meanwhile. */
const PRECISION_MS = 3_600_000

export function kafkaRecordAges({ kafka, faultOf }: RecordAgesDeps): RecordAges {
  return {
    since: async (topic, untilMs, { signal }) => {
      const admin = kafka().admin({ retry: { retries: 1 } })
      const hangUp = () => void admin.disconnect().catch(() => undefined)
      signal.addEventListener('abort', hangUp, { once: true })
      try {
        await admin.connect()
        return await latestWithNothingBefore((ms) => holdsBefore(admin, topic, ms), untilMs)
      } catch (error) {
        throw faultOf(error)
      } finally {
        signal.removeEventListener('abort', hangUp)
        hangUp()
      }
    },
  }
}

/** Whether any partition begins with a record that was published before then. Where it begins is asked first: what is dropped between the two questions makes the answer yes. */
async function holdsBefore(admin: Admin, topic: string, ms: number): Promise<boolean> {
  const begins = await admin.fetchTopicOffsets(topic)
  const reached = new Map((await admin.fetchTopicOffsetsByTimestamp(topic, ms)).map(({ partition, offset }) => [partition, offset]))
  return begins.some(({ partition, low }) => reached.get(partition) !== low)
}

/** Steps back from `untilMs`, each twice as far, to where nothing is older; then halves what is left. */
async function latestWithNothingBefore(isBefore: (ms: number) => Promise<boolean>, untilMs: number): Promise<number> {
  if (!(await isBefore(untilMs))) return untilMs
  let held = untilMs
  let back = PRECISION_MS
  let free = untilMs - back
  for (; free > 0 && (await isBefore(free)); free = untilMs - back) {
    held = free
    back *= 2
  }
  free = Math.max(0, free)
  while (held - free > PRECISION_MS) {
    const middle = Math.floor((held + free) / 2)
    if (await isBefore(middle)) held = middle
    else free = middle
  }
  return free
}
