/** An excluded column never leaves the table: not into the outbox, a claim, an error, a note of a failure, or the server's log. */
import { readFileSync } from 'node:fs'
import { beforeEach, describe, expect, it } from 'vitest'
import { backlog, held, freshSource, type Session } from '../../support/source.ts'
import { assertExcludedStays } from '../../support/writer-properties.ts'

const source = freshSource()
let superuser: Session

beforeEach(async () => {
  superuser = await source.connect('superuser')
  await source.run(`
    create table public.people (id int primary key, secret text, name text);
    select afluente.capture_table('public.people', exclude => array['secret'], with_before => true)`)
})

/** All that Afluente keeps, as text. */
async function everything(): Promise<string> {
  const kept = []
  for (const table of ['outbox', 'captured_tables', 'failures', 'shards', 'installation']) kept.push(await superuser.run(`select * from afluente.${table}`))
  return JSON.stringify([kept, await held(source, 'reader'), await backlog(source)])
}

describe('an excluded column', () => {
  it('stays when it is written, renamed, retyped, keyed away and truncated', async () => {
    await assertExcludedStays(source)
  })

  it('stays in the outbox’s images and in what claim reads anew where the image was left out', async () => {
    await source.run(`insert into public.people values (1, 'hush', 'Ana')`)
    await source.run('alter table public.people rename secret to other')
    await source.run('update afluente.outbox set after = null')
    expect((await held(source, 'reader')).rows.map((row) => row[6])).toEqual(['{"id":1,"name":"Ana"}'])
    expect(await everything()).not.toContain('hush')
  })

  it('stays by its name too: added anew after it was dropped, until the table is captured without it', async () => {
    await source.run(`insert into public.people values (1, 'hush', 'Ana'); alter table public.people drop column secret, add column secret text`)
    await source.run(`update public.people set secret = 'hush'; truncate public.people; insert into public.people values (2, 'Rui', 'hush')`)
    expect(await everything()).not.toContain('hush')
    expect((await backlog(source)).tables.find((entry) => entry.table === 'public.people')?.problem).toBeNull()
    await source.run(`select afluente.capture_table('public.people'); update public.people set secret = 'open'`)
    expect((await source.outbox('public.people')).at(-1)?.after).toBe('{"id":2,"name":"Rui","secret":"open"}')
  })

  it('stays under its new name, and whatever takes its old name stays as well', async () => {
    await source.run(`
      insert into public.people values (1, 'hush', 'Ana');
      alter table public.people rename secret to spare; alter table public.people rename name to secret; update public.people set spare = 'hush hush'`)
    expect((await source.outbox('public.people')).at(-1)?.after).toBe('{"id":1}')
    expect(await everything()).not.toContain('hush')
  })

  it('that was renamed is known by its new name from the next look on, also to a dump', async () => {
    await source.run('alter table public.people rename secret to spare; alter table public.people rename name to secret; select afluente.backlog()')
    expect(await source.value(`select exclude from afluente.captured_tables where table_name = 'people'`)).toBe('{secret,spare}')
    expect((await backlog(source)).tables.find((entry) => entry.table === 'public.people')?.problem).toBeNull()
    await source.run(`insert into public.people (id, spare, secret) values (1, 'hush', 'Ana')`)
    expect((await source.outbox('public.people')).at(-1)?.after).toBe('{"id":1}')
  })

  it('that was dropped stays excluded by its name, whatever captures the table anew meanwhile', async () => {
    await source.run(`
      create table public.logins (id int, secret text, primary key (id)) partition by range (id);
      create table public.logins_1 partition of public.logins for values from (0) to (10);
      select afluente.capture_table('public.logins', exclude => '{secret}')`)
    await source.run(
      `alter table public.logins drop column secret; create table public.logins_2 partition of public.logins for values from (10) to (20); select afluente.sweep()`,
    )
    await source.run(`alter table public.logins add column secret text; insert into public.logins values (1, 'hush'), (11, 'hush')`)
    expect(await everything()).not.toContain('hush')
  })

  it('stays in every partition, though the columns stand in another order there', async () => {
    await source.run(`
      create table public.logins (id int, secret text, name text, primary key (id)) partition by range (id);
      create table public.logins_1 (name text, id int not null, secret text);
      alter table public.logins attach partition public.logins_1 for values from (0) to (10)`)
    await source.run(`select afluente.capture_table('public.logins', exclude => array['secret'], with_before => true)`)
    await source.run(`insert into public.logins values (1, 'hush', 'Ana'); insert into public.logins_1 (id, secret, name) values (2, 'hush', 'Rui')`)
    await source.run(
      `update public.logins_1 set name = 'Eva'; update public.logins set secret = 'hush!'; delete from public.logins_1 where id = 1; truncate public.logins_1`,
    )
    const rows = await source.outbox('public.logins')
    expect(
      new Set(rows.flatMap(({ before, after }) => [before, after]).flatMap((image) => (image === null ? [] : Object.keys(JSON.parse(image) as object)))),
    ).toEqual(new Set(['id', 'name']))
    expect(await everything()).not.toContain('hush')
  })

  it('stays when something fails: neither the note of it nor the server’s log has a row’s values', async () => {
    const quoting = [
      `alter table afluente.outbox add constraint c check ((coalesce(after, before) ->> 'name')::int > 0)`,
      `alter table afluente.outbox add constraint c check (false)`,
      `alter table afluente.outbox add column c int not null`,
      `create function public.no() returns trigger language plpgsql as $$ begin raise exception 'no: %', new; end $$; create trigger no before insert on afluente.outbox for each row execute function public.no()`,
      'alter table afluente.outbox add constraint c check (false); drop table afluente.failures',
    ]
    for (const sabotage of quoting) {
      await superuser.run(
        `begin; ${sabotage}; insert into public.people values (1, 'hush', 'Ana'); update public.people set secret = 'hush hush'; truncate public.people`,
      )
      if (!sabotage.endsWith('failures')) expect(Number(await superuser.value('select count(*) from afluente.failures'))).toBe(3)
      if (!sabotage.endsWith('failures')) expect(JSON.stringify(await superuser.run('select * from afluente.failures'))).not.toMatch(/hush|Ana/)
      await superuser.run('rollback')
    }
    const log = readFileSync(`${await superuser.value('show data_directory')}/../log`, 'utf8')
    expect(log).toContain('could not be noted')
    expect(log).not.toMatch(/hush|Ana/)
  })
})
