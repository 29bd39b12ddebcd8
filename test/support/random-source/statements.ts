/** Random statements. Each leaves its stamp in the rows it writes, and in a table of stamps, in the same (sub)transaction. */
import { anyValue, differentValues, nothing, SCHEMA } from './kinds.ts'
import type { Random } from './random.ts'
import { attachLast, captureCall, SECRET, type Column, type Table } from './schema.ts'

export interface Writer {
  readonly random: Random
  readonly tables: readonly Table[]
  /** May copy from files and play a replica. */
  readonly superuser: boolean
  /** Inside BEGIN and COMMIT. There, what locks one partition alone keeps writers of another from reading their rows back: their table is marked then. */
  readonly inTransaction: boolean
  /** A new one each time. */
  stamp(): string
}

interface Target {
  readonly table: Table
  /** The table, its view or one of its partitions. */
  readonly name: string
}

/** One statement, with what notes its stamp before it. */
export function statement(writer: Writer): string {
  const { random, tables } = writer
  const stamp = writer.stamp()
  const table = random.pick(tables)
  const places = [table.name, table.name, table.name, ...(table.view === undefined ? [] : [table.view]), ...table.partitions]
  const target = { table, name: random.pick(places) }
  const made = random.pick(table.partitions.length > 0 ? weightedOfPartitions : weighted)(writer, target, stamp)
  return `insert into ${SCHEMA}.stamps values ('${stamp}'); ${made}`
}

type Make = (writer: Writer, target: Target, stamp: string) => string

const list = (columns: readonly Column[]) => columns.map((column) => column.name).join(', ')

function written(table: Table): readonly Column[] {
  return [...table.keys, ...(table.reference?.inKey === false ? table.reference.columns : []), ...table.others]
}

function insertColumns(table: Table): string {
  return [...written(table).map((column) => column.name), 'n', 'stamp', ...(table.secret === undefined ? [] : [table.secret])].join(', ')
}

/** The expressions of one row, in the order of `insertColumns`. */
function rowValues(random: Random, table: Table, stamp: string, keys: ReadonlyMap<Column, string> = new Map()): string[] {
  const { reference } = table
  const offset = random.below(4)
  const referenced = reference !== undefined && (reference.inKey || random.chance(0.7))
  const values = written(table).map((column) => {
    const at = reference?.columns.indexOf(column) ?? -1
    const key = keys.get(column)
    if (reference !== undefined && at >= 0 && referenced) {
      const to = reference.to
      return `(select t.${to.keys[at]?.name ?? ''} from ${to.name} t order by ${to.keys.map((k) => `t.${k.name}`).join(', ')} offset ${offset} limit 1)`
    }
    if (key !== undefined) return key
    const empty = table.keys.includes(column) ? 0 : at >= 0 ? 0.9 : 0.2
    return random.chance(empty) ? nothing(column.kind) : anyValue(random, column.kind)
  })
  return [...values, String(random.below(12)), `'${stamp}'`, ...(table.secret === undefined ? [] : [`'${SECRET} ${stamp}'`])]
}

/** Some rows with different keys, as far as the kind has different values. */
function rows(random: Random, table: Table, stamp: string, count: number): string {
  const first = table.keys.find((column) => table.reference?.columns.includes(column) !== true)
  const values = first === undefined ? [] : differentValues(random, first.kind, count)
  const made = (values.length === 0 ? [''] : values).map((value) =>
    rowValues(random, table, stamp, first === undefined ? undefined : new Map([[first, value]])),
  )
  return made.map((row) => `(${row.join(', ')})`).join(', ')
}

function where(random: Random, table: Table): string {
  const first = random.pick(table.keys)
  const exact = table.keys.map((column) => `${column.name} = ${anyValue(random, column.kind)}`).join(' and ')
  return random.pick([
    exact,
    `${first.name} = ${anyValue(random, first.kind)}`,
    `${first.name} >= ${anyValue(random, first.kind)}`,
    `n % 3 = ${random.below(3)}`,
    `n % 2 = ${random.below(2)}`,
    random.chance(0.3) ? 'true' : `n = ${random.below(12)}`,
  ])
}

function set(random: Random, table: Table, stamp: string): string {
  const other = table.others.length > 0 && random.chance(0.5) ? random.pick(table.others) : undefined
  return [
    random.chance(0.5) ? 'n = n + 1' : `n = ${random.below(12)}`,
    `stamp = '${stamp}'`,
    ...(other === undefined ? [] : [`${other.name} = ${anyValue(random, other.kind)}`]),
    ...(table.secret !== undefined && random.chance(0.5) ? [`${table.secret} = '${SECRET} ${stamp}'`] : []),
  ].join(', ')
}

const excluded = (random: Random, table: Table): string => {
  const columns = ['n = excluded.n', 'stamp = excluded.stamp', ...(random.chance(0.4) ? table.keys.map(({ name }) => `${name} = excluded.${name}`) : [])]
  return columns.join(', ')
}

const insert: Make = ({ random }, { table, name }, stamp) =>
  `insert into ${name} (${insertColumns(table)}) values ${rows(random, table, stamp, 1 + random.below(4))}${random.pick(['', ' on conflict do nothing', ' on conflict do nothing'])}`

const upsert: Make = ({ random }, { table, name }, stamp) =>
  `insert into ${name} as t (${insertColumns(table)}) values ${rows(random, table, stamp, 1 + random.below(4))} ` +
  `on conflict (${list(table.keys)}) do update set ${excluded(random, table)}${random.chance(0.3) ? ' where t.n % 2 = 0' : ''}`

const update: Make = ({ random }, { table, name }, stamp) => `update ${name} set ${set(random, table, stamp)} where ${where(random, table)}`

const rekey: Make = ({ random }, { table, name }, stamp) => {
  const key = random.pick(table.keys)
  return `update ${name} set ${key.name} = ${anyValue(random, key.kind)}, stamp = '${stamp}' where ${where(random, table)}`
}

/** Each of some rows takes the key of the next one: what an UPDATE can't do in one statement, for it checks row by row. */
const swap: Make = ({ random }, { table, name }, stamp) => {
  const other = written(table).filter((column) => !table.keys.includes(column))
  const next = table.keys.map((column, at) => `coalesce(lead(${column.name}) over w, first_value(${column.name}) over w) as next${at}`)
  return `with gone as (delete from ${name} where ${random.chance(0.5) ? 'true' : where(random, table)} returning *),
    turned as (select *, ${next.join(', ')} from gone window w as (order by ${list(table.keys)}))
    insert into ${name} (${[...table.keys, ...other].map((column) => column.name).join(', ')}, n, stamp)
    select ${[...table.keys.map((_, at) => `next${at}`), ...other.map((column) => column.name)].join(', ')}, n, '${stamp}' from turned`
}

const respell: Make = ({ random }, { table, name }, stamp) => {
  const key = random.pick(table.keys)
  const value = random.pick(key.kind.values)
  const spelled = value.map((one) => anyValue(random, { sql: key.kind.sql, values: [[one]] }))
  return `update ${name} set ${key.name} = ${spelled.at(-1) ?? 'null'}, stamp = '${stamp}', n = n + 1 where ${key.name} = ${spelled[0] ?? 'null'}`
}

const remove: Make = ({ random }, { table, name }) => `delete from ${name} where ${where(random, table)}`

const removeAndInsert: Make = (writer, target, stamp) => `${remove(writer, target, stamp)}; ${insert(writer, target, stamp)}`

const merge: Make = ({ random }, { table, name }, stamp) => {
  const made = `select * from (values ${rows(random, table, stamp, 1 + random.below(4))}) v (${insertColumns(table)})`
  const there = someRows(random, table, 2)
  const key = random.pick(table.keys)
  const assigned = random.chance(0.4) ? 'n = s.n' : `${key.name} = ${anyValue(random, key.kind)}`
  return merged(table, name, random.pick([made, there, `${made} union all ${there}`]), [
    ...(random.chance(0.4) ? ['when matched and s.n % 3 = 0 then delete'] : []),
    `when matched then update set ${assigned}, stamp = '${stamp}'`,
    ...(random.chance(0.3) ? ['when not matched and s.n % 5 = 4 then do nothing'] : []),
    ...(random.chance(0.6) ? [insertsWhatIsNew(table)] : []),
  ])
}

/**
 * Rows that are there get another key, most often one of another partition: each action that a MERGE has fires its triggers, and
 * Postgres tells of a moved row by those of a DELETE and an INSERT alone, which this one hasn't. Or it inserts others first, for
 * what it inserted last once stood among the new rows of its updates.
 */
const mergeAway: Make = ({ random }, { table }, stamp) => {
  const { name, keys } = table
  const same = (one: string, other: string) => keys.map((key) => `${one}.${key.name} = ${other}.${key.name}`).join(' and ')
  const made = `select * from (values ${rows(random, table, stamp, 2)}) v (${insertColumns(table)}) where not exists (select from ${name} x where ${same('x', 'v')})`
  const there = someRows(random, table, 1 + random.below(2))
  const inserts = random.chance(0.6)
  // Only the first moves a row.
  const key = random.pick(random.chance(0.6) ? keys.slice(inserts ? -1 : 0).slice(0, 1) : keys)
  const values = differentValues(random, key.kind, key.kind.values.length).map((value) => `(${value})`)
  const free = `coalesce((select f.v from (values ${values.join(', ')}) f (v) where not exists (select from ${name} x where x.${key.name} = f.v) limit 1), t.${key.name})`
  const sql = merged(table, name, inserts ? `${made} union all ${there}` : there, [
    `when matched then update set ${key.name} = ${random.chance(0.8) ? free : anyValue(random, key.kind)}, stamp = '${stamp}'`,
    ...(inserts ? [insertsWhatIsNew(table)] : []),
  ])
  return random.chance(0.7) ? `set local enable_hashjoin = off; set local enable_mergejoin = off; ${sql}` : sql
}

const someRows = (random: Random, table: Table, most: number) =>
  `(select ${insertColumns(table)} from ${table.name} where ${where(random, table)} order by ${list(table.keys)} limit ${most})`

const merged = (table: Table, into: string, source: string, actions: readonly string[]) =>
  `merge into ${into} t using (${source}) s on ${table.keys.map((key) => `t.${key.name} = s.${key.name}`).join(' and ')} ${actions.join(' ')}`

function insertsWhatIsNew(table: Table): string {
  const columns = insertColumns(table)
  const values = columns.split(/, (?=(?:[^"]*"[^"]*")*[^"]*$)/).map((column) => `s.${column}`)
  return `when not matched then insert (${columns}) values (${values.join(', ')})`
}

const insertFromItself: Make = ({ random }, { table, name }, stamp) => {
  const columns = written(table)
  const key = random.pick(table.keys)
  const taken = columns.map((column) => (column === key ? anyValue(random, key.kind) : column.name))
  return `insert into ${name} (${list(columns)}, n, stamp) select ${taken.join(', ')}, n + 1, '${stamp}' from ${table.name} limit 2 on conflict do nothing`
}

const copy: Make = (writer, target, stamp) => {
  if (!writer.superuser) return insert(writer, target, stamp)
  const { random } = writer
  const file = `current_setting('data_directory') || '/fuzz-' || pg_backend_pid()`
  const row = rowValues(random, target.table, stamp)
  return `do $copy$ begin
    execute format('copy (select %s) to %L', $row$${row.join(', ')}$row$, ${file});
    execute format('copy %s from %L', $to$${target.name} (${insertColumns(target.table)})$to$, ${file});
  end $copy$`
}

const truncate: Make = ({ random, inTransaction }, { table }, stamp) => {
  const name = random.chance(0.3) && !inTransaction && table.partitions.length > 0 ? random.pick(table.partitions) : table.name
  return random.pick([
    `truncate ${name} cascade`,
    `truncate ${name}`,
    `truncate ${name} cascade; ${insert({ random } as Writer, { table, name: table.name }, stamp)}`,
  ])
}

/** Part of the work is undone inside, and only what the handler does stays. */
const block: Make = (writer, target, stamp) => {
  const { random, tables } = writer
  const lost = writer.stamp()
  const inner = random.pick(plainOnes)(writer, target, lost)
  const handled = random.pick(plainOnes)(writer, { table: random.pick(tables), name: random.pick(tables).name }, stamp)
  const fits = target.table.name === target.name ? handled : update(writer, target, stamp)
  const fault = random.pick(['perform 1 / 0;', "raise exception using errcode = '40001';", ''])
  return `do $block$ begin
    begin insert into ${SCHEMA}.stamps values ('${lost}'); ${inner}; ${fault}
    exception when others then ${random.chance(0.5) ? 'null' : update(writer, target, stamp)}; end;
    ${random.chance(0.5) ? 'null' : fits};
  end $block$`
}

const loop: Make = ({ random }, { table, name }, stamp) => {
  const same = table.keys.map((key) => `t.${key.name} = one.${key.name}`).join(' and ')
  return `do $loop$ declare one record; begin
    for one in select * from ${name} t order by ${list(table.keys)} limit 3 loop
      begin
        update ${name} t set n = n + 1, stamp = '${stamp}' where ${same};
        if one.n % 2 = ${random.below(2)} then raise exception 'undone'; end if;
      exception when raise_exception then delete from ${name} t where ${same} and n % 3 = ${random.below(3)};
      end;
    end loop;
  end $loop$`
}

/**
 * A partition comes or goes, empty: also of the rows of whoever was still writing it, and of those that a trigger put back. Nobody
 * looks at once after some that went: they are written on, with their triggers.
 */
const partition: Make = (writer, target, stamp) => {
  const { table } = target
  const last = table.partitions.at(-1)
  if (last === undefined || writer.inTransaction) return upsert(writer, target, stamp)
  const empty = `lock table ${last}; delete from ${last};
    do $empty$ begin if exists (select from ${last}) then raise exception 'not empty'; end if; end $empty$`
  return writer.random.chance(0.6)
    ? `${empty}; ${attachLast(table)}; ${captureCall(table)}`
    : `${empty}; alter table ${table.name} detach partition ${last}${writer.random.chance(0.5) ? '; select afluente.adopt_partitions()' : ''}`
}

const plainOnes: readonly Make[] = [insert, upsert, update, rekey, remove, respell]

const weighted: readonly Make[] = [
  [insert, insert, insert, insert, upsert, upsert, upsert, upsert, update, update, update, update, rekey, rekey, rekey, respell, respell],
  [swap, swap, remove, remove, removeAndInsert, removeAndInsert, merge, merge, merge, insertFromItself, copy, truncate, block, block, loop, partition],
].flat()

const weightedOfPartitions: readonly Make[] = [...weighted, mergeAway, mergeAway, mergeAway, mergeAway, mergeAway, mergeAway, mergeAway, mergeAway]

/** What a session changes about itself. */
export function setting({ random, superuser }: Writer): string {
  const choices = [
    `set timezone = '${random.pick(['UTC', 'Asia/Kolkata', 'America/St_Johns', 'Pacific/Apia'])}'`,
    `set datestyle = '${random.pick(['German, DMY', 'SQL, MDY', 'Postgres, DMY', 'ISO, YMD'])}'`,
    `set extra_float_digits = ${random.pick(['-15', '0', '3'])}`,
    `set bytea_output = '${random.pick(['escape', 'hex'])}'`,
    `set intervalstyle = '${random.pick(['iso_8601', 'sql_standard', 'postgres_verbose'])}'`,
    `set standard_conforming_strings = ${random.pick(['off', 'on'])}`,
    `set search_path = ${random.pick(['""', 'public', `extensions, ${SCHEMA}`, `${SCHEMA}, afluente, public`])}`,
    ...(superuser ? [`set session_replication_role = ${random.pick(['replica', 'replica', 'origin'])}`] : []),
  ]
  return random.pick(choices)
}
