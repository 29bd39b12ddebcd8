/** Column types and small pools of their values, so that statements meet each other's rows. */
import type { Random } from './random.ts'

export interface Kind {
  readonly sql: string
  /** Each entry is one value in all its spellings: equal to Postgres, and perhaps printed differently. */
  readonly values: readonly (readonly string[])[]
}

/** The schema that random tables live in, and those of types that must be made there. */
export const SCHEMA = 'fuzz'

export const typesOfSchema = `
create type fuzz.mood as enum ('sad', 'so "so"', 'happy');
create domain fuzz.amount as numeric check (value <> -1);
create collation fuzz.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);`

const one = (...values: string[]) => values.map((value) => [value])

const int: Kind = { sql: 'int', values: one('1', '2', '3', '4', '-5') }
const bigint: Kind = { sql: 'bigint', values: one('9007199254740993', '9007199254740992', '-9223372036854775808', '9223372036854775807', '7') }
const text: Kind = { sql: 'text', values: one('a', 'a"b', '["a"]', 'a\\b', "it's", 'é☃😀', '', 'a, b', 'line\nbreak') }
const uuid: Kind = { sql: 'uuid', values: ['1', '2', '3', 'a'].map((end) => [end, end.toUpperCase()].map((e) => `00000000-0000-0000-0000-00000000000${e}`)) }
const numeric: Kind = { sql: 'numeric', values: [['1', '1.0', '1.00'], ['2.5', '2.50'], ['0', '0.000'], ['12345678901234567890.123'], ['NaN']] }
const timestamptz: Kind = {
  sql: 'timestamptz',
  values: [
    ['2026-01-01 00:00:00+00', '2025-12-31 19:00:00-05', '2026-01-01 05:30:00+05:30'],
    ['2026-07-01 12:00:00.123456+00', '2026-07-01 09:00:00.123456-03'],
    ['infinity'],
    // Which moment this is depends on the session's time zone.
    ['2026-03-03 03:03:03'],
  ],
}
const date: Kind = { sql: 'date', values: one('2026-01-02', '2026-02-01', 'infinity', '0044-03-15 BC') }
const boolean: Kind = { sql: 'boolean', values: [['true', 't', 'yes'], ['false']] }
const bytea: Kind = { sql: 'bytea', values: [['\\x00ff', '\\000\\377'], ['\\x'], ['\\x5c22'], ['\\x61', 'a']] }
const mood: Kind = { sql: 'fuzz.mood', values: one('sad', 'so "so"', 'happy') }
const citext: Kind = { sql: 'extensions.citext', values: [['ana', 'Ana', 'ANA'], ['rui', 'RUI'], ['"x"', '"X"'], ['']] }
const float8: Kind = { sql: 'float8', values: [['0.1'], ['0.30000000000000004'], ['0', '-0'], ['1e300'], ['NaN'], ['-1e-320']] }
const amount: Kind = { sql: 'fuzz.amount', values: [['1', '1.0'], ['3', '3.000'], ['7']] }
const loose: Kind = { sql: 'text collate fuzz.loose', values: [['ana', 'Ana', 'ANA'], ['é', 'É'], ['b']] }
const interval: Kind = { sql: 'interval', values: [['1 day', '24 hours'], ['1 mon', '30 days'], ['1 year 2 mons 3.5 secs']] }
const jsonb: Kind = { sql: 'jsonb', values: [['1', '1.0'], ['{"a": [1, "x"]}', '{"a": [1.00, "x"]}'], ['null'], ['"\\"["']] }
const ints: Kind = { sql: 'int[]', values: one('{1,2}', '{}', '{NULL}', '{{1},{2}}') }
const inet: Kind = { sql: 'inet', values: [['10.0.0.1', '10.0.0.1/32'], ['10.0.0.0/8'], ['::1']] }
const chars: Kind = { sql: 'char(3)', values: [['a', 'a  '], ['b"'], ['ccc']] }
const range: Kind = { sql: 'numrange', values: [['[1,2)', '[1.0,2.00)'], ['empty'], ['(,5]']] }
const smallint: Kind = { sql: 'smallint', values: one('1', '2', '-32768') }
const timestamp: Kind = { sql: 'timestamp', values: one('2026-01-01 00:00:00', '-infinity', '2026-01-01 00:00:00.000001') }

/** Common ones come more often. */
const keyKinds: readonly Kind[] = [
  [int, int, int, bigint, text, text, uuid, numeric, numeric, timestamptz, timestamptz, date, boolean, bytea, mood, citext, citext, float8],
  [amount, loose, interval, jsonb, ints, inet, chars, range, smallint, timestamp],
].flat()

const json: Kind = { sql: 'json', values: one('{"b":1, "b":"\\u0000"}', '[1e200000,  {"z":1,"a":2}]', 'null', '{ "a" : {} }') }
const real: Kind = { sql: 'real', values: one('0.1', '16777217', 'Infinity', '1e-40') }
const texts: Kind = { sql: 'text[]', values: one('{}', '{"a\\"b",NULL,"c d"}', '{{a,b},{c,d}}', '[3:4]={x,y}') }
const moments: Kind = { sql: 'timestamptz[]', values: one('{"2026-01-01 00:00:00+00"}', '{}') }
const table: Kind = { sql: 'regclass', values: one('pg_class', 'fuzz.stamps') }
const timetz: Kind = { sql: 'timetz', values: one('12:00:00+00', '13:00:00+01') }
const bits: Kind = { sql: 'bit varying', values: one('1010', '') }
const long: Kind = { sql: 'text', values: one('long '.repeat(700), 'short') }

const columnKinds: readonly Kind[] = [...keyKinds, json, json, jsonb, real, texts, moments, table, timetz, bits, long]

export const anyKeyKind = (random: Random): Kind => random.pick(keyKinds)
export const anyColumnKind = (random: Random): Kind => random.pick(columnKinds)
export const numbers: Kind = int

/** The expression of a random value, in one of its spellings. */
export function anyValue(random: Random, kind: Kind): string {
  return literal(random.pick(random.pick(kind.values)), kind)
}

/** Expressions of so many values of which no two are equal. */
export function differentValues(random: Random, kind: Kind, count: number): string[] {
  return random.some(kind.values, count).map((spellings) => literal(random.pick(spellings), kind))
}

export const nothing = (kind: Kind): string => `null::${typeOf(kind)}`

const typeOf = ({ sql }: Kind) => sql.replace(/ collate .*/, '')

function literal(value: string, kind: Kind): string {
  const quoted = value.includes('\\') ? `E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'` : `'${value.replaceAll("'", "''")}'`
  return `${quoted}::${typeOf(kind)}`
}
