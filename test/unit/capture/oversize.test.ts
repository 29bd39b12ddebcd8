import { describe, expect, test } from 'vitest'
import { sendsOf } from '../../../shared/engine/capture-batch.ts'
import { decode } from '../../../shared/events/envelope.ts'
import { captureWorld, TABLE, TOPIC } from './world.ts'

const image = (bytes: number) => JSON.stringify({ text: 'x'.repeat(bytes) })

describe('a change beyond what Kafka takes', () => {
  test('goes as its key, marked, and the rest goes as it is', async () => {
    const world = captureWorld({ maxMessageBytes: 100_000 })
    world.write('small')
    world.write('large', image(200_000))
    world.write('after')
    expect(await world.drive(world.start())).toBe('idle')
    expect(world.published()).toEqual(world.committed())
    const decoded = world.topics.all(TOPIC).map(decode)
    expect(decoded.map((event) => event.ok)).toEqual([true, false, true])
    expect(decoded[1]).toMatchObject({ ok: false, why: { code: 'too-large' } })
  })

  test('what the outbox can’t even read out goes as its key, a delete too, and the rest goes on', async () => {
    const world = captureWorld()
    world.write('a', image(33 * 1024 * 1024))
    world.write('a', null)
    world.write('b')
    expect(await world.drive(world.start())).toBe('idle')
    expect(world.published()).toEqual(world.committed())
    const decoded = world.topics.all(TOPIC).map(decode)
    expect(decoded).toMatchObject([{ why: { code: 'too-large' } }, { ok: true, event: { op: 'delete' } }, { ok: true }])
    expect(world.topics.all(TOPIC).map((record) => Number(record.headers['ce_oversized'] ?? 0) > 32 * 1024 * 1024)).toContain(true)
    expect(world.source.waiting).toEqual([])
  })

  test('many bytes in few characters count as bytes', async () => {
    const world = captureWorld({ maxMessageBytes: 1_000_000, limits: { maxMessageBytes: 100_000 } })
    world.write('wide', JSON.stringify({ text: '語'.repeat(40_000) }))
    await world.drive(world.start())
    expect(world.topics.all(TOPIC).map(decode)).toMatchObject([{ ok: false, why: { code: 'too-large' } }])
  })

  test('what only the broker finds too large goes as its key as well', async () => {
    // The definition says 8 MiB, the topic takes less.
    const world = captureWorld({ maxMessageBytes: 20_000, limits: { maxMessageBytes: 8 * 1024 * 1024 } })
    for (const [key, bytes] of [
      ['a', 10],
      ['b', 50_000],
      ['c', 10],
      ['d', 60_000],
    ] as const)
      world.write(key, image(bytes))
    expect(await world.drive(world.start())).toBe('idle')
    expect(world.published().toSorted()).toEqual(world.committed().toSorted())
    expect(
      world.topics
        .all(TOPIC)
        .map(decode)
        .map((event) => event.ok)
        .toSorted((a, b) => Number(a) - Number(b)),
    ).toEqual([false, false, true, true])
    expect(world.source.waiting).toEqual([])
  })

  test('a topic that refuses even a key halts with a word, and loses nothing', async () => {
    const world = captureWorld()
    world.write('a')
    world.hooks.publish = () => Promise.resolve({ tooLarge: [0] })
    expect(await world.drive(world.start())).toBe('failed')
    expect(world.lines.find((line) => line.event === 'capture.failed')?.fields['reason']).toContain('max.message.bytes')
    expect(world.source.waiting).toHaveLength(1)
  })
})

describe('sends are split by bytes', () => {
  const context = { ref: 'local', claimedAt: '2026-11-22T18:00:00.000Z', traceparent: '00-1-1-01' }
  const changes = (sizes: readonly number[]) =>
    sizes.map((bytes, index) => ({
      version: index + 1,
      table: TABLE,
      topic: TOPIC,
      key: `["${index}"]`,
      op: 'insert' as const,
      before: null,
      after: image(bytes),
      occurredAt: '',
      traceparent: null,
    }))
  const split = (sizes: readonly number[]) =>
    sendsOf(changes(sizes), context, { sendBytes: 1_000, maxMessageBytes: 1_000_000 }).map((send) => send.changes.map((change) => change.version))

  test('each within the limit, in order, nothing left out', () => {
    expect(split([300, 300, 300, 300, 300])).toEqual([[1, 2], [3, 4], [5]])
  })
  test('a larger one goes alone', () => {
    expect(split([100, 5_000, 100, 100])).toEqual([[1], [2], [3, 4]])
  })
  test('nothing makes no send', () => {
    expect(split([])).toEqual([])
  })
})
