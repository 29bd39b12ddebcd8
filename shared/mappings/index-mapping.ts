/**
 * Definition → what Elasticsearch is told of a table: names, mapping, template, alias. Pure.
 * A mapping takes whatever a good row can hold: what a field can't index is kept in `_source` all the same.
 */
import type { ColumnType, SourceTable } from '../tables/table.ts'

/** How the definition wants a table's index. Structural, so that this folder needs nothing of the engine. */
export interface IndexDefinition {
  readonly version: number
  readonly fields?: Readonly<Record<string, string | undefined>>
}

export interface FieldMapping {
  readonly [parameter: string]: string | number | boolean | Readonly<Record<string, FieldMapping>>
}

/** Lucene takes terms of 32 766 bytes, and UTF-8 needs at most four a character. */
const LONGEST_TERM = 8_191

const keyword: FieldMapping = { type: 'keyword', ignore_above: LONGEST_TERM }
const text: FieldMapping = { type: 'text', fields: { raw: keyword } }
const whole: FieldMapping = { type: 'long', ignore_malformed: true }
const real: FieldMapping = { type: 'double', ignore_malformed: true }
/** Malformed on purpose: `infinity`, years beyond 9999 and BC are good dates in Postgres. */
const date: FieldMapping = { type: 'date', format: 'strict_date_optional_time_nanos', ignore_malformed: true }
/** Stored and returned, never looked into: takes any JSON. */
const unindexed: FieldMapping = { type: 'object', enabled: false }

type Scalar = Exclude<ColumnType, `${string}[]`>
type PlainScalar = Exclude<Scalar, `numeric(${string}`>

const defaults: Readonly<Record<PlainScalar, FieldMapping>> = {
  uuid: keyword,
  text: keyword,
  citext: keyword,
  inet: keyword,
  enum: keyword,
  smallint: whole,
  integer: whole,
  bigint: whole,
  numeric: real,
  real,
  'double precision': real,
  boolean: { type: 'boolean', ignore_malformed: true },
  date,
  timestamp: date,
  timestamptz: date,
  time: unindexed,
  interval: unindexed,
  bytea: unindexed,
  json: unindexed,
  jsonb: unindexed,
}

const asked: Readonly<Record<string, FieldMapping>> = {
  text,
  keyword,
  unindexed,
  flattened: { type: 'flattened', ignore_above: LONGEST_TERM },
  object: { type: 'object', dynamic: true },
}

const forJson: readonly string[] = ['flattened', 'object', 'unindexed']
const forOthers: readonly string[] = ['text', 'keyword', 'unindexed']

/** The object that stands beside the row's columns in every document. */
const envelope: FieldMapping = {
  type: 'object',
  properties: {
    key: keyword,
    version: { type: 'long' },
    deleted: { type: 'boolean' },
    check: { type: 'long' },
    event_id: { type: 'keyword', ignore_above: LONGEST_TERM },
    occurred_at: date,
    synced_at: date,
  },
}

/** The concrete index that the sink writes: `<table>-v<version>`, in lower case as Elasticsearch demands. Throws `RangeError` for a name it can't have. */
export function indexNameOf(table: { readonly name: string }, version: number): string {
  const name = table.name.toLowerCase()
  if (/[\s"*\\<>|,/?#:]/.test(name) || /^[-_+.]/.test(name) || new TextEncoder().encode(name).length > 240) {
    throw new RangeError(
      `The table ${table.name} can't name an index: no spaces, none of " * \\ < > | , / ? # :, no - _ + . at its beginning, at most 240 bytes. Give it a view or another name.`,
    )
  }
  return `${name}-v${version}`
}

/** What searches use: the living documents of the table, whatever concrete index holds them. */
export function aliasOf(table: { readonly name: string }): string {
  return table.name
}

const livingOnly = { term: { 'afluente.deleted': false } } as const

/** What came after the table was last truncated. */
export function aboveFloor(floor: number) {
  return { range: { 'afluente.version': { gt: floor } } }
}

/** The alias's filter: hides soft-deleted documents from whoever asks by the alias, and those that came at or below the table's floor. */
export function aliasFilterOf(floor: number) {
  return floor === 0 ? livingOnly : { bool: { filter: [livingOnly, aboveFloor(floor)] } }
}

/** The floor that a filter holds, as far as it is one of ours; 0 where it has none. */
export function floorOfFilter(filter: unknown): number {
  const [, floor] = /"afluente\.version":\{"gt":(\d+)[,}]/.exec(JSON.stringify(filter) ?? '') ?? []
  return floor === undefined ? 0 : Number(floor)
}

/** Documents that nobody sees any more and that came before a moment (ISO 8601): soft-deleted, or not above the floor. */
export function tombstonesOf(before: string, floor: number) {
  const below = floor === 0 ? [] : [{ bool: { must_not: [aboveFloor(floor)] } }]
  return {
    bool: {
      filter: [
        { range: { 'afluente.synced_at': { lt: before } } },
        { bool: { should: [{ term: { 'afluente.deleted': true } }, ...below], minimum_should_match: 1 } },
      ],
    },
  }
}

/** The mapping of a table's index. Throws `RangeError` when a column is to be indexed in a way its type can't be. */
export function mappingOf(
  table: SourceTable,
  index: IndexDefinition,
): { readonly dynamic: false; readonly properties: Readonly<Record<string, FieldMapping>> } {
  const columns = Object.entries(table.columns).map(([column, type]) => [column, fieldOf(table.name, column, type, index.fields?.[column])] as const)
  return { dynamic: false, properties: { afluente: envelope, ...Object.fromEntries(columns) } }
}

/**
 * The composable template of one concrete index. `allow_auto_create: false`: an index that somebody removed must not
 * come back empty with the next write, as if it held everything. The explicit refresh interval keeps Elasticsearch
 * from putting refreshes off while nobody searches.
 */
export function templateOf(table: SourceTable, index: IndexDefinition) {
  return {
    index_patterns: [indexNameOf(table, index.version)],
    priority: 500,
    allow_auto_create: false,
    template: {
      settings: { 'index.refresh_interval': '1s', 'index.auto_expand_replicas': '0-1' },
      mappings: mappingOf(table, index),
    },
    _meta: { managed_by: 'afluente' },
  }
}

function fieldOf(table: string, column: string, type: ColumnType, kind: string | undefined): FieldMapping {
  const scalar = scalarOf(type)
  if (kind === undefined) return defaults[scalar]
  const allowed = scalar === 'json' || scalar === 'jsonb' ? forJson : forOthers
  const field = allowed.includes(kind) ? asked[kind] : undefined
  if (field === undefined)
    throw new RangeError(`${table}.${column} is ${type} and can't be indexed as '${kind}'. Choose ${allowed.join(', ')}, or leave it out for the default.`)
  return field
}

/** An array is indexed like its element: in Elasticsearch every field may hold many values. */
function scalarOf(type: ColumnType): PlainScalar {
  const element = type.replace(/(\(.*\))?(\[\])?$/, '')
  return isPlain(element) ? element : 'text'
}

function isPlain(type: string): type is PlainScalar {
  return Object.hasOwn(defaults, type)
}
