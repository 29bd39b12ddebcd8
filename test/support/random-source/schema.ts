/** Random tables: keys of several types, foreign keys that cascade, partitions, excluded columns, a view. */
import { anyColumnKind, anyKeyKind, anyValue, numbers, SCHEMA, typesOfSchema, type Kind } from './kinds.ts'
import type { Random } from './random.ts'
import { usersTriggers } from './triggers.ts'

export interface Column {
  /** Quoted, as every name here. */
  readonly name: string
  readonly kind: Kind
}

export interface Reference {
  readonly columns: readonly Column[]
  readonly to: Table
  /** The columns belong to the referencing table's key. */
  readonly inKey: boolean
}

export interface Table {
  readonly name: string
  /** As the outbox names it. */
  readonly plainName: string
  readonly keys: readonly Column[]
  /** Beside the key and the reference: what a statement may write. */
  readonly others: readonly Column[]
  readonly reference: Reference | undefined
  /** Kept from leaving the database; every value holds the word of `SECRET`. */
  readonly secret: string | undefined
  readonly withBefore: boolean
  /** By hash of the first key column: the leaves, of which the last comes and goes. */
  readonly partitions: readonly string[]
  readonly view: string | undefined
}

export interface Schema {
  readonly tables: readonly Table[]
  /** Tables, partitions, views and users' triggers, in the order to make them. */
  readonly ddl: readonly string[]
  readonly capture: readonly string[]
}

/** Stands in every value of an excluded column, and nowhere else. */
export const SECRET = 'eyes-only'

/** Names that meet those of the trigger's own text, and some that need quotes. */
const columnNames = ['id', 'key', 'r', '"image"', 'key1', '"K 1"', '"k""2"', '"{image}"', 'touched', 'version', 'moment', '"after"', 'changes', '"$capture$"']
const otherNames = ['note', 'afluente_new', 'afluente_old', 'hidden', 'trace', 'keeps', '"{same key}"', 'op', 'keys', '"Doc"', 'former', 'present', '"a,b"']
const tableNames = ['alpha', '"Be ta"', '"gam""ma"', '"d.elta"', 'r', '"{table}"', 'outbox', '"%s%I"']

export function randomSchema(random: Random): Schema {
  const names = random.some(tableNames, 1 + random.below(3))
  const tables: Table[] = []
  const ddl: string[] = [typesOfSchema, `create table ${SCHEMA}.stamps (stamp text not null)`, `insert into ${SCHEMA}.stamps values ('')`]
  for (const name of names) {
    const { table, statements } = randomTable(random, name, tables)
    tables.push(table)
    ddl.push(...statements)
  }
  for (const table of tables) ddl.push(...usersTriggers(random, table, tables))
  return { tables, ddl, capture: tables.map((table) => captureCall(table)) }
}

export function captureCall({ name, secret, withBefore }: Table): string {
  const options = [
    `'${name}'`,
    `topic => 'fuzz'`,
    ...(secret === undefined ? [] : [`exclude => array['${plain(secret)}']`]),
    ...(withBefore ? ['with_before => true'] : []),
  ]
  return `select afluente.capture_table(${options.join(', ')})`
}

function randomTable(random: Random, ownName: string, earlier: readonly Table[]): { table: Table; statements: string[] } {
  const name = `${SCHEMA}.${ownName}`
  const freeNames = random.some(columnNames, columnNames.length)
  const column = (kind: Kind): Column => ({ name: freeNames.pop() ?? 'c', kind })
  const wantsPartitions = random.chance(0.35)
  const more = random.below(3)
  const own = Array.from({ length: 1 + (wantsPartitions ? more : Math.min(more, random.below(3))) }, () => column(anyKeyKind(random)))

  // A reference goes to an earlier table or to the table itself.
  const parent = random.chance(0.6) ? random.pick([undefined, ...earlier]) : 'none'
  const to = parent === 'none' ? undefined : (parent ?? 'itself')
  const parentKeys = to === undefined ? [] : to === 'itself' ? own : to.keys
  const columns = parentKeys.map(({ kind }) => column(kind))
  const inKey = to !== undefined && to !== 'itself' && columns.length + own.length <= 4 && random.chance(0.4)
  const keys = inKey ? (random.chance(0.5) ? [...columns, ...own] : [...own, ...columns]) : own

  const partitioned = wantsPartitions && !keys[0]?.kind.sql.includes('collate')
  const others = random.some(otherNames, random.below(4)).map((other) => ({ name: other, kind: anyColumnKind(random) }))
  const secret = random.chance(0.3) ? random.pick(['secret', '"Sec ret"']) : undefined
  const plainName = `${SCHEMA}.${plain(ownName)}`
  const table: Table = {
    name,
    plainName,
    keys,
    others,
    reference: undefined,
    secret,
    withBefore: random.chance(0.3),
    partitions: partitioned ? ['0', '1', '2'].map((part) => `${SCHEMA}."p${part} ${plain(ownName).replaceAll('"', '""')}"`) : [],
    view: random.chance(0.3) ? `${SCHEMA}."view of ${plain(ownName).replaceAll('"', '""')}"` : undefined,
  }
  const whole = to === undefined ? table : { ...table, reference: { columns, to: to === 'itself' ? table : to, inKey } }
  return { table: whole, statements: definitions(random, whole) }
}

function definitions(random: Random, table: Table): string[] {
  const { name, keys, others, reference, secret, partitions, view } = table
  const list = (columns: readonly Column[]) => columns.map((column) => column.name).join(', ')
  const extra = (reference?.inKey === false ? reference.columns : []).map((column) => `${column.name} ${column.kind.sql}`)
  if (reference !== undefined && !reference.inKey && random.chance(0.3)) {
    extra[0] = `${extra[0] ?? ''} default ${anyValue(random, reference.columns[0]?.kind ?? numbers)}`
  }
  const columns = random.some(
    [
      ...keys.map((column) => `${column.name} ${column.kind.sql}`),
      ...extra,
      ...others.map((column) => `${column.name} ${column.kind.sql}`),
      ...(secret === undefined ? [] : [`${secret} text`]),
      ...(random.chance(0.3) ? [`doubled int generated always as (n * 2) stored`] : []),
      'n int not null default 0',
      'stamp text not null',
    ],
    100,
  )
  const key = `primary key (${list(keys)})`
  const statements = [`create table ${name} (${columns.join(', ')}, ${key})${partitions.length > 0 ? ` partition by hash (${keys[0]?.name ?? ''})` : ''}`]
  for (const [remainder, partition] of partitions.entries()) {
    const bounds = `for values with (modulus ${partitions.length}, remainder ${remainder})`
    if (remainder === 0 && random.chance(0.5)) {
      // Its columns stand in another order.
      statements.push(`create table ${partition} (${columns.toReversed().join(', ')}, ${key})`, `alter table ${name} attach partition ${partition} ${bounds}`)
    } else if (remainder === 1 && random.chance(0.4)) {
      statements.push(`create table ${partition} partition of ${name} ${bounds} partition by hash (${keys[0]?.name ?? ''})`)
      for (const half of [0, 1]) {
        statements.push(`create table ${partition.replace(/"$/, ` ${half}"`)} partition of ${partition} for values with (modulus 2, remainder ${half})`)
      }
    } else statements.push(`create table ${partition} partition of ${name} ${bounds}`)
  }
  if (reference !== undefined) {
    const actions = reference.inKey ? ['cascade', 'cascade', 'cascade', 'no action'] : ['cascade', 'cascade', 'set null', 'set default', 'no action']
    const to = reference.to.name
    statements.push(
      `alter table ${name} add foreign key (${list(reference.columns)}) references ${to} (${list(reference.to.keys)}) ` +
        `on update ${random.pick(actions)} on delete ${random.pick(actions)}${random.chance(0.3) ? ' deferrable initially deferred' : ''}`,
    )
  }
  if (view !== undefined) statements.push(`create view ${view} as select * from ${name}${random.chance(0.3) ? ' where n < 1000 with check option' : ''}`)
  return statements
}

export const attachLast = ({ name, partitions }: Table): string =>
  `alter table ${name} attach partition ${partitions.at(-1) ?? ''} for values with (modulus ${partitions.length}, remainder ${partitions.length - 1})`

/** What a quoted name stands for. */
export function plain(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name
}
