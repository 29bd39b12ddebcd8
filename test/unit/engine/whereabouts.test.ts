import { describe, expect, test } from 'vitest'
import { changesOf, type Fate, type Reader, type Sightings } from '../../../shared/engine/whereabouts.ts'
import type { Progress } from '../../../shared/ports/control.ts'
import type { Copy, KeptEvent, TracedLetter } from '../../../shared/ports/traces.ts'

const event = (version: number, offset: number, more: Partial<KeptEvent> = {}): KeptEvent => ({
  eventId: `public.leads:${version}`,
  version,
  op: 'update',
  occurredAt: '2026-11-22T18:00:00.000500Z',
  claimedAt: '2026-11-22T18:00:00.012000Z',
  publishedAt: '2026-11-22T18:00:00.020000Z',
  receivedAt: '2026-11-22T18:00:00.050250Z',
  topic: 'afluente.public.leads',
  partition: 1,
  offset: String(offset),
  traceparent: null,
  ...more,
})

const copyAt = (version: number, deleted = false): Copy => ({
  version,
  eventId: `public.leads:${version}`,
  deleted,
  syncedAt: '2026-11-22T18:00:00.090000Z',
})

const progress = (nextOffset: number): Progress => ({
  consumer: 'index',
  topic: 'afluente.public.leads',
  partition: 1,
  epoch: 1,
  nextOffset: String(nextOffset),
  consumed: 0,
  accepted: 0,
  duplicate: 0,
  late: 0,
  dead: 0,
  updatedAt: '',
})

const letter = (version: number, state = 'open'): TracedLetter => ({
  id: '7',
  consumer: 'index',
  eventId: `public.leads:${version}`,
  topic: 'afluente.public.leads',
  partition: 1,
  offset: '3',
  code: 'mapper_parsing_exception',
  state,
  attempts: 2,
  firstSeen: '2026-11-22T18:00:00.070000Z',
})

const index = (copy: Copy | null | undefined, more: Partial<Reader> = {}): Reader => ({ name: 'index', bronze: false, keepsCopy: true, copy, ...more })

const seen = (more: Partial<Sightings>): Sightings => ({
  table: 'public.leads',
  waiting: [],
  events: [],
  letters: [],
  floor: undefined,
  progress: [],
  readers: [],
  ...more,
})

/** The fate of version 5, which stands at offset 3. */
const fateOf = (more: Partial<Sightings>): Fate | undefined =>
  changesOf(seen({ events: [event(5, 3)], progress: [progress(10)], ...more })).find(({ version }) => version === 5)?.consumers[0]?.fate

describe('a change in a consumer', () => {
  const cases: readonly (readonly [string, Partial<Sightings>, Fate])[] = [
    ['stands in the sink', { readers: [index(copyAt(5))] }, 'applied'],
    ['stands there before its offset is committed', { progress: [], readers: [index(copyAt(5))] }, 'applied'],
    ['is not read yet, for nothing is', { progress: [], readers: [index(null)] }, 'waiting'],
    ['is not read yet: its offset is the next', { progress: [progress(3)], readers: [index(copyAt(4))] }, 'waiting'],
    ['was read and replaced by a later one', { events: [event(6, 4), event(5, 3)], readers: [index(copyAt(6))] }, 'replaced'],
    ['came after a newer one', { events: [event(6, 2), event(5, 3)], readers: [index(copyAt(6))] }, 'skipped'],
    ['came after a newer one of another partition', { events: [event(6, 2, { partition: 0 }), event(5, 3)], readers: [index(copyAt(6))] }, 'replaced'],
    ['is of before a truncate', { floor: { table: 'public.leads', version: 9, occurredAt: null }, readers: [index(copyAt(9, true))] }, 'truncated'],
    ['was read and is nowhere', { readers: [index(null)] }, 'missing'],
    ['was read, and an older one stands there', { readers: [index(copyAt(4))] }, 'missing'],
    ['was a delete whose tombstone is gone', { events: [event(5, 3, { op: 'delete' })], readers: [index(null)] }, 'purged'],
    ['was ended by a delete whose tombstone is gone', { events: [event(6, 4, { op: 'delete' }), event(5, 3)], readers: [index(null)] }, 'replaced'],
    ['came after a delete whose tombstone is gone', { events: [event(6, 2, { op: 'delete' }), event(5, 3)], readers: [index(null)] }, 'skipped'],
    ['is nowhere, and its later delete is not read yet', { events: [event(6, 10, { op: 'delete' }), event(5, 3)], readers: [index(null)] }, 'missing'],
    ['is nowhere, and came after its key was deleted', { events: [event(5, 3), event(4, 2, { op: 'delete' })], readers: [index(null)] }, 'missing'],
    ['is a dead letter', { letters: [letter(5)], readers: [index(null)] }, 'dead'],
    ['was given up', { letters: [letter(5, 'discarded')], readers: [index(null)] }, 'dead'],
    ['was a dead letter, and is resolved', { letters: [letter(5, 'resolved')], readers: [index(copyAt(5))] }, 'applied'],
    [
      'was a dead letter, and something newer stands',
      { events: [event(6, 4), event(5, 3)], letters: [letter(5, 'resolved')], readers: [index(copyAt(6), { bronze: true })] },
      'settled',
    ],
    ['is in a sink that keeps no rows', { readers: [index(null, { bronze: true, keepsCopy: false })] }, 'kept'],
    ['is not known when the sink does not answer', { readers: [index(undefined)] }, 'unknown'],
    ['is not known when bronze does not answer', { events: undefined, letters: [letter(5, 'resolved')], readers: [index(copyAt(6))] }, 'unknown'],
    ['is not known when progress does not answer', { progress: undefined, readers: [index(copyAt(6))] }, 'unknown'],
  ]
  test.each(cases)('%s', (_, more, fate) => {
    expect(fateOf(more)).toBe(fate)
  })

  test('waits where bronze has not got it, though another sink has', () => {
    const readers = [index(copyAt(6)), index(copyAt(5), { name: 'postgres', bronze: true })]
    const [, ahead] = changesOf(seen({ events: [event(5, 3)], progress: [progress(10)], readers }))
    expect(ahead).toMatchObject({ version: 6, topic: null, op: null, inOutbox: false })
    expect(ahead?.consumers.map(({ consumer, fate }) => [consumer, fate])).toEqual([
      ['index', 'applied'],
      ['postgres', 'waiting'],
    ])
  })
})

describe('the way of a change', () => {
  test('has the milliseconds from step to step, microseconds counted', () => {
    const readers = [index(copyAt(5)), index(copyAt(5), { name: 'postgres', bronze: true })]
    const [change] = changesOf(seen({ events: [event(5, 3)], progress: [progress(10)], readers }))
    expect(change).toMatchObject({ waitedMs: 11.5, publishMs: 8, topic: 'afluente.public.leads', partition: 1, offset: '3' })
    expect(change?.consumers).toMatchObject([
      { at: '2026-11-22T18:00:00.090000Z', ms: 70 },
      { at: '2026-11-22T18:00:00.090000Z', ms: 70 },
    ])
  })

  test('of one that was replaced tells when bronze took it, and of a letter when it failed first', () => {
    const readers = [index(copyAt(6), { name: 'postgres', bronze: true }), index(copyAt(6))]
    const [change] = changesOf(seen({ events: [event(6, 4), event(5, 3)], letters: [letter(5)], progress: [progress(10)], readers }))
    expect(change?.consumers).toMatchObject([
      { fate: 'replaced', at: '2026-11-22T18:00:00.050250Z', ms: 30.3 },
      { fate: 'dead', at: '2026-11-22T18:00:00.070000Z', ms: 50, letter: { id: '7', code: 'mapper_parsing_exception', state: 'open', attempts: 2 } },
    ])
  })

  test('begins in the outbox: a change that is only there, and one that is in Kafka and not acknowledged', () => {
    const waiting = [5, 6].map((version) => ({ version, op: 'update' as const, occurredAt: '2026-11-22T18:00:00.000000Z', traceparent: 'tp' }))
    const changes = changesOf(seen({ waiting, events: [event(5, 3)], readers: [index(copyAt(5))], progress: [progress(10)] }))
    expect(changes).toMatchObject([
      { version: 5, inOutbox: true, topic: 'afluente.public.leads' },
      { version: 6, inOutbox: true, topic: null, claimedAt: null, waitedMs: null, traceparent: 'tp', consumers: [{ fate: 'waiting' }] },
    ])
  })
})
