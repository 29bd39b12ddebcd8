/** Compares the definition with a source database: what differs would halt a consumer or fill NULLs later, so it is said before. */
import type pg from 'pg'
import { topicOf } from '../../shared/engine/define.ts'
import { AfluenteError } from '../../shared/engine/errors.ts'
import { type ColumnType, qualifiedName, type SourceTable } from '../../shared/tables/table.ts'
import { withSource } from './source-work.ts'

export interface SourceCheck {
  /** Each of them keeps a row from arriving whole. In plain words, with what to do. */
  readonly differences: readonly string[]
  /** Columns of captured tables that no definition lists: they reach bronze, and nothing else. */
  readonly undefinedColumns: readonly string[]
}

interface FoundColumn {
  readonly name: string
  readonly type: string
  readonly is_enum: boolean
  /** From 1; null for columns beside the key. */
  readonly key_position: number | null
}

interface FoundCapture {
  readonly topic: string
  readonly exclude: readonly string[]
}

/** Domains count as what they are made of. `attndims` is not asked: Postgres doesn't hold to it. */
const COLUMNS = `
select a.attname as name, format_type(base.oid, case when t.typtype = 'd' then t.typtypmod else a.atttypmod end) as type,
  exists (select from pg_type e where e.oid in (base.oid, base.typelem) and e.typtype = 'e') as is_enum,
  array_position(i.indkey::int2[], a.attnum) + 1 as key_position
from pg_attribute a
join pg_type t on t.oid = a.atttypid
join pg_type base on base.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
where a.attrelid = to_regclass(format('%I.%I', $1::text, $2::text)) and a.attnum > 0 and not a.attisdropped
order by a.attnum`

/** Looks at every table of the definition. Throws `unavailable` when the database can't be reached. */
export async function checkSource(url: string, tables: readonly SourceTable[]): Promise<SourceCheck> {
  return await withSource({ url, application: 'check', refused, work: (client) => compareAll(client, tables) })
}

async function compareAll(client: pg.Client, tables: readonly SourceTable[]): Promise<SourceCheck> {
  const installed = (await client.query(`select where to_regclass('afluente.captured_tables') is not null`)).rowCount === 1
  const checks: SourceCheck[] = []
  for (const table of tables) {
    const { rows: columns } = await client.query<FoundColumn>(COLUMNS, [table.schema, table.name])
    const captures = installed
      ? await client.query<FoundCapture>('select topic, exclude from afluente.captured_tables where schema_name = $1 and table_name = $2', [
          table.schema,
          table.name,
        ])
      : { rows: [] }
    checks.push(compare(table, columns, captures.rows[0]))
  }
  const missing = installed ? [] : ['The schema afluente is missing: apply supabase/migrations.']
  return { differences: [...missing, ...checks.flatMap((check) => check.differences)], undefinedColumns: checks.flatMap((check) => check.undefinedColumns) }
}

function refused(error: pg.DatabaseError): AfluenteError {
  const text = `The source database could not be compared with the definition: ${error.message}. Use the role that applied supabase/migrations.`
  return new AfluenteError('misconfigured', error.code ?? 'sql', text, { cause: error })
}

function compare(table: SourceTable, found: readonly FoundColumn[], capture: FoundCapture | undefined): SourceCheck {
  const name = qualifiedName(table)
  if (found.length === 0)
    return { differences: [`${name}: the source has no such table. Create it, or take it out of shared/pipeline.ts.`], undefinedColumns: [] }
  const byName = new Map(found.map((column) => [column.name, column]))
  const key = found.filter((column) => column.key_position !== null).toSorted((a, b) => (a.key_position ?? 0) - (b.key_position ?? 0))
  const differences = [
    ...Object.entries(table.columns).flatMap(([column, type]) => columnDifference(name, column, type, byName.get(column), found)),
    ...(key.map((column) => column.name).join() === table.key.join()
      ? []
      : [`${name}: its primary key is (${key.map((column) => column.name).join(', ')}), the definition says (${table.key.join(', ')}).`]),
    ...captureDifferences(table, capture),
  ]
  return { differences, undefinedColumns: found.filter((column) => !Object.hasOwn(table.columns, column.name)).map((column) => `${name}.${column.name}`) }
}

function columnDifference(table: string, column: string, wanted: ColumnType, found: FoundColumn | undefined, all: readonly FoundColumn[]): string[] {
  if (found === undefined) return [`${table}: the definition lists ${column}, the source has ${all.map(({ name }) => name).join(', ')}.`]
  const type = definedType(found)
  if (type === wanted || (wanted.replace('[]', '') === 'numeric' && type.startsWith('numeric('))) return []
  return [`${table}.${column}: it is ${type} in the source, the definition says ${wanted}.`]
}

function captureDifferences(table: SourceTable, capture: FoundCapture | undefined): string[] {
  const name = qualifiedName(table)
  const topic = topicOf(table)
  if (capture === undefined) return [`${name}: it is not captured. Add a migration to supabase/migrations with: select afluente.capture_table('${name}');`]
  const excluded = capture.exclude.filter((column) => Object.hasOwn(table.columns, column))
  return [
    ...(capture.topic === topic ? [] : [`${name}: it is captured into the topic ${capture.topic}, the definition says ${topic}.`]),
    ...(excluded.length === 0 ? [] : [`${name}: capture leaves out ${excluded.join(', ')}, which the definition lists.`]),
  ]
}

/** A type as definitions write it. Text of any kind is text to the sinks; a time's precision changes nothing for them. */
function definedType({ type, is_enum }: FoundColumn): string {
  const array = type.endsWith('[]') ? '[]' : ''
  if (is_enum) return `enum${array}`
  const scalar = type
    .replace('[]', '')
    .replace(/^(?:character varying|character|name)(?:\(\d+\))?$/, 'text')
    .replace(/^(?:\w+\.)?citext$/, 'citext')
    .replace(/^(time|timestamp)(?:\(\d\))? without time zone$/, '$1')
    .replace(/^timestamp(?:\(\d\))? with time zone$/, 'timestamptz')
    .replace(/^interval.+$/, 'interval')
  return `${scalar}${array}`
}
