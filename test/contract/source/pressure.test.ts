/** The outbox while Kafka is away for long: its budget, and how fast a claim stays. */
import { beforeEach, describe, expect, it } from 'vitest'
import { acknowledge, backlog, type ClaimedRow, held, freshSource, type Session, tableState } from '../../support/source.ts'
import { assertLateCommitsAreFound, assertLooksStayShort, assertOutboxKeepsToItsBudget, measureAnew, stateOf } from '../../support/source-properties.ts'

const source = freshSource()

beforeEach(async () => {
  await source.run(`create table public.items (id int primary key, name text); select afluente.capture_table('public.items')`)
})

const table = async (name = 'public.items') => (await backlog(source)).tables.find((one) => one.table === name)

/** Everything that waits, claimed and acknowledged as a capture does it. */
async function drain(session: Session): Promise<readonly ClaimedRow[]> {
  const rows: ClaimedRow[] = []
  for (;;) {
    const claimed = await held(session, 'capture')
    if (claimed.rows.length === 0) return rows
    rows.push(...claimed.rows)
    await acknowledge(
      session,
      claimed.epoch,
      claimed.rows.map(([version]) => version),
    )
  }
}

describe('above its budget the outbox', () => {
  it('keeps keys only and marks the table; once Kafka is back the rows go out as they stand, in version order', async () => {
    await assertOutboxKeepsToItsBudget(source)
    expect(await table()).toMatchObject({ keysOnlySince: expect.stringMatching(/Z$/), failures: 0, reconcileSince: null })
    expect(await table('public.leads')).toMatchObject({ keysOnlySince: null })
    const rows = await drain(source)
    const versions = rows.map(([version]) => version)
    expect(versions).toEqual(versions.toSorted((a, b) => a - b))
    expect(stateOf(rows)).toEqual(await tableState(source, 'public.items', 'id'))
    expect(new Set(rows.filter(([, , , , op, , after]) => op === 'update' && after === null))).toEqual(new Set())
  })

  it('tells reads from changes: what was kept whole goes out as it was, the rest as a read or a delete', async () => {
    await source.run(`insert into public.items values (1, 'a'), (2, 'b')`)
    await source.run('select afluente.set_outbox_budget(1)')
    // Four times one byte is soon reached, so only this much is let in at a time.
    await source.run(`select setval('afluente.outbox_measured', 4 * (extract(epoch from clock_timestamp()) * 1000)::bigint + 1)`)
    await source.run(`update public.items set name = 'A' where id = 1; delete from public.items where id = 2; insert into public.items values (3, 'c')`)
    expect((await drain(source)).map(([, , , key, op, before, after]) => [key, op, before, after])).toEqual([
      ['[1]', 'insert', null, '{"id":1,"name":"a"}'],
      ['[2]', 'insert', null, '{"id":2,"name":"b"}'],
      ['[1]', 'read', null, '{"id":1,"name":"A"}'],
      ['[2]', 'delete', null, null],
      ['[3]', 'read', null, '{"id":3,"name":"c"}'],
    ])
  })

  it('goes back to images once there is room, and not at the first byte', async () => {
    await source.run(`insert into public.items select n, repeat('x', 1000) from generate_series(1, 300) n`)
    await source.run('select afluente.set_outbox_budget(200000)')
    expect((await backlog(source)).keeps).toBe('keys')
    await source.run('delete from afluente.outbox where version in (select version from afluente.outbox order by version limit 160)')
    expect((await backlog(source)).keeps).toBe('keys')
    await source.run('delete from afluente.outbox where version in (select version from afluente.outbox order by version limit 30)')
    expect((await backlog(source)).keeps).toBe('images')
  })

  it('is measured by what waits, not by what its files hold', async () => {
    await source.run(`insert into public.items select n, repeat('x', 1000) from generate_series(1, 3000) n`)
    await source.emptyOutbox()
    await source.run('select afluente.set_outbox_budget(200000)')
    expect(Number(await source.value(`select pg_table_size('afluente.outbox')`))).toBeGreaterThan(3_000_000)
    expect((await backlog(source)).keeps).toBe('images')
  })

  it('keeps nothing four times above: the table is marked, users go on, and deletes of a TRUNCATE count as a failure', async () => {
    await source.run(`insert into public.items values (1, 'a')`)
    await source.run('select afluente.set_outbox_budget(1)')
    expect((await backlog(source)).keeps).toBe('nothing')
    await source.emptyOutbox()
    await source.run(`select setval('afluente.outbox_measured', 4 * (extract(epoch from clock_timestamp()) * 1000)::bigint + 2)`)
    await source.run(`insert into public.items values (2, 'b')`)
    await source.run(`insert into public.items values (3, 'c')`)
    expect(await source.outbox()).toEqual([])
    expect(await table()).toMatchObject({ failures: 1, lastFailure: expect.stringMatching(/^53100: the outbox/), reconcileSince: expect.any(String) })
    expect(await source.value('select count(*) from public.items')).toBe('3')
  })

  it('is set in whole bytes above zero', async () => {
    await expect(source.run('select afluente.set_outbox_budget(0)')).rejects.toThrow('an outbox budget of 0 bytes')
    await expect(source.run('select afluente.set_outbox_budget(null)')).rejects.toThrow('an outbox budget of null bytes')
  })
})

describe('a row that was kept by its key', () => {
  /** Captures with keys only from the first change. */
  async function keysOnly(): Promise<void> {
    await source.run('select afluente.set_outbox_budget(1000000000)')
    await source.run(`select setval('afluente.outbox_measured', 4 * (extract(epoch from clock_timestamp()) * 1000)::bigint + 1)`)
  }

  it.each([
    ['int', '7', '8'],
    ['bigint', '9007199254740993', '9007199254740992'],
    ['text', `'a"],["b'`, `'a\\'`],
    ['uuid', `'00000000-0000-0000-0000-00000000000a'`, `'00000000-0000-0000-0000-00000000000b'`],
    ['numeric', '1.00', '1.10'],
    ['timestamptz', `'2026-01-01 00:00:00.000001+05:30'`, `'infinity'`],
    ['bytea', String.raw`'\x00ff'`, String.raw`'\x'`],
    ['float8', '0.1', `'NaN'`],
    ['boolean', 'true', 'false'],
    ['date', `'0044-03-15 BC'`, `'-infinity'`],
    ['int[]', `'{1,2}'`, `'{}'`],
    ['text collate "C"', `'ä'`, `'Ä'`],
    ['interval', `'1 mon 2 days'`, `'-1 days'`],
    ['jsonb', `'{"a": 1}'`, `'null'`],
  ])('is found again under a key of %s', async (type, one, other) => {
    await source.run(`create table public.keyed (id ${type} primary key, n int); select afluente.capture_table('public.keyed')`)
    await keysOnly()
    const odd = await source.connect()
    await odd.run(
      `set timezone = 'Asia/Kolkata'; set datestyle = 'German'; set intervalstyle = 'iso_8601'; set extra_float_digits = 0; set bytea_output = 'escape'`,
    )
    await odd.run(`insert into public.keyed values (${one}, 1), (${other}, 2); update public.keyed set n = n + 1; delete from public.keyed where n = 3`)
    const rows = (await drain(source)).filter(([, name]) => name === 'public.keyed')
    expect(rows.map(([, , , , op]) => op).toSorted()).toEqual(['delete', 'delete', 'delete', 'read', 'read'])
    expect(stateOf(rows)).toEqual(await tableStateUtc('public.keyed'))
  })

  it('is found under a key of several columns, of an enum, a domain and citext, in a partitioned table', async () => {
    const superuser = await source.connect('superuser')
    await superuser.run('create extension if not exists citext')
    await source.run(`
      create type public.mood as enum ('sad', 'so "so"'); create domain public.code as text not null check (length(value) = 2);
      create table public.many (m public.mood, c public.code, t citext, n int, primary key (t, c, m)) partition by list (m);
      create table public.many_sad partition of public.many for values in ('sad'); create table public.many_so partition of public.many default;
      select afluente.capture_table('public.many')`)
    await keysOnly()
    await source.run(`insert into public.many values ('sad', 'ab', 'X', 1), ('so "so"', 'cd', 'y', 2); update public.many set t = 'x' where t = 'X'`)
    expect(stateOf(await drain(source))).toEqual(await tableState(source, 'public.many', 't, c, m'))
  })

  it('leaves excluded columns behind', async () => {
    await source.run(`create table public.people (id int primary key, secret text); select afluente.capture_table('public.people', exclude => '{secret}')`)
    await keysOnly()
    await source.run(`insert into public.people values (1, 'hush')`)
    expect((await drain(source)).map(([, , , , , , after]) => after)).toEqual(['{"id":1}'])
  })

  it('of a table that was dropped meanwhile goes out as a read without an image, and counts as a failure', async () => {
    await source.run(`create table public.gone (id int primary key); select afluente.capture_table('public.gone')`)
    await keysOnly()
    await source.run('insert into public.gone values (1); insert into public.items values (1); drop table public.gone')
    expect((await drain(source)).map(([, name, , , op, , after]) => [name, op, after])).toEqual([
      ['public.gone', 'read', null],
      ['public.items', 'read', '{"id":1,"name":null}'],
    ])
    expect(await table('public.gone')).toMatchObject({ failures: 1 })
  })

  it('comes in bounded claims: 250 of them, and no more bytes than asked for', async () => {
    await keysOnly()
    await source.run(`insert into public.items select n, repeat('x', 1000) from generate_series(1, 600) n`)
    const first = await held(source, 'capture')
    expect([first.rows.length, first.more]).toEqual([250, true])
    const small = await held(source, 'capture', { max_bytes: 5_000 })
    expect([small.rows.length, small.more]).toEqual([4, true])
    expect(stateOf(await drain(source))).toEqual(await tableState(source, 'public.items', 'id'))
  })

  async function tableStateUtc(name: string) {
    const session = await source.connect()
    await session.run(`set timezone = 'UTC'`)
    return tableState(session, name, 'id')
  }
})

describe('a claim', () => {
  it('reads no more of a long outbox than it answers: in order straight from the index, without a sort', async () => {
    await source.run(`insert into public.items select n, 'x' from generate_series(1, 20000) n; analyze afluente.outbox`)
    await held(source, 'capture')
    const read = async () =>
      Number(await source.value(`select idx_tup_fetch + seq_tup_read from pg_stat_xact_user_tables where relid = 'afluente.outbox'::regclass`))
    await source.run('begin')
    const before = await read()
    expect((await held(source, 'capture')).rows).toHaveLength(1000)
    expect((await read()) - before).toBe(1001)
    await source.run('rollback')
  })

  it('looks past what left the shard long ago, though an old snapshot keeps vacuum from removing it', async () => {
    await assertLooksStayShort(source)
  })

  it('never looks past a change that may still be committed', async () => {
    await assertLateCommitsAreFound(source)
  })

  it('never looks past a change that was prepared', async () => {
    const late = await source.connect()
    await late.run(`begin; insert into public.items values (0, 'late'); prepare transaction 'late'`)
    for (let round = 1; round <= 4; round += 1) {
      await source.run(`insert into public.items values (${round})`)
      await drain(source)
      await renew(source)
    }
    await late.run(`commit prepared 'late'`)
    expect((await drain(source)).map(([, , , key]) => key)).toEqual(['[0]'])
  })

  it('never looks past what was claimed and not acknowledged', async () => {
    await source.run('insert into public.items values (1), (2)')
    for (let round = 1; round <= 4; round += 1) {
      await held(source, 'a')
      await renew(source)
    }
    expect((await held(source, 'b')).rows).toHaveLength(2)
  })

  it('proves nothing inside a transaction that had written before', async () => {
    await source.run('begin; insert into public.items values (1)')
    await held(source, 'a')
    expect(await source.value('select horizon_xid is null from afluente.shards')).toBe('t')
    await source.run('rollback')
  })

  /** Lets the lease run out, so that the next claim takes it anew. */
  async function renew(session: Session): Promise<void> {
    await session.run(`update afluente.shards set leased_until = clock_timestamp(), owner = 'somebody'`)
  }
})

describe('changes of one key', () => {
  it('kept whole, by key and whole again, end as the table is', async () => {
    await source.run(`insert into public.items values (1, 'a')`)
    await measureAnew(source, 1)
    await source.run(`update public.items set name = 'b'`)
    await measureAnew(source, 0)
    await source.run(`update public.items set name = 'c'`)
    const rows = await drain(source)
    expect(rows.map(([, , , , op, , after]) => [op, after])).toEqual([
      ['insert', '{"id":1,"name":"a"}'],
      ['read', '{"id":1,"name":"c"}'],
      ['update', '{"id":1,"name":"c"}'],
    ])
    expect(stateOf(rows)).toEqual(await tableState(source, 'public.items', 'id'))
  })
})
