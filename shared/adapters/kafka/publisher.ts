/** Messages → topics through kafkajs: acks of all in-sync replicas, an idempotent session, one request in flight. */
import type { Kafka, Message, Producer, TopicMessages } from 'kafkajs'
import type { OutboundMessage } from '../../events/envelope.ts'
import { AfluenteError } from '../../engine/errors.ts'
import type { Publisher } from '../../ports/publisher.ts'
import { isTooLarge, isUnknownTopic, kafkaFault } from './faults.ts'
import { groupedAtOnce } from './grouped-messages.ts'
import { keyPartitioner } from './partitioner.ts'
import type { MakeTopics } from './new-topics.ts'
import { installProduceEncoding } from './produce-encoding.ts'

const ALL_REPLICAS = -1

export interface KafkaPublisherDeps {
  readonly kafka: Kafka
  /** Makes a topic that is not there; without it such a message is a fault, `misconfigured`. */
  readonly makeTopics?: MakeTopics
}

/** Keeps its connection from one `publish` to the next; after an error the next one opens a new session. */
export function kafkaPublisher({ kafka, makeTopics }: KafkaPublisherDeps): Publisher {
  let session: Promise<Producer> | null = null
  installProduceEncoding()

  const open = async (): Promise<Producer> => {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false, createPartitioner: keyPartitioner })
    try {
      await producer.connect()
      return producer
    } catch (error) {
      discard(producer)
      throw error
    }
  }
  const connected = (): Promise<Producer> => {
    const opening = (session ??= open())
    opening.catch(() => {
      if (session === opening) session = null
    })
    return opening
  }
  /** Resolves false when the broker finds something in it too large. */
  const send = async (messages: readonly OutboundMessage[]): Promise<boolean> => {
    const producer = await connected()
    try {
      await producer.sendBatch({ acks: ALL_REPLICAS, topicMessages: byTopic(messages) })
      return true
    } catch (error) {
      // Some partitions may have taken their part and others not: the session's sequence numbers can't be trusted any more.
      session = null
      discard(producer)
      if (isTooLarge(error)) return false
      throw error
    }
  }
  /** Halves what is refused until the culprits stand alone. Halves go one after the other, so the order of each key stays. */
  const sendOrFind = async (messages: readonly OutboundMessage[], first: number, signal: AbortSignal): Promise<readonly number[]> => {
    signal.throwIfAborted()
    if (await send(messages)) return []
    if (messages.length === 1) return [first]
    const middle = Math.ceil(messages.length / 2)
    const before = await sendOrFind(messages.slice(0, middle), first, signal)
    return [...before, ...(await sendOrFind(messages.slice(middle), first + middle, signal))]
  }

  /** One missing topic would hold up the events of all others. */
  const sendMaking = async (messages: readonly OutboundMessage[], signal: AbortSignal): Promise<readonly number[]> => {
    try {
      return await sendOrFind(messages, 0, signal)
    } catch (error) {
      if (makeTopics === undefined || !isUnknownTopic(error)) throw error
    }
    await makeTopics([...new Set(messages.map((message) => message.topic))], { signal })
    try {
      return await sendOrFind(messages, 0, signal)
    } catch (error) {
      if (!isUnknownTopic(error)) throw error
      throw new AfluenteError('unavailable', 'UNKNOWN_TOPIC_OR_PARTITION', 'publishing to Kafka: not every broker knows a topic yet that was just made.', {
        cause: error,
      })
    }
  }

  return {
    connect: ({ signal }) => guarded('connecting to Kafka', () => connected().then(ignore), signal),
    publish: async (messages, { signal }) => {
      if (messages.length === 0) return { tooLarge: [] }
      return { tooLarge: await guarded('publishing to Kafka', () => sendMaking(messages, signal), signal) }
    },
    close: async () => {
      const closing = session
      session = null
      await closing?.then((producer) => producer.disconnect()).catch(ignore)
    },
  }
}

/** kafkajs takes no signal: the caller is let go, and what was sent arrives or not, as a publish that throws says. */
async function guarded<T>(doing: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work(), promise])
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw kafkaFault(error, doing)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function byTopic(messages: readonly OutboundMessage[]): TopicMessages[] {
  const topics = new Map<string, Message[]>()
  for (const { headers, key, topic, value } of messages) {
    const message = { key, value, headers }
    const list = topics.get(topic)
    if (list === undefined) topics.set(topic, [message])
    else list.push(message)
  }
  return Array.from(topics, ([topic, list]) => ({ topic, messages: groupedAtOnce(list) }))
}

/** Ends a producer nobody uses any more. That it fails to say goodbye to a broker that is gone is no news. */
function discard(producer: Producer): void {
  producer.disconnect().catch(ignore)
}

function ignore(): void {}
