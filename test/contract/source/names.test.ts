/** Names made to break out of quotes: nothing in them is ever run, or taken for something else. */
import { beforeEach, describe, expect, it } from 'vitest'
import { backlog, held, freshSource } from '../../support/source.ts'

const source = freshSource()

beforeEach(async () => {
  await source.run('create table public.victim (id int)')
})

const identifier = (name: string) => `"${name.replaceAll('"', '""')}"`
const literal = (text: string) => `'${text.replaceAll("'", "''")}'`

/** At most 63 bytes each, as Postgres cuts them off. */
const hostile = [
  `a"; drop table public.victim; --`,
  `a'; drop table public.victim; --`,
  `a'); drop table public.victim; --`,
  '$capture$; drop table public.victim; $capture$',
  '$function$; drop table victim; $function$',
  '$change$ $read$ $triggers$ $insert$',
  '{table} {name} {topic} {key text}',
  '{same key} {image} {rows} {where}',
  '{relation} {function} {reader}',
  '{hidden} {op} {before} {quote}',
  '%I %L %s %1$s %2$I %% %',
  "a\\b \\ \\' $1 $2 :x ?",
  'a\nb\tc\r\n-- d',
  '/* a */ -- b',
  'Maiúsculas e espaços 🌊',
  'ã'.repeat(31),
  'x'.repeat(63),
  'select',
  '.',
  ' ',
  '"',
  "'",
  'a.b',
  'pg_temp',
]

/** Inserts, updates, changes a key, deletes, truncates; the stream must say so, and the other table must live. */
async function assertCaptured(table: string, key: string, column: string, raw: string): Promise<void> {
  expect((await backlog(source)).tables.find((entry) => entry.table === raw)).toMatchObject({ failures: 0, problem: null })
  await source.run(`insert into ${table} (${key}, ${column}) values (1, 'a'), (2, 'b')`)
  await source.run(`update ${table} set ${column} = 'c' where ${key} = 1`)
  await source.run(`update ${table} set ${key} = 3 where ${key} = 1`)
  await source.run(`delete from ${table} where ${key} = 3`)
  await source.run(`truncate ${table}`)
  expect((await source.outbox()).map(({ op, source_table, key: text }) => [op, source_table, text])).toEqual([
    ['insert', raw, '[1]'],
    ['insert', raw, '[2]'],
    ['update', raw, '[1]'],
    ['delete', raw, '[1]'],
    ['insert', raw, '[3]'],
    ['delete', raw, '[3]'],
    ['delete', raw, '[2]'],
  ])
  expect((await held(source, 'names')).rows).toHaveLength(7)
  expect((await backlog(source)).tables.find((entry) => entry.table === raw)).toMatchObject({ failures: 0, problem: null })
  await source.run('select from public.victim')
}

describe('a hostile name', () => {
  it.each(hostile)('of everything at once: schema, table, key, columns, the excluded one: %j', async (name) => {
    const quoted = identifier(name)
    const raw = `${name}.${name}`
    const [secret, other] = [identifier(`s${name.slice(0, 20)}`), identifier(`o${name.slice(0, 20)}`)]
    if (name.startsWith('pg_'))
      await source.run(`create schema ${identifier('a_pg')}; create table a_pg.${quoted} (${quoted} int primary key, ${other} text, ${secret} text)`)
    else await source.run(`create schema ${quoted}; create table ${quoted}.${quoted} (${quoted} int primary key, ${other} text, ${secret} text default 'hush')`)
    const [table, full] = name.startsWith('pg_') ? [`a_pg.${quoted}`, `a_pg.${name}`] : [`${quoted}.${quoted}`, raw]
    const install = `select afluente.capture_table(${literal(table)}, 'topic', array[${literal(`s${name.slice(0, 20)}`)}], true)`
    await source.run(install)
    await source.run(install)
    await assertCaptured(table, quoted, other, full)
    const rows = await source.outbox()
    expect(Object.keys(JSON.parse(rows[0]?.after ?? '{}') as object)).toEqual([name, `o${name.slice(0, 20)}`])
    expect(JSON.stringify(rows)).not.toContain('hush')
    await source.run(`select afluente.release_table(${literal(table)})`)
    expect(await source.value(`select count(*) from pg_trigger where tgrelid = ${literal(table)}::regclass`)).toBe('0')
  })

  it.each(hostile)('of a partition: %j', async (name) => {
    const quoted = identifier(name)
    await source.run(`
      create table public.root (id int primary key, name text) partition by range (id);
      create table public.${quoted} partition of public.root for values from (0) to (100)`)
    await source.run(`select afluente.capture_table('public.root', topic => 'topic')`)
    await assertCaptured(`public.${quoted}`, 'id', 'name', 'public.root')
    await source.run(`alter table public.root detach partition public.${quoted}`)
    expect((await backlog(source)).tables.find((entry) => entry.table === 'public.root')).toMatchObject({ problem: null })
    expect(await source.value(`select count(*) from pg_trigger where tgrelid = ${literal(`public.${quoted}`)}::regclass`)).toBe('0')
  })
})

describe('keys of hostile types', () => {
  it('an enum, a domain and a collation with quotes in their names, in a schema of such a name', async () => {
    await source.run(`
      create schema "a""b'c"; create type "a""b'c"."m""o'o%sd" as enum ('x'); create domain "a""b'c"."d{name}" as text;
      create collation "a""b'c"."c$capture$" (provider = icu, locale = 'und');
      create table "a""b'c".t (a "a""b'c"."m""o'o%sd", b "a""b'c"."d{name}", c text collate "a""b'c"."c$capture$", n int, primary key (a, b, c))`)
    await source.run(`select afluente.capture_table('"a""b''c".t', topic => 'topic')`)
    await source.run(`insert into "a""b'c".t values ('x', 'y', 'z', 1); update "a""b'c".t set n = 2`)
    expect((await source.outbox()).map(({ op, key }) => [op, key])).toEqual([
      ['insert', '["x", "y", "z"]'],
      ['update', '["x", "y", "z"]'],
    ])
    // The reader of rows whose image was left out names the types as well.
    await source.run('update afluente.outbox set after = null')
    expect((await held(source, 'names')).rows.map((row) => [row[4], row[6]])).toEqual(
      Array.from({ length: 2 }, () => ['read', '{"a":"x","b":"y","c":"z","n":2}']),
    )
  })
})

describe('two names that look alike', () => {
  it.each([[['a_b', 'a b']], [['A', 'a']], [['x'.repeat(62) + 'y', 'x'.repeat(62) + 'z']], [['ação', 'acao']]])(
    '%j have functions of their own',
    async (names) => {
      for (const name of names)
        await source.run(
          `create table public.${identifier(name)} (id int primary key); select afluente.capture_table(${literal(`public.${identifier(name)}`)}, topic => 'topic')`,
        )
      for (const name of names) await source.run(`insert into public.${identifier(name)} values (1)`)
      expect((await source.outbox()).map((row) => row.source_table)).toEqual(names.map((name) => `public.${name}`))
    },
  )

  it('a point in the names of two tables, which give one name together: the second is refused', async () => {
    await source.run(`create schema a; create schema "a.b"; create table a."b.c" (id int primary key); create table "a.b".c (id int primary key)`)
    await source.run(`select afluente.capture_table('a."b.c"')`)
    await expect(source.run(`select afluente.capture_table('"a.b".c')`)).rejects.toThrow(/^afluente: "a\.b"\.c and a\."b\.c" would both be called a\.b\.c$/)
  })
})
