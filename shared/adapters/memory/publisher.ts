import { sizeOf } from '../../events/envelope.ts'
import type { Publisher } from '../../ports/publisher.ts'
import type { MemoryTopics } from './topics.ts'

/** Publishes to topics in memory. */
export function memoryPublisher({ topics }: { readonly topics: MemoryTopics }): Publisher {
  return {
    connect: async ({ signal }) => signal.throwIfAborted(),
    publish: async (messages, { signal }) => {
      signal.throwIfAborted()
      const tooLarge: number[] = []
      for (const [index, message] of messages.entries()) {
        if (sizeOf(message) > topics.maxMessageBytes) tooLarge.push(index)
        else topics.append(message)
      }
      return { tooLarge }
    },
    close: async () => {},
  }
}
