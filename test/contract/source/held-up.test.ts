/** Somebody holds what the triggers write to: whoever writes waits no longer than they would want, and never for the doorbell. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/poll.ts'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { backlog, openSource, type Session, type Source } from '../../support/source.ts'

let postgres: TestPostgres
let source: Source
let superuser: Session

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())
beforeEach(async () => {
  await source?.close()
  source = await openSource(postgres)
  superuser = await source.connect('superuser')
  await source.run(`create table public.t (id int primary key, n int, name text); select afluente.capture_table('public.t')`)
  await source.run(`insert into public.t values (1, 1, 'private one'), (2, 2, 'private two')`)
  await source.emptyOutbox()
})

const entryOf = async (table: string) => (await backlog(source)).tables.find((entry) => entry.table === table)

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
