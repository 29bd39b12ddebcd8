import { expect, test } from 'vitest'
import { createClaimReader } from '../../chaos/claims.ts'

const fenced = 'with fence as (select from ops.consumer_progress where consumer = $1 and topic = $2 and "partition" = $3 and epoch = $4) select 1'

/** Postgres' own form: a letter, the length with itself, the rest. A start-up message has no letter. */
function message(type: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)))
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function session(): Buffer {
  const values = ['postgres', 'a.topic', '3', '12', Buffer.from([0, 1, 2])].map((value) => Buffer.from(value as string))
  const bound = values.flatMap((value) => [int32(value.length), value])
  return Buffer.concat([
    message('', int32(80_877_103)),
    message('', int32(196_608), 'user', 'postgres', 'database', 'analytics', Buffer.from([0])),
    message('P', 'write', fenced, int16(0)),
    message('B', '', 'write', int16(values.length), ...values.map((_, at) => int16(at === 4 ? 1 : 0)), int16(values.length), ...bound, int16(0)),
    message('E', '', int32(0)),
    message('S'),
    message('Q', 'select 1'),
  ])
}

test.for([1, 7, 100_000])('reads the fence of a statement, whatever the pieces it comes in (%i bytes)', (size) => {
  const reader = createClaimReader(() => 5)
  const take = reader.open(4711)
  const bytes = session()
  for (let at = 0; at < bytes.length; at += size) take(bytes.subarray(at, at + size))
  expect(reader.statements).toEqual([
    { connection: 4711, atMs: 5, consumer: 'postgres', topic: 'a.topic', partition: 3, epoch: 12 },
    { connection: 4711, atMs: 5 },
  ])
})
