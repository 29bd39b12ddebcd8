/** A row's text leaves the source exactly as Postgres holds it, whatever the types and whatever the session's settings. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { held, openSource, type Source } from '../../support/source.ts'

let postgres: TestPostgres
let source: Source

beforeAll(async () => {
  postgres = await startPostgres()
  source = await openSource(postgres)
  await source.run(`
    create type public.mood as enum ('calm', 'São "quoted"');
    create table public.everything (
      id bigint primary key, huge numeric, big bigint, small smallint, list text[], grid int[][], raw json, tidy jsonb, state public.mood,
      bytes bytea, moment timestamptz, local timestamp, day date, span interval, double float8, single float4, truth boolean, words text
    );
    select afluente.capture_table('public.everything')`)
})
afterAll(async () => {
  await source.close()
  await postgres.stop()
})

/** The image that claim hands out for a row with these columns. */
async function imageOf(columns: string, values: string): Promise<string> {
  await source.run('delete from public.everything')
  await source.emptyOutbox()
  await source.run(`insert into public.everything (id, ${columns}) values (9007199254740993, ${values})`)
  const { rows } = await held(source, 'images')
  expect(rows).toHaveLength(1)
  return rows[0]?.[6] ?? ''
}

describe('an image is exact for', () => {
  it.each([
    [
      'a numeric of 30 digits',
      'huge',
      '123456789012345678901234567890.123456789012345678901234567890',
      '123456789012345678901234567890.123456789012345678901234567890',
    ],
    ['a numeric that is no number', 'huge', `'NaN'`, '"NaN"'],
    ['a numeric without end', 'huge', `'-Infinity'`, '"-Infinity"'],
    ['a bigint beyond 2^53', 'big', '9223372036854775807', '9223372036854775807'],
    ['an array with odd texts', 'list', `array['a,b', null, '"', '{}', '']`, '["a,b",null,"\\"","{}",""]'],
    ['an array of arrays', 'grid', `'{{1,2},{3,4}}'`, '[[1,2],[3,4]]'],
    ['json with double keys, order and space', 'raw', `E'{ "b": 1,\\n  "a":2, "b" : 3.10 }'`, '{ "b": 1,\n  "a":2, "b" : 3.10 }'],
    ['json with a null character and a number beyond all types', 'raw', `'{"x":"\\u0000","n":1e200000}'`, '{"x":"\\u0000","n":1e200000}'],
    ['jsonb', 'tidy', `'{"b": [1, {"c": null}], "a": 1.50}'`, '{"a": 1.50, "b": [1, {"c": null}]}'],
    ['an enum', 'state', `'São "quoted"'`, '"São \\"quoted\\""'],
    ['bytea', 'bytes', `'\\x00ff5c'`, '"\\\\x00ff5c"'],
    ['a time without end', 'moment', `'infinity'`, '"infinity"'],
    ['a time without beginning', 'moment', `'-infinity'`, '"-infinity"'],
    ['a time with microseconds', 'moment', `'2026-03-01 23:59:59.999999-03'`, '"2026-03-02T02:59:59.999999+00:00"'],
    ['a time before Christ', 'local', `'0044-03-15 12:00:00 BC'`, '"0044-03-15T12:00:00 BC"'],
    ['a day without end', 'day', `'infinity'`, '"infinity"'],
    ['an interval', 'span', `'-1 year 2 mons -3 days 04:05:06.7'`, '"-10 mons -3 days +04:05:06.7"'],
    ['a double', 'double', '0.1::float8 + 0.2::float8', '0.30000000000000004'],
    ['a double that is no number', 'double', `'NaN'`, '"NaN"'],
    ['a real', 'single', '1.1', '1.1'],
    ['NULL', 'words', 'null', 'null'],
    ['text with control characters', 'words', `E'tab\\t line\\n quote" back\\\\ \\u2028 emoji 🌊'`, '"tab\\t line\\n quote\\" back\\\\ \u2028 emoji 🌊"'],
  ])('%s', async (_, column, value, text) => {
    const image = await imageOf(column, value)
    expect(image).toContain(`"${column}":${text}${column === 'words' ? '}' : ','}`)
    expect(image).toContain('"id":9007199254740993,')
  })

  it('a row of 1 MB', async () => {
    const words = `'${'água, '.repeat(160_000)}'`
    const image = await imageOf('words', words)
    expect(JSON.parse(image)).toMatchObject({ words: 'água, '.repeat(160_000) })
  })

  it('a table whose columns bear the names of everything in the trigger', async () => {
    await source.run(`
      create table public.odd (id int primary key, r text, touched int, present text, moment text, image text, key text, key1 text, afluente_new text, gone int, "Tab le%s" text);
      alter table public.odd drop column gone;
      select afluente.capture_table('public.odd', topic => 'odd')`)
    await source.emptyOutbox()
    await source.run(`insert into public.odd values (1, 'r', 2, 'p', 'm', 'i', 'k', 'k1', 'n', 't'); update public.odd set r = 's'; delete from public.odd`)
    const image = '{"id":1,"r":"s","touched":2,"present":"p","moment":"m","image":"i","key":"k","key1":"k1","afluente_new":"n","Tab le%s":"t"}'
    expect((await source.outbox()).map(({ op, before, after }) => ({ op, before, after }))).toEqual([
      { op: 'insert', before: null, after: image.replace('"s"', '"r"') },
      { op: 'update', before: null, after: image },
      { op: 'delete', before: image, after: null },
    ])
  })
})

describe('whatever the session set', () => {
  it('keys and images are the same text', async () => {
    await source.run(`
      create table public.timed (at timestamptz, ratio float8, span interval, code bytea, day date, primary key (at, ratio, span, code, day));
      select afluente.capture_table('public.timed', with_before => true)`)
    await source.emptyOutbox()
    const odd = await source.connect()
    await odd.run(`
      set timezone = 'Asia/Kolkata'; set datestyle = 'German, DMY'; set intervalstyle = 'sql_standard'; set extra_float_digits = -15;
      set bytea_output = 'escape'; set search_path = pg_temp; set quote_all_identifiers = on`)
    const values = `('2026-01-31 22:30:00.5+00', 0.1::float8 + 0.2::float8, '1 day 2 hours', '\\xdeadbeef', '2026-01-31')`
    await source.run(`insert into public.timed values ${values}`)
    await odd.run('delete from public.timed')
    await odd.run(`insert into public.timed values ${values}`)
    await source.run('truncate public.timed')
    const rows = await source.outbox('public.timed')
    expect(new Set(rows.map((row) => row.key))).toEqual(
      new Set(['["2026-01-31T22:30:00.5+00:00", 0.30000000000000004, "1 day 02:00:00", "\\\\xdeadbeef", "2026-01-31"]']),
    )
    expect(rows.map((row) => row.op)).toEqual(['insert', 'delete', 'insert', 'delete'])
    expect(new Set(rows.map((row) => row.before ?? row.after)).size).toBe(1)
  })
})

describe('an excluded column', () => {
  it('never leaves, not even under a new name; the others stand byte for byte', async () => {
    await source.run(`
      create table public.people (id int primary key, secret text, raw json, name text);
      select afluente.capture_table('public.people', exclude => array['secret'], with_before => true)`)
    await source.emptyOutbox()
    await source.run(`insert into public.people values (1, 'hush', '{ "b": 1, "b":2 }', 'Ana')`)
    await source.run('alter table public.people rename column secret to hidden_now; alter table public.people add column age int')
    await source.run('update public.people set age = 3, hidden_now = $$hush hush$$; delete from public.people')
    await source.run(`insert into public.people values (2, 'hush', null, null, null); truncate public.people`)
    const rows = await source.outbox('public.people')
    expect(rows.map((row) => [row.op, row.before, row.after])).toEqual([
      ['insert', null, '{"id":1,"raw":{ "b": 1, "b":2 },"name":"Ana"}'],
      ['update', '{"id":1,"raw":{ "b": 1, "b":2 },"name":"Ana","age":null}', '{"id":1,"raw":{ "b": 1, "b":2 },"name":"Ana","age":3}'],
      ['delete', '{"id":1,"raw":{ "b": 1, "b":2 },"name":"Ana","age":3}', null],
      ['insert', null, '{"id":2,"raw":null,"name":null,"age":null}'],
      ['delete', '{"id":2,"raw":null,"name":null,"age":null}', null],
    ])
    expect(JSON.stringify(rows)).not.toContain('hush')
  })
})
