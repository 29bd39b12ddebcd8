/** Somebody holds what the triggers write to: whoever writes waits no longer than they would want, and never for the doorbell. */
import { beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/poll.ts'
import { backlog, freshSource, type Session } from '../../support/source.ts'

const source = freshSource()
let superuser: Session

beforeEach(async () => {
  superuser = await source.connect('superuser')
  await source.run(`create table public.t (id int primary key, n int, name text); select afluente.capture_table('public.t')`)
  await source.run(`insert into public.t values (1, 1, 'private one'), (2, 2, 'private two')`)
  await source.emptyOutbox()
})

const entryOf = async (table: string) => (await backlog(source)).tables.find((entry) => entry.table === table)

/** As above the outbox's budget, until it is measured again. */
const keysOnly = () => source.run(`select setval('afluente.outbox_measured', 4 * (extract(epoch from clock_timestamp()) * 1000)::bigint + 1)`)

/** One statement of each kind; each must do what it says. */
async function writeAll(): Promise<void> {
  await source.run(`insert into public.t values (3, 3, 'private three')`)
  await source.run(`update public.t set n = n + 10 where id = 1`)
  await source.run('delete from public.t where id = 2')
  expect(await source.run('select id, n from public.t order by id')).toEqual([
    { id: '1', n: '11' },
    { id: '3', n: '3' },
  ])
  await source.run('truncate public.t')
  expect(await source.value('select count(*) from public.t')).toBe('0')
}

describe('while somebody holds the outbox', () => {
  beforeEach(async () => {
    await superuser.run('begin; lock table afluente.outbox in access exclusive mode')
  })

  it('whoever waits no longer than a lock_timeout goes on, and is counted', async () => {
    await source.run(`set lock_timeout = '50ms'; insert into public.t values (3)`)
    await superuser.run('rollback')
    expect(await source.value('select count(*) from public.t')).toBe('3')
    expect(await entryOf('public.t')).toMatchObject({ failures: 1, lastFailure: expect.stringMatching(/^55P03: /) })
  })

  it('a statement that its user cancels, or that runs into its timeout, ends as its user wants: with nothing written', async () => {
    await source.run(`set statement_timeout = '50ms'`)
    await expect(source.run('insert into public.t values (3)')).rejects.toMatchObject({ code: '57014' })
    const other = await source.connect()
    const pid = await other.value('select pg_backend_pid()')
    const cancelled = other.run('insert into public.t values (4)').catch((error: unknown) => error)
    await eventually('it waits', async () => (await superuser.value(`select count(*) from pg_locks where pid = ${pid} and not granted`)) !== '0')
    await superuser.run(`select pg_cancel_backend(${pid})`)
    expect(await cancelled).toMatchObject({ code: '57014' })
    await superuser.run('rollback')
    await source.run('reset statement_timeout')
    expect(await source.value('select count(*) from public.t')).toBe('2')
    expect(await entryOf('public.t')).toMatchObject({ failures: 0, reconcileSince: null })
  })
})

describe('while a migration stays open, claim and status wait for nobody', () => {
  const claimed = () => source.value(`select afluente.claim(0, 'reader', interval '1 minute')`)

  it('that captures a table anew, after a failure was noted', async () => {
    await source.run(`select afluente.note_failure('public.t', '55000', 'x')`)
    const user = await source.connect()
    await user.run(`begin; select afluente.capture_table('public.t', with_before => true)`)
    await source.run(`set statement_timeout = '2s'; insert into afluente.failures values ('public.t', now(), '55000: y')`)
    await claimed()
    expect(await entryOf('public.t')).toMatchObject({ table: 'public.t' })
    await user.run('commit')
    expect(await entryOf('public.t')).toMatchObject({ failures: 2 })
  })

  it('that alters a table, above the budget: the others’ rows go out, its own in their order when it is done', async () => {
    await source.run(`create table public.u (id int primary key); select afluente.capture_table('public.u')`)
    await keysOnly()
    await source.run(`insert into public.t values (3, 3, 'c'); insert into public.u values (1); update public.t set n = 4 where id = 3`)
    const user = await source.connect()
    await user.run('begin; alter table public.t add column more int')
    await source.run(`set statement_timeout = '2s'`)
    const rows = async () =>
      (JSON.parse((await claimed()) ?? '{}') as { readonly rows: readonly (readonly unknown[])[] }).rows.map((row) => [row[1], row[3], row[4]])
    expect(await rows()).toEqual([['public.u', '[1]', 'read']])
    await user.run('commit')
    expect(await rows()).toEqual([
      ['public.t', '[3]', 'read'],
      ['public.u', '[1]', 'read'],
      ['public.t', '[3]', 'read'],
    ])
    expect(await entryOf('public.t')).toMatchObject({ failures: 0 })
  })
})

describe('after a restart of the server, claim and status wait for nobody', () => {
  const claimed = async () =>
    JSON.parse((await source.value(`select afluente.claim(0, 'reader', interval '1 minute')`)) ?? '{}') as { status: string; reason?: string }
  beforeEach(async () => {
    await superuser.run(`update afluente.installation set server_started_at = 'epoch'`)
    await source.run(`set statement_timeout = '4s'`)
  })

  it('not for an open migration that writes as well: the tables are marked', async () => {
    const user = await source.connect()
    await user.run(`begin; select afluente.capture_table('public.t', with_before => true); insert into public.t values (3)`)
    expect(await claimed()).toMatchObject({ status: 'held' })
    expect((await backlog(source)).refused).toBeNull()
    await user.run('commit')
    expect(await entryOf('public.t')).toMatchObject({ lastFailure: expect.stringContaining('restarted'), reconcileSince: expect.any(String) })
  })

  it('not for other upkeep, which is told', async () => {
    await superuser.run('begin; lock table afluente.installation in share row exclusive mode')
    expect(await claimed()).toMatchObject({ status: 'refused', reason: expect.stringContaining('other upkeep') })
    expect((await backlog(source)).refused).toContain('other upkeep')
    await superuser.run('rollback')
    expect(await claimed()).toMatchObject({ status: 'held' })
  })
})

it('SERIALIZABLE transactions on tables of their own don’t fail each other above the budget', async () => {
  await source.run(`create table public.u (id int primary key); select afluente.capture_table('public.u')`)
  await keysOnly()
  const [one, other] = [await source.connect(), await source.connect()]
  for (const session of [one, other]) await session.run('begin isolation level serializable')
  await one.run(`insert into public.t values (3)`)
  await other.run('insert into public.u values (1)')
  await one.run('commit')
  await other.run('commit')
  expect(await source.value('select count(distinct source_table) from afluente.failures where failure is null')).toBe('2')
})

describe('while somebody holds', () => {
  it.each([
    ['pg_net’s queue', 'net.http_request_queue'],
    ['Vault', 'vault.secrets'],
  ])('%s, a change waits for a moment at most, and is captured', async (_, locked) => {
    await source.run(`select vault.create_secret('https://x.example', 'afluente_capture_url'); select vault.create_secret('s', 'afluente_webhook_secret')`)
    await superuser.run(`begin; lock table ${locked} in access exclusive mode`)
    await source.run(`set statement_timeout = '5s'`)
    await writeAll()
    await superuser.run('rollback')
    expect((await source.outbox('public.t')).map((row) => row.op)).toEqual(['insert', 'update', 'delete', 'delete', 'delete'])
    expect(await entryOf('public.t')).toMatchObject({ failures: 0 })
  })
})
