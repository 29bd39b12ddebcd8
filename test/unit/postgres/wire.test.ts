import { EventEmitter } from 'node:events'
import fc from 'fast-check'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { type RawRow, wholeMessages, wireOf } from '../../../shared/adapters/postgres/wire.ts'

/** A connection of the installed `pg`, on a stream that goes nowhere. */
function connected() {
  const written: Buffer[] = []
  const stream = Object.assign(new EventEmitter(), { writable: true, write: (data: Buffer) => written.push(Buffer.from(data)) })
  const connection = Object.assign(new pg.Connection(), { stream }) as pg.Connection & { stream: typeof stream; attachListeners(of: typeof stream): void }
  connection.attachListeners(stream)
  return { connection, stream, written }
}

const message = (kind: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5, kind)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** The stream, cut wherever. */
const cuts = (whole: Buffer, sizes: readonly number[]): Buffer[] => {
  const parts: Buffer[] = []
  let at = 0
  for (const size of [...sizes, whole.length]) {
    parts.push(Buffer.from(whole.subarray(at, at + size)))
    at += size
  }
  return parts.filter((part) => part.length > 0)
}

describe('what a server sends', () => {
  test('is passed on as whole messages, byte for byte, however it is cut', () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 })
    fc.assert(
      fc.property(bodies, fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 40 }), (sent, sizes) => {
        const whole = Buffer.concat(sent.map((body) => message('D', Buffer.from(body))))
        const passed: Buffer[] = []
        const take = wholeMessages((chunk) => {
          for (let at = 0; at < chunk.length;) {
            const end: number = at + 1 + chunk.readUInt32BE(at + 1)
            expect(end).toBeLessThanOrEqual(chunk.length)
            passed.push(Buffer.from(chunk.subarray(at, end)))
            at = end
          }
        })
        for (const part of cuts(whole, sizes)) take(part)
        expect(Buffer.concat(passed).equals(whole)).toBe(true)
      }),
    )
  })

  test('as a row goes to who asks for it as it is, and stays his when the next one comes; all else goes to pg', async () => {
    const { connection, stream } = connected()
    const told: string[] = []
    connection.on('commandComplete', () => told.push('complete'))
    connection.on('dataRow', () => told.push('row'))
    const wire = wireOf({ connection })
    const field = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text, 'latin1')])
    const row = (text: string) => message('D', Buffer.concat([Buffer.from([0, 2]), field(text), Buffer.from([255, 255, 255, 255])]))
    const rows: RawRow[] = []
    const sent = Buffer.concat([row('\xff\0 first'), row('other'), message('C', Buffer.from('SELECT 2\0'))])
    await wire?.rowsOf(
      async () => cuts(sent, [3, 9, 30]).forEach((part) => stream.emit('data', part)),
      (one) => rows.push(one),
    )
    expect(rows.map(([value, nothing]) => [value?.toString('latin1'), nothing])).toEqual([
      ['\xff\0 first', null],
      ['other', null],
    ])
    stream.emit('data', row('later'))
    expect(told).toEqual(['complete', 'row'])
  })
})

describe('parameters', () => {
  test('large ones are written byte for byte as pg writes them', () => {
    const values = ['é', null, Buffer.alloc(20_000, 7), '', undefined, Buffer.alloc(3, 1), 'x'.repeat(40_000)]
    const config = { portal: '', statement: 'etl-1', values, valueMapper: (value: unknown) => value ?? null } as unknown as Parameters<pg.Connection['bind']>[0]
    const [own, other] = [connected(), connected()]
    expect(wireOf({ connection: own.connection })).toBeDefined()
    for (const { connection } of [own, other]) for (let time = 0; time < 2; time += 1) connection.bind(config, false)
    expect(own.written).toHaveLength(2)
    expect(own.written.map((bytes) => bytes.toString('hex'))).toEqual(other.written.map((bytes) => bytes.toString('hex')))
  })
})

test('a connection that looks otherwise is left alone', () => {
  const { connection, stream } = connected()
  stream.on('data', () => undefined)
  const { bind } = connection
  expect(wireOf({ connection })).toBeUndefined()
  expect(connection.bind).toBe(bind)
  expect(wireOf({})).toBeUndefined()
})
