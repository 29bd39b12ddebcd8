import { createRequire } from 'node:module'
import type { Message } from 'kafkajs'
import { expect, test } from 'vitest'
import { groupedAtOnce } from '../../../shared/adapters/kafka/grouped-messages.ts'

type GroupPerPartition = (of: {
  readonly topic: string
  readonly partitionMetadata: readonly unknown[]
  readonly messages: readonly Message[]
  readonly partitioner: (of: { readonly message: Message }) => number
}) => Readonly<Record<string, readonly Message[]>>

const theirs = createRequire(import.meta.url)('kafkajs/src/producer/groupMessagesPerPartition.js') as GroupPerPartition

function messages(): Message[] {
  return Array.from({ length: 50 }, (_, index) => ({ key: `k${index}`, value: `v${index}` }))
}

const partitioner = ({ message }: { readonly message: Message }) => Number(String(message.key).slice(1)) % 7

test('kafkajs makes the same groups of it, in the same order', () => {
  const group = (list: readonly Message[]) => theirs({ topic: 't', partitionMetadata: [{}], messages: list, partitioner })
  expect(group(groupedAtOnce(messages()))).toEqual(group(messages()))
})

test('no group is copied for a message that comes to it', () => {
  let most = 0
  const groups = groupedAtOnce(messages()).reduce((into: Readonly<Record<string, readonly Message[]>>, message: Message) => {
    most = Math.max(most, ...Object.values(into).map(({ length }) => length), 0)
    return { ...into, 0: [...(into[0] ?? []), message] }
  }, {})
  expect({ most, grouped: groups[0]?.length }).toEqual({ most: 0, grouped: 50 })
})
