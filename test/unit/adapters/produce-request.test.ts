import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { installProduceEncoding } from '../../../shared/adapters/kafka/produce-encoding.ts'

// What kafkajs itself sends is the measure: of its own modules, asked before anything is installed.
interface Made {
  readonly request: object
  readonly response: { readonly decode: (raw: Buffer) => Promise<unknown> }
}
type CreateRequest = (of: object) => Promise<{ readonly buffer: Buffer }>
type Protocol = (of: { readonly version: number }) => (of: object) => Made
const load = async <T>(path: string): Promise<T> => ((await import(path)) as { readonly default: T }).default
const createRequest = await load<CreateRequest>('kafkajs/src/protocol/request.js')
const produce = await load<{ readonly protocol: Protocol }>('kafkajs/src/protocol/requests/produce/index.js')
const theirs = produce.protocol

interface Sent {
  readonly clientId: string
  readonly messages: number
  readonly unit: string
}

const cases: readonly Sent[] = [
  { clientId: 'afluente-capture', messages: 3, unit: 'x' },
  { clientId: 'afluente-capture', messages: 400, unit: '語é' },
  { clientId: 'afluente-capture', messages: 2, unit: 'y' },
  { clientId: 'longer than the room before a body '.repeat(8), messages: 5, unit: 'z' },
]

function made({ messages, unit }: Sent, protocol: Protocol): Made {
  const list = Array.from({ length: messages }, (_, n) => ({ key: `["${n}"]`, value: unit.repeat(n), headers: { ce_id: `${unit}:${n}` } }))
  return protocol({ version: 7 })({
    acks: -1,
    timeout: 30_000,
    producerId: 7,
    producerEpoch: 2,
    topicData: [{ topic: 't', partitions: [{ partition: 1, firstSequence: 5, messages: list }] }],
  })
}

async function bytesOf({ request }: Made, { clientId }: Sent): Promise<Buffer> {
  return Buffer.from((await createRequest({ correlationId: 9, clientId, request })).buffer)
}

/** The broker's answer: no topics, no throttling. */
const answer = Buffer.alloc(8)
let expected: readonly Buffer[] = []
let installed = false

beforeAll(async () => {
  vi.useFakeTimers({ now: 1_763_834_400_000, toFake: ['Date'] })
  expected = await Promise.all(cases.map(async (sent) => bytesOf(made(sent, theirs), sent)))
  installed = installProduceEncoding()
})
afterAll(() => {
  vi.useRealTimers()
})

test('a request has the very bytes that kafkajs sends, also in a storage that was used before', async () => {
  expect(installed && produce.protocol !== theirs).toBe(true)
  for (const [nth, sent] of [...cases.entries(), ...cases.entries()]) {
    const one = made(sent, produce.protocol)
    expect(Buffer.compare(await bytesOf(one, sent), expected[nth] ?? Buffer.alloc(0))).toBe(0)
    await one.response.decode(answer)
  }
})

test('what was not answered is not written over', async () => {
  const [first, second] = [cases[1], cases[0]]
  if (first === undefined || second === undefined) throw new Error('there are no cases')
  const lying = (await createRequest({ correlationId: 9, clientId: first.clientId, request: made(first, produce.protocol).request })).buffer
  await bytesOf(made(second, produce.protocol), second)
  expect(Buffer.compare(lying, expected[1] ?? Buffer.alloc(0))).toBe(0)
})
