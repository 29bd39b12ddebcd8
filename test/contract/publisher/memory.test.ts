import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { memoryPublisher } from '../../../shared/adapters/memory/publisher.ts'
import { memoryTopics } from '../../../shared/adapters/memory/topics.ts'
import { publisherContract } from './suite.ts'

const topics = memoryTopics({ clock: memoryClock(), maxMessageBytes: 1_000_000 })
const publisher = memoryPublisher({ topics })

publisherContract(() => ({ publisher, makeTopic: async () => {}, read: async (topic) => topics.all(topic) }))
