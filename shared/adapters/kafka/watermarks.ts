import type { Kafka } from 'kafkajs'
import type { Watermark, Watermarks } from '../../ports/watermarks.ts'

export interface KafkaWatermarksDeps {
  /** A new client a reading: it is connected, asked and closed. */
  readonly kafka: () => Kafka
  readonly faultOf: (error: unknown) => Error
}

/** Reads how far topics reach, over an admin connection of its own. */
export function kafkaWatermarks({ kafka, faultOf }: KafkaWatermarksDeps): Watermarks {
  return {
    read: async (topics, { signal }) => {
      const admin = kafka().admin({ retry: { retries: 1 } })
      const hangUp = () => void admin.disconnect().catch(() => undefined)
      signal.addEventListener('abort', hangUp, { once: true })
      try {
        await admin.connect()
        const ranges = await Promise.all(
          topics.map(async (topic) =>
            (await admin.fetchTopicOffsets(topic)).map((range): Watermark => ({
              topic,
              partition: range.partition,
              low: BigInt(range.low),
              high: BigInt(range.high),
            })),
          ),
        )
        return ranges.flat()
      } catch (error) {
        throw faultOf(error)
      } finally {
        signal.removeEventListener('abort', hangUp)
        hangUp()
      }
    },
  }
}
