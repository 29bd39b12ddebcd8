import { describe, expect, test } from 'vitest'
import type { RpcAnswer } from '../../../shared/adapters/supabase/call.ts'
import { supabaseOutbox } from '../../../shared/adapters/supabase/outbox.ts'

const signal = new AbortController().signal
const request = { shard: 0, owner: 'me', leaseMs: 3_000, floor: 7, beside: [5, 6], maxRows: 10, maxBytes: 1_000, waitMs: 250 }
const row = [1795374588038000, 'public.leads', 'afluente.public.leads', '["a"]', 'insert', null, '{"id": "a"}', '2026-11-22T18:00:00.123456Z', null]

function answering(answer: Partial<RpcAnswer> | ((signal: AbortSignal) => Promise<RpcAnswer>)) {
  const calls: { readonly schema: string; readonly name: string; readonly args: Readonly<Record<string, unknown>> }[] = []
  const client = {
    schema: (schema: string) => ({
      rpc: (name: string, args: Readonly<Record<string, unknown>>) => {
        calls.push({ schema, name, args })
        return {
          abortSignal: (given: AbortSignal) =>
            typeof answer === 'function' ? answer(given) : Promise.resolve({ data: null, error: null, status: 200, ...answer }),
        }
      },
    }),
  }
  return { calls, outbox: supabaseOutbox({ client, timeoutMs: 50 }) }
}

describe('the outbox through PostgREST', () => {
  test('claims with the names and units that the SQL function takes', async () => {
    const { calls, outbox } = answering({ data: { status: 'held', epoch: 7, rows: [row], more: true } })
    expect(await outbox.claim(request, { signal })).toEqual({
      status: 'held',
      epoch: 7,
      more: true,
      changes: [
        {
          version: 1795374588038000,
          table: 'public.leads',
          topic: 'afluente.public.leads',
          key: '["a"]',
          op: 'insert',
          before: null,
          after: '{"id": "a"}',
          occurredAt: '2026-11-22T18:00:00.123456Z',
          traceparent: null,
        },
      ],
    })
    expect(calls).toEqual([
      {
        schema: 'afluente',
        name: 'claim',
        args: { shard: 0, owner: 'me', lease: '3000 milliseconds', floor: 7, max_rows: 10, max_bytes: 1_000, wait: '250 milliseconds', beside: [5, 6] },
      },
    ])
  })

  test('a change may be any of the ops, and nothing else', async () => {
    const claimed = (op: string) => answering({ data: { status: 'held', epoch: 7, rows: [row.with(4, op)], more: false } }).outbox.claim(request, { signal })
    for (const op of ['insert', 'update', 'delete', 'read', 'truncate']) expect(await claimed(op)).toMatchObject({ changes: [{ op }] })
    await expect(claimed('merge')).rejects.toMatchObject({ code: 'unreadable-answer' })
  })

  test('a change too large to be read out brings its size in place of its images', async () => {
    const rows = [
      [...row.with(6, null), 41_943_080],
      [...row, null],
    ]
    const claimed = await answering({ data: { status: 'held', epoch: 7, rows, more: false } }).outbox.claim(request, { signal })
    expect(claimed).toMatchObject({ changes: [{ after: null, oversizedBytes: 41_943_080 }, { after: '{"id": "a"}' }] })
    expect(claimed.status === 'held' && claimed.changes[1]).not.toHaveProperty('oversizedBytes')
  })

  test('busy, refused, done and fenced are values', async () => {
    expect(await answering({ data: { status: 'busy', retryMs: 1_200 } }).outbox.claim(request, { signal })).toEqual({ status: 'busy', retryMs: 1_200 })
    expect(await answering({ data: { status: 'refused', reason: 'restored' } }).outbox.claim(request, { signal })).toEqual({
      status: 'refused',
      reason: 'restored',
    })
    const done = answering({ data: { status: 'done', deleted: 2 } })
    expect(await done.outbox.acknowledge(0, 7, [1, 2], { signal })).toEqual({ status: 'done' })
    expect(done.calls[0]).toMatchObject({ name: 'acknowledge', args: { shard: 0, epoch: 7, versions: [1, 2] } })
    expect(await answering({ data: { status: 'fenced', epoch: 9 } }).outbox.release(0, 7, { signal })).toEqual({ status: 'fenced', epoch: 9 })
  })

  test('the backlog, and what is wrong with tables', async () => {
    const table = {
      table: 'public.leads',
      topic: 'afluente.public.leads',
      failures: 1,
      problem: 'gone',
      reconcileSince: '2026-11-22T18:00:00.123456Z',
      keysOnlySince: null,
    }
    const backlog = {
      rows: 3,
      oldestMs: 1_234,
      leased: true,
      failures: 1,
      refused: 'this database is a copy of another one',
      keeps: 'keys',
      tables: [{ ...table, lastFailure: '22P02' }],
    }
    expect(await answering({ data: backlog }).outbox.backlog({ signal })).toEqual({ ...backlog, tables: [table] })
    for (const wrong of [
      { ...backlog, refused: undefined },
      { ...backlog, refused: 7 },
      { ...backlog, keeps: 'all' },
      { ...backlog, tables: [{ ...table, keysOnlySince: 1 }] },
      { ...backlog, tables: [{ ...table, reconcileSince: undefined }] },
    ])
      await expect(answering({ data: wrong }).outbox.backlog({ signal })).rejects.toMatchObject({ code: 'unreadable-answer' })
  })

  const unreadable: readonly unknown[] = [
    null,
    'text',
    [],
    { status: 'held', epoch: 7 },
    { status: 'new', rows: [] },
    { status: 'held', epoch: 7, rows: [{}] },
    ...row.flatMap((_, index) => [{ status: 'held', epoch: 7, rows: [row.with(index, index === 6 || index === 5 || index === 8 ? 5 : null)] }]),
    { status: 'held', epoch: 7, rows: [row.with(0, 2 ** 53)] },
    { status: 'held', epoch: 7, rows: [[...row, 'large']] },
    { status: 'held', epoch: 7, rows: [row.with(4, 'upsert')] },
  ]
  test.for(unreadable)('an answer of another shape says to apply the migrations: %j', async (data) => {
    await expect(answering({ data }).outbox.claim(request, { signal })).rejects.toMatchObject({ kind: 'misconfigured', code: 'unreadable-answer' })
  })

  const faults: readonly (readonly [string, string, Partial<RpcAnswer>])[] = [
    ['unavailable', 'network', { status: 0, error: { message: 'TypeError: fetch failed', code: '' } }],
    ['unavailable', '57014', { status: 500, error: { message: 'canceling statement due to statement timeout', code: '57014' } }],
    ['unavailable', 'PGRST001', { status: 503, error: { message: '', code: 'PGRST001' } }],
    ['unavailable', 'PGRST003', { status: 504, error: { message: '', code: 'PGRST003' } }],
    ['unavailable', '40P01', { status: 400, error: { message: '', code: '40P01' } }],
    ['unavailable', '53300', { status: 500, error: { message: '', code: '53300' } }],
    ['unavailable', 'HTTP 502', { status: 502, error: { message: '<html>' } }],
    ['unavailable', 'HTTP 429', { status: 429, error: { message: 'slow down' } }],
    ['misconfigured', 'PGRST106', { status: 406, error: { message: '', code: 'PGRST106' } }],
    ['misconfigured', 'PGRST202', { status: 404, error: { message: '', code: 'PGRST202' } }],
    ['misconfigured', '42501', { status: 403, error: { message: '', code: '42501' } }],
    ['misconfigured', '42883', { status: 404, error: { message: '', code: '42883' } }],
    ['misconfigured', 'HTTP 401', { status: 401, error: { message: 'no key' } }],
    ['misconfigured', 'HTTP 403', { status: 403, error: { message: 'no' } }],
    ['misconfigured', '22P02', { status: 400, error: { message: 'invalid input: "secret row value"', code: '22P02' } }],
  ]
  test.for(faults)('%s: %s', async ([kind, code, answer]) => {
    const error: unknown = await answering({ data: null, ...answer })
      .outbox.claim(request, { signal })
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ kind, code })
    expect(String(error)).not.toContain('secret row value')
  })

  const untilAborted = (given: AbortSignal) =>
    new Promise<RpcAnswer>((resolve) => given.addEventListener('abort', () => resolve({ data: null, status: 0, error: { message: 'AbortError', code: '' } })))

  test('an answer that does not come is given up', async () => {
    const { outbox } = answering(untilAborted)
    await expect(outbox.backlog({ signal })).rejects.toMatchObject({ kind: 'unavailable', code: 'network' })
  })

  test('the caller’s signal ends a call', async () => {
    const stop = new AbortController()
    const asking = answering(untilAborted).outbox.backlog({ signal: stop.signal })
    stop.abort()
    await expect(asking).rejects.toMatchObject({ kind: 'unavailable' })
  })
})
