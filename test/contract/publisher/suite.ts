/** What every publisher promises, on the twin and on the real thing. */
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decode, encode, type LogRecord, type OutboundMessage } from '../../../shared/events/envelope.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'

export interface PublisherSubject {
  readonly publisher: Publisher
  /** Makes a topic of 4 partitions that takes messages up to `maxMessageBytes`. */
  makeTopic(name: string, maxMessageBytes: number): Promise<void>
  /** Everything that stands on a topic, each partition in order. */
  read(topic: string, count: number): Promise<readonly LogRecord[]>
}

const signal = new AbortController().signal
const LARGEST = 1_000_000

export function publisherContract(subject: () => PublisherSubject): void {
  const topic = async () => {
    const name = `publisher-${randomUUID()}`
    await subject().makeTopic(name, LARGEST)
    return name
  }
  const message = (to: string, key: string, value: string, headers: Readonly<Record<string, string>> = {}): OutboundMessage => ({
    topic: to,
    key,
    value,
    headers,
  })

  describe('a publisher', () => {
    test('writes key, value and headers as they are', async () => {
      const to = await topic()
      const change = {
        version: 9_007_199_254_740_991,
        table: 'public.leads',
        topic: to,
        key: '["ção 語 🦀"]',
        op: 'insert',
        before: null,
        after: '{"n": 1e400, "x": "\\u0000 é", "n": 9007199254740993}',
        occurredAt: '2026-11-22T18:00:00.123456Z',
        traceparent: null,
      } as const
      const sent = encode(change, {
        ref: 'local',
        claimedAt: '2026-11-22T18:00:00.200Z',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      })
      expect(await subject().publisher.publish([sent], { signal })).toEqual({ tooLarge: [] })
      const [record] = await subject().read(to, 1)
      expect(record).toMatchObject({ key: sent.key, value: sent.value })
      expect(Object.fromEntries(Object.entries(record?.headers ?? {}).map(([name, value]) => [name, String(value)]))).toEqual(sent.headers)
      expect(record === undefined ? null : decode(record)).toMatchObject({ ok: true, event: { version: change.version, after: change.after } })
    })

    test('any text comes back the same', async () => {
      const to = await topic()
      const text = fc.string({ unit: 'grapheme', maxLength: 300 })
      const messages = fc.sample(
        fc.record({
          key: text,
          value: text,
          headers: fc.dictionary(
            fc.string({ maxLength: 20 }).map((name) => `x-${name}`),
            text,
            { maxKeys: 5 },
          ),
        }),
        50,
      )
      await subject().publisher.publish(
        messages.map(({ headers, key, value }, index) => message(to, key, value, { ...headers, index: String(index) })),
        { signal },
      )
      const records = await subject().read(to, messages.length)
      for (const record of records) {
        const sent = messages[Number(String(record.headers['index']))]
        expect([record.key, record.value]).toEqual([sent?.key, sent?.value])
        for (const [name, value] of Object.entries(sent?.headers ?? {})) expect(String(record.headers[name])).toBe(value)
      }
      expect(records).toHaveLength(messages.length)
    })

    test('keeps the order of each key, over many calls and topics at once', async () => {
      const [one, other] = [await topic(), await topic()]
      for (let call = 0; call < 5; call += 1) {
        await subject().publisher.publish(
          Array.from({ length: 200 }, (_, n) => message(n % 3 === 0 ? other : one, `["${n % 11}"]`, String(call * 200 + n))),
          { signal },
        )
      }
      const records = [...(await subject().read(one, 665)), ...(await subject().read(other, 335))]
      expect(records).toHaveLength(1_000)
      const last = new Map<string, number>()
      for (const { key, topic: on, value } of records) {
        const lane = `${on} ${key}`
        expect(Number(value)).toBeGreaterThan(last.get(lane) ?? -1)
        last.set(lane, Number(value))
      }
      const partitions = new Map(records.map((record) => [`${record.topic} ${record.key}`, record.partition]))
      for (const record of records) expect(record.partition).toBe(partitions.get(`${record.topic} ${record.key}`))
    })

    test('names what is too large, and writes all the rest', async () => {
      const to = await topic()
      const large = 'x'.repeat(LARGEST + 1)
      const messages = Array.from({ length: 9 }, (_, n) => message(to, `["${n}"]`, n === 2 || n === 7 ? large : String(n)))
      const { tooLarge } = await subject().publisher.publish(messages, { signal })
      expect(tooLarge.toSorted((a, b) => a - b)).toEqual([2, 7])
      const values = (await subject().read(to, 7)).map((record) => record.value)
      // What stood beside a refused one may be there twice; nothing may be missing.
      expect([...new Set(values)].map(String).toSorted()).toEqual(['0', '1', '3', '4', '5', '6', '8'])
      expect(await subject().publisher.publish([message(to, '["2"]', 'its key alone')], { signal })).toEqual({ tooLarge: [] })
    })

    test('nothing to publish is published', async () => {
      expect(await subject().publisher.publish([], { signal })).toEqual({ tooLarge: [] })
    })

    test('a signal that has aborted publishes nothing', async () => {
      const to = await topic()
      await expect(subject().publisher.publish([message(to, '["a"]', '{}')], { signal: AbortSignal.abort() })).rejects.toBeDefined()
      await subject().publisher.publish([message(to, '["b"]', '{}')], { signal })
      expect((await subject().read(to, 1)).map((record) => record.key)).toEqual(['["b"]'])
    })
  })
}
