import { beforeEach, describe, expect, test } from 'vitest'
import { memoryReconciliations } from '../../../shared/adapters/memory/reconciles.ts'
import { postgresReconciliations } from '../../../shared/adapters/postgres/reconciliations.ts'
import type { Outcome, Reconciliations } from '../../../shared/ports/reconciliations.ts'
import { eventually } from '../../support/poll.ts'
import { realPostgres } from '../sink/postgres-server.ts'

const options = { signal: new AbortController().signal }
const postgres = realPostgres()
const outcome: Outcome = {
  asOf: '2026-11-22T12:03:11.123456Z',
  rows: 1_000_000,
  sinks: [
    { sink: 'silver', missing: 1, different: 2, extra: 3 },
    { sink: 'index', missing: 0, different: 0, extra: 4 },
  ],
  keys: [{ sink: 'silver', what: 'missing', key: '["a \\u0000 \\"b\\""]' }],
  moving: 5,
  unopened: 6,
  mended: 7,
}
const of = (differs: Partial<Parameters<Reconciliations['take']>[0]> = {}) => ({
  table: 'public.leads', actor: 'schedule', repair: false, owner: 'one', leaseMs: 60_000, anew: false, ...differs,
}) // prettier-ignore

describe.each([
  ['in memory', async () => memoryReconciliations({ clock: { now: () => Date.now(), sleep: async () => {} } })],
  ['in Postgres', async () => postgresReconciliations({ db: postgres.pool(await postgres.analytics()) })],
])('reconciliations %s', (_, open) => {
  let present: Reconciliations
  beforeEach(async () => {
    present = await open()
  })

  const taken = async (differs: Parameters<typeof of>[0] = {}) => {
    const answer = await present.take(of(differs), options)
    if (answer.status !== 'taken') throw new Error('It is busy.')
    return answer
  }

  test('one at a time for each table and actor', async () => {
    await taken()
    expect(await present.take(of({ owner: 'other' }), options)).toEqual({ status: 'busy' })
    expect(await present.take(of({ owner: 'other', anew: true }), options)).toEqual({ status: 'busy' })
    await taken({ table: 'public.others' })
    await taken({ actor: 'operator' })
  })

  test('whoever lets go, or is gone for longer than its lease, is gone on for; what it still says counts for nothing', async () => {
    const first = await taken({ leaseMs: 200 })
    expect(await present.keep({ id: first.id, epoch: first.epoch, leaseMs: 200, pass: { at: 7 } }, options)).toBe(true)
    const second = await eventually('its lease is over', async () => {
      const answer = await present.take(of({ owner: 'two' }), options)
      return answer.status === 'taken' ? answer : null
    })
    expect(second).toMatchObject({ id: first.id, pass: { at: 7 } })
    const stale = { id: first.id, epoch: first.epoch }
    expect(await present.keep({ ...stale, leaseMs: 1, pass: {} }, options)).toBe(false)
    expect(await present.finish({ ...stale, outcome }, options)).toBe(false)
    expect(await present.fail({ ...stale, problem: 'late' }, options)).toBe(false)
    expect(await present.release(stale, options)).toBe(false)
    expect(await present.keep({ id: second.id, epoch: second.epoch, leaseMs: 60_000 }, options)).toBe(true)
    expect(await present.release({ id: second.id, epoch: second.epoch }, options)).toBe(true)
    expect(await taken()).toMatchObject({ id: first.id, pass: { at: 7 } })
  })

  test('who begins anew ends what was left', async () => {
    const left = await taken()
    await present.release({ id: left.id, epoch: left.epoch }, options)
    const own = await taken({ anew: true })
    expect([own.id === left.id, own.pass]).toEqual([false, null])
    expect(await present.latest(options)).toMatchObject([{ id: left.id, outcome: null, problem: 'It was interrupted.' }])
  })

  test('the last verdict is told as it was; a later failure beside it, but not that of an operator', async () => {
    expect(await present.latest(options)).toEqual([])
    const done = await taken()
    expect(await present.finish({ id: done.id, epoch: done.epoch, outcome }, options)).toBe(true)
    const [verdict] = await present.latest(options)
    expect(verdict).toMatchObject({ table: 'public.leads', actor: 'schedule', outcome, problem: null })
    expect(Date.parse(verdict?.endedAt ?? '')).toBeGreaterThan(Date.now() - 60_000)
    const failed = await taken({ actor: 'operator', owner: 'two' })
    await present.fail({ id: failed.id, epoch: failed.epoch, problem: 'It was interrupted.' }, options)
    expect(await present.latest(options)).toMatchObject([{ id: done.id, problem: null }])
    const again = await taken({ owner: 'three' })
    await present.fail({ id: again.id, epoch: again.epoch, problem: 'No answer.' }, options)
    expect(await present.latest(options)).toMatchObject([{ id: again.id, outcome, problem: 'No answer.' }])
  })
})
