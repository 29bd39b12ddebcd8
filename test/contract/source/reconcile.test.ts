/** What a reconcile asks of the source beside its rows. */
import { beforeEach, describe, expect, it } from 'vitest'
import { acknowledge, backlog, claim, freshSource, held, type Session } from '../../support/source.ts'

const source = freshSource()
const items = 'public.items'

beforeEach(async () => {
  await source.run(`create table ${items} (id int primary key, name text); select afluente.capture_table('${items}')`)
})

interface Begun {
  readonly status: string
  readonly reconciliation: number
  readonly at: string
  readonly reason?: string
}

const begin = async (session: Session = source) => JSON.parse((await session.value('select afluente.begin_reconcile($1)', [items])) ?? 'null') as Begun
const end = async (reconciliation: number) => (await source.value('select afluente.end_reconcile($1, $2)', [items, reconciliation])) === 't'
const fail = () => source.run(`select afluente.note_failure('${items}', '42601', 'a trigger failed')`)
const marked = async () => (await backlog(source)).tables.find(({ table }) => table === items)?.reconcileSince ?? null

describe('the mark of a table', () => {
  it('stays while it is reconciled, and is done with at the end', async () => {
    await fail()
    const since = await marked()
    expect(since).not.toBeNull()
    const { at, reconciliation, status } = await begin()
    expect(status).toBe('begun')
    expect(Date.parse(at)).toBeGreaterThanOrEqual(Date.parse(since ?? ''))
    expect(await marked()).toBe(since)
    expect(await end(reconciliation)).toBe(true)
    expect(await marked()).toBeNull()
  })

  it('that is made while it reads is not, however early the first was', async () => {
    await fail()
    const since = await marked()
    const { reconciliation } = await begin()
    await fail()
    expect(await marked()).toBe(since)
    await end(reconciliation)
    expect(Date.parse((await marked()) ?? '')).toBeGreaterThan(Date.parse(since ?? ''))
  })

  it('is not done with by a reconcile after which another one has begun', async () => {
    const first = await begin()
    await fail()
    await backlog(source)
    const second = await begin()
    expect(await end(first.reconciliation)).toBe(false)
    expect(await marked()).not.toBeNull()
    expect(await end(second.reconciliation)).toBe(true)
    expect(await marked()).toBeNull()
  })

  it('outlives a reconcile that never ends', async () => {
    await fail()
    await begin()
    const { reconciliation } = await begin()
    expect(await marked()).not.toBeNull()
    await end(reconciliation)
    expect(await marked()).toBeNull()
  })

  it('takes what a trigger noted a moment ago, and an ALTER that nobody has looked at', async () => {
    await source.run(`insert into ${items} values (1, 'a')`)
    await fail()
    await source.run(`alter table ${items} add column n int default 7`)
    const { reconciliation } = await begin()
    await end(reconciliation)
    expect(await marked()).toBeNull()
  })
})

describe('a reconcile is refused', () => {
  it('while capture stands still, with what to do', async () => {
    await source.run('update afluente.installation set system_identifier = 1, outbox_oid = 1')
    expect(await begin()).toMatchObject({ status: 'refused', reason: expect.stringContaining('npx afluente rebase') as string })
    expect(JSON.parse((await source.value('select afluente.drained()')) ?? '')).toMatchObject({ refused: expect.stringContaining('rebase') as string })
  })

  it('while a migration of the table is open, and waits no longer than three seconds for it', async () => {
    const user = await source.connect()
    await user.run(`begin; select afluente.capture_table('${items}')`)
    expect(await begin()).toMatchObject({ status: 'refused', reason: expect.stringContaining('open') as string })
    await user.run('rollback')
  })

  it('for a table that is not captured', async () => {
    await source.run('create table public.plain (id int primary key)')
    await expect(source.run(`select afluente.begin_reconcile('public.plain')`)).rejects.toThrow('plain is not captured')
  })
})

describe('drained', () => {
  const drained = async (version?: number) =>
    JSON.parse((await source.value('select afluente.drained($1)', [version ?? null])) ?? 'null') as { version: number; left: number; life: string }

  it('tells when all that was committed before has been acknowledged, whatever comes after', async () => {
    await source.run(`insert into ${items} values (1, 'a'), (2, 'b')`)
    const { left, version } = await drained()
    expect(left).toBe(2)
    await source.run(`insert into ${items} values (3, 'c')`)
    const { epoch, rows } = await held(source, 'capture')
    expect(await drained(version)).toMatchObject({ left: 2 })
    await acknowledge(source, epoch, rows.slice(0, 1).map(([found]) => found)) // prettier-ignore
    expect(await drained(version)).toMatchObject({ left: 1 })
    await acknowledge(source, epoch, rows.slice(1, 2).map(([found]) => found)) // prettier-ignore
    expect(await drained(version)).toMatchObject({ left: 0, version })
    expect(await drained()).toMatchObject({ left: 1 })
  })

  it('sees what lies in a shard that is none any more', async () => {
    await source.run(`insert into ${items} values (1, 'a'); update afluente.outbox set shard = 5`)
    expect(await drained()).toMatchObject({ left: 1 })
  })

  it('counts no further than a thousand', async () => {
    await source.run(`insert into ${items} select n, 'x' from generate_series(1, 3000) n`)
    expect(await drained()).toMatchObject({ left: 1001 })
  })

  it('answers another life after a restart, since what waits has other versions then', async () => {
    const before = await drained()
    await source.run(`update afluente.installation set server_started_at = server_started_at - interval '1 hour'`)
    const after = await drained()
    await source.run(`update afluente.installation set timeline = '00000009'`)
    await claim(source, 'capture')
    expect(after.version).toBeGreaterThanOrEqual(before.version)
    expect((await drained()).life).not.toBe(after.life)
  })
})
