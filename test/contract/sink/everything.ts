/** A table with a column of each type, and rows with what each of them can hold. */
import type { SourceTable } from '../../../shared/tables/table.ts'

export const everything: SourceTable = {
  schema: 'public',
  name: 'everything',
  key: ['id'],
  columns: {
    id: 'bigint',
    u: 'uuid',
    t: 'text',
    s: 'smallint',
    i: 'integer',
    n: 'numeric',
    money: 'numeric(14,2)',
    r: 'real',
    d: 'double precision',
    b: 'boolean',
    day: 'date',
    clock: 'time',
    local: 'timestamp',
    moment: 'timestamptz',
    span: 'interval',
    j: 'json',
    jb: 'jsonb',
    bytes: 'bytea',
    ip: 'inet',
    mood: 'enum',
    'Odd "name"': 'text',
    texts: 'text[]',
    numbers: 'numeric[]',
    moments: 'timestamptz[]',
    documents: 'jsonb[]',
    moods: 'enum[]',
  },
}

export const everythingSql = `
  create type public.mood as enum ('happy', 'so so');
  create table public.everything (id bigint primary key, u uuid, t text, s smallint, i integer, n numeric, money numeric(14,2), r real, d double precision, b boolean, day date, clock time, local timestamp,
    moment timestamptz, span interval, j json, jb jsonb, bytes bytea, ip inet, mood public.mood, "Odd ""name""" text, texts text[], numbers numeric[], moments timestamptz[], documents jsonb[], moods public.mood[]);`

/** By what they show, as the values of an INSERT. */
export const everythingRows: Readonly<Record<string, string>> = {
  'nothing but its key': `1, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null`,
  'ordinary values': `2, '6f2c1a4e-0000-4000-8000-00000000abcd', 'Ana', 7, 70000, 1.5, 1234.50, 1.5, 2.25, true, '2026-11-22', '18:00:00.123456', '2026-11-22 18:00:00.123456', '2026-11-22 18:00:00.123456+03',
    '1 year 2 mons 3 days 04:05:06.789', '{"a":1}', '{"b":[1,{"c":null}]}', '\\x00ff10', '10.0.0.1/8', 'happy', 'x', '{a,b}', '{1.10,2}', '{2026-11-22 18:00:00+00}', array['{"a":1}'::jsonb, '[1]'], '{happy,"so so"}'`,
  'numbers at their ends': `9223372036854775807, null, null, -32768, -2147483648, 123456789012345678901234567890.123456789012345678901234567890, 999999999999.99, 3.4028235e38, 1.7976931348623157e308, false, null, null, null, null, null,
    null, null, null, null, null, null, null, '{NaN,-0.10,1e30}', null, null, null`,
  'numbers that are none': `4, null, null, null, null, 'NaN', 'NaN', 'Infinity', '-Infinity', null, null, null, null, null, null, null, null, null, null, null, null, null, '{Infinity}', null, null, null`,
  'doubles with many digits': `5, null, null, null, null, 0.10, 0.10, 0.1, 0.1::float8 + 0.2::float8, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null`,
  'times at their ends': `6, null, null, null, null, null, null, null, null, null, 'infinity', '24:00:00', '-infinity', 'infinity', '-178000000 years', null, null, null, null, null, null, null, null, '{-infinity,infinity,NULL}', null, null`,
  'times before Christ': `7, null, null, null, null, null, null, null, null, null, '0044-03-15 BC', '00:00:00.000001', '0044-03-15 12:00:00.000001 BC', '0044-03-15 12:00:00+00 BC', '-1 day +02:03:04', null, null, null, null, null, null, null, null, null, null, null`,
  'text that looks like something else': `8, null, E'quote " back \\\\ line\\nbreak\\ttab \\u0001 \\u2028 😀 },{ null', null, null, null, null, null, null, null, null, null, null, null, null, '"a string"', '"a string"', '\\x', '::1', null, '', '{"null",NULL,"","a,b","{x}","\\"q\\"","back\\\\slash"}', null, null, null, null`,
  'json that only json can hold': `9, null, null, null, null, null, null, null, null, null, null, null, null, null, null, '{"z": 1, "a":"\\u0000", "a" : "\\ud800", "big":1e200000, "n": 12345678901234567890.10}', '{"n": 12345678901234567890.10}', null, null, null, null, null, null, null, null, null`,
  'json whose whole value is a string with a NUL': `10, null, null, null, null, null, null, null, null, null, null, null, null, null, null, '"\\u0000"', 'true', null, null, null, null, null, null, null, null, null`,
  'json of some lines': `11, null, null, null, null, null, null, null, null, null, null, null, null, null, null, E'{\\n  "a" : [1,\\n 2]}', '[]', null, null, null, null, null, null, null, array['"s"'::jsonb, '[[1]]'], null`,
  'arrays of two dimensions, and empty ones': `12, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, '{{a,b},{NULL,"d e"}}', '{}', '{}', '{}', '{}'`,
}
