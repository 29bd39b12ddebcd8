import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decode, encode, type Event } from '../../../shared/events/envelope.ts'
import { actionLineOf, checkOf, documentIdOf, documentLineInOtherWords, documentLineOf } from '../../../shared/mappings/document.ts'
import { hexOf, sha256 } from '../../../shared/mappings/document-hash.ts'
import { table } from '../../../shared/tables/table.ts'
import { change, recordOf } from '../../support/arbitraries.ts'

const syncedAt = '2026-11-22T18:00:01.000Z'
const context = { ref: 'local', claimedAt: syncedAt, traceparent: '' }
const things = table({ schema: 'public', name: 'things', key: ['id'], columns: { id: 'text', n: 'numeric', j: 'json', b: 'jsonb', f: 'jsonb' } })

const event = (after: string | null, key = '["1"]', version = 7): Event => {
  const op = after === null ? 'delete' : 'insert'
  const before = after === null ? '{"id":"1"}' : null
  const decoded = decode(
    recordOf(encode({ version, table: 'public.things', topic: 't', key, op, before, after, occurredAt: syncedAt, traceparent: null }, context)),
  )
  if (!decoded.ok) throw new Error(decoded.why.message)
  return decoded.event
}

describe('a document', () => {
  test('is the row as Postgres printed it, with afluente beside its columns', () => {
    const line = documentLineOf(event('{"id":"1","n":12345678901234567890.1234567890}'), syncedAt)
    expect(line).toContain('"id":"1","n":12345678901234567890.1234567890}')
    expect(JSON.parse(line)).toMatchObject({
      id: '1',
      afluente: { key: '["1"]', version: 7, deleted: false, event_id: 'public.things:7', synced_at: syncedAt, occurred_at: syncedAt },
    })
  })

  test('of a deleted row holds nothing of the row', () => {
    const line = documentLineOf(event(null), syncedAt)
    expect(Object.keys(JSON.parse(line) as object)).toEqual(['afluente'])
    expect(JSON.parse(line)).toMatchObject({ afluente: { deleted: true, version: 7, key: '["1"]' } })
  })

  test('of a row without columns is still JSON', () => {
    for (const empty of ['{}', '{ }', '{\n}']) expect(Object.keys(JSON.parse(documentLineOf(event(empty), syncedAt)) as object)).toEqual(['afluente'])
  })

  test('and its action are one line each and JSON, whatever the row holds', () => {
    fc.assert(
      fc.property(change, (change) => {
        const decoded = decode(recordOf(encode(change, context)))
        if (!decoded.ok) return
        for (const line of [
          actionLineOf(decoded.event),
          documentLineOf(decoded.event, syncedAt),
          documentLineInOtherWords(decoded.event, things, {}, syncedAt),
        ]) {
          if (line === null) continue
          expect(line).not.toMatch(/[\n\r]/)
          expect(() => JSON.parse(line) as unknown).not.toThrow()
        }
      }),
      { numRuns: 300 },
    )
  })

  test('is indexed under the version of its event, never under one of its own', () => {
    expect(JSON.parse(actionLineOf(event('{"id":"1"}')))).toEqual({ index: { _id: '["1"]', version: 7, version_type: 'external' } })
    expect(JSON.parse(actionLineOf(event(null)))).toEqual({ index: { _id: '["1"]', version: 7, version_type: 'external' } })
  })
})

describe('an id', () => {
  test('is the key up to 512 bytes, and its SHA-256 beyond', () => {
    expect(documentIdOf('k'.repeat(512))).toBe('k'.repeat(512))
    expect(documentIdOf('é'.repeat(256))).toBe('é'.repeat(256))
    for (const long of ['k'.repeat(513), 'é'.repeat(257)]) expect(documentIdOf(long)).toBe(`sha256:${createHash('sha256').update(long).digest('hex')}`)
  })
})

describe('the check', () => {
  test('is the first 32 bits of the SHA-256 of key and version', () => {
    const expected = createHash('sha256').update('["1"]:7').digest().readUInt32BE(0)
    expect(checkOf('["1"]', 7)).toBe(expected)
    expect(JSON.parse(documentLineOf(event('{"id":"1"}'), syncedAt))).toMatchObject({ afluente: { check: expected } })
  })

  test('rests on the same SHA-256 as everybody else’s', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => hexOf(sha256(text)) === createHash('sha256').update(text).digest('hex')))
  })
})

describe('a document in other words', () => {
  test('has json as the text it was, and nothing else changed', () => {
    const other = documentLineInOtherWords(event('{"id":"1","n":1.10,"j":{"a":1,"a":2},"b":null}'), things, {}, syncedAt)
    expect(other).toContain(String.raw`"n":1.10,"j":"{\"a\":1,\"a\":2}","b":null`)
  })

  test('puts what an object field can’t hold beside the envelope', () => {
    const other = documentLineInOtherWords(event('{"id":"1","f":[1]}'), things, { f: 'flattened' }, syncedAt)
    expect(JSON.parse(other ?? '')).toEqual({ id: '1', afluente: expect.objectContaining({ version: 7, unindexed: { f: '[1]' } }) as unknown })
  })

  test('writes a number of more than a thousand digits as text', () => {
    const digits = '9'.repeat(1_001)
    expect(documentLineInOtherWords(event(`{"id":"1","n":${digits}}`), things, {}, syncedAt)).toContain(`"n":"${digits}"`)
  })

  test('does not exist where nothing would differ', () => {
    expect(documentLineInOtherWords(event('{"id":"1","n":1}'), things, {}, syncedAt)).toBeNull()
    expect(documentLineInOtherWords(event(null), things, {}, syncedAt)).toBeNull()
  })
})
