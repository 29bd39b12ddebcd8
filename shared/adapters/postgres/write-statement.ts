/**
 * The one statement that writes a batch: fence, floor, bronze, silver, counts and progress, in one round trip and one transaction.
 * The fence is locked first, as in every statement here. The floor is read under a lock, so that whoever raises it waits for this
 * batch, and this batch, when it has waited, knows the new one. Each event's image is read on its own (`json_to_record`), so a broken one can't reach into its neighbours.
 */
import { createHash } from 'node:crypto'
import { quoted, rawJsonColumns, silverType } from '../../mappings/column-types.ts'
import { qualifiedName, type SourceTable } from '../../tables/table.ts'
import { EVENT_COLUMNS, type EventColumnName } from './event-columns.ts'
import { FENCE } from './fenced.ts'

export interface Layers {
  readonly bronze: boolean
  readonly silver: boolean
  /** The copy beside silver's table instead of the table itself. */
  readonly shadow?: boolean
}

/** The table of silver that is written, as SQL. */
export function silverOf(table: SourceTable, shadow = false): string {
  return `silver.${quoted(shadow ? shadowOf(table.name) : table.name)}`
}

/** What the copy beside a table of silver is called. */
export function shadowOf(name: string): string {
  return `${name}__shadow`
}

export interface WriteStatement {
  readonly name: string
  readonly text: string
  /** The arrays it takes after its fence ($1 to $5). */
  readonly columns: readonly EventColumnName[]
  /** Whether the topic and partition of the events' records follow, two more parameters: a fence may be of another topic. */
  readonly takesPlace: boolean
}

export function writeStatement(table: SourceTable, { bronze, silver, shadow = false }: Layers): WriteStatement {
  const into = silverOf(table, shadow)
  const columns = columnsFor(table, { bronze, silver })
  const arrays = columns.map((name, at) => `$${at + 6}::${EVENT_COLUMNS[name].type}[]`)
  // What both layers read is checked as JSON once.
  const carried = columns.map((name) => (name === 'after' && bronze && silver ? 'u.after::json as after' : `u.${quoted(name)}`))
  const text = [
    `with fence as materialized (${FENCE})`,
    `, floor as materialized (${silver ? floorOf(table) : 'select 0 as version from fence'})`,
    `, e as materialized (select ${carried.join(', ')}, floor.version as floor from floor, unnest(${arrays.join(', ')}) as u(${columns.map(quoted).join(', ')}))`,
    ...(bronze ? [`, kept as (${keepAll(table, columns.length + 6)})`] : []),
    ...(silver ? [`, applied as (${upsert(table, into)})`] : []),
    `, fate as materialized (select ${fateOf(table, { bronze, silver }, into)} as fate from e)`,
    `, counts as materialized (select count(*) filter (where fate = 'accepted') as accepted, count(*) filter (where fate = 'duplicate') as duplicate, count(*) filter (where fate = 'late') as late, count(*) as consumed from fate)`,
    `, settled as (update ops.consumer_progress as p set next_offset = greatest(p.next_offset, $5::bigint), consumed = p.consumed + counts.consumed, accepted = p.accepted + counts.accepted, duplicate = p.duplicate + counts.duplicate, late = p.late + counts.late, updated_at = clock_timestamp() from counts, fence where p.consumer = $1 and p.topic = $2 and p."partition" = $3)`,
    `select accepted, duplicate, late, exists (select from fence) as held, exists (select from floor) as floored from counts`,
  ].join('\n')
  return { name: `write-${createHash('sha256').update(text).digest('hex').slice(0, 24)}`, text, columns, takesPlace: bronze }
}

function floorOf(table: SourceTable): string {
  return `select f.version from fence, ops.floor as f where f.source_table = ${nameOf(table)} for share of f`
}

function nameOf(table: SourceTable): string {
  return `'${qualifiedName(table).replaceAll("'", "''")}'`
}

/** Silver alone needs no bookkeeping of bronze; only tables with `json` columns need a row beside the image. */
function columnsFor(table: SourceTable, { bronze, silver }: Layers): readonly EventColumnName[] {
  const forSilver: readonly EventColumnName[] = ['after', 'occurred_at', 'role', ...(silver && rawJsonColumns(table).length > 0 ? (['row'] as const) : [])]
  const forBronze: readonly EventColumnName[] = ['before', 'source', 'claimed_at', 'published_ms', 'kafka_offset', 'traceparent']
  return ['id', 'key', 'version', 'op', ...forSilver, ...(bronze ? forBronze : [])]
}

function keepAll(table: SourceTable, place: number): string {
  return `insert into bronze.events (event_id, source, source_table, key, version, op, before, after, occurred_at, claimed_at, published_at, received_at, kafka_topic, kafka_partition, kafka_offset, traceparent)
  select e.id, e.source, ${nameOf(table)}, e.key, e.version, e.op, e.before::json, e.after::json, e.occurred_at::timestamptz, e.claimed_at::timestamptz, to_timestamp(e.published_ms / 1000.0), clock_timestamp(), $${place}::text, $${place + 1}::integer, e.kafka_offset, e.traceparent
  from e
  on conflict (event_id) do nothing
  returning event_id`
}

/** A delete leaves a tombstone: the key from the event's key (as Postgres printed it, so exact) and nothing else of the row. */
function upsert(table: SourceTable, into: string): string {
  const columns = Object.entries(table.columns)
  const raw = rawJsonColumns(table)
  const names = columns.map(([name]) => quoted(name))
  const image = raw.length > 0 ? 'e.row' : 'e.after'
  const record = columns.map(([name, type]) => `${quoted(name)} ${raw.includes(name) ? 'text' : silverType(type)}`)
  const values = columns.map(([name]) => `r.${quoted(name)}${raw.includes(name) ? '::json' : ''}`)
  const own = ['_version', '_deleted_at', '_event_id', '_synced_at']
  const changing = [...columns.filter(([name]) => !table.key.includes(name)).map(([name]) => quoted(name)), ...own]
  return `insert into ${into} as t (${[...names, ...own].join(', ')})
  select ${values.join(', ')}, e.version, case when e.op = 'delete' then e.occurred_at::timestamptz end, e.id, clock_timestamp()
  from e, json_to_record(case when e.op = 'delete' then ${keyObject(table)} else ${image}::json end) as r(${record.join(', ')})
  where e.role = 'n' and e.op <> 'truncate' and e.version > e.floor
  on conflict (${table.key.map(quoted).join(', ')}) do update set ${changing.map((name) => `${name} = excluded.${name}`).join(', ')}
  where excluded._version > t._version
  returning _event_id`
}

function keyObject(table: SourceTable): string {
  return `json_build_object(${table.key.map((column, at) => `'${column.replaceAll("'", "''")}', e.key::json -> ${at}`).join(', ')})`
}

/** What became of an event, each asked of what really happened; an accepted one may have been kept in bronze before, by a dead letter. */
function fateOf(table: SourceTable, { bronze, silver }: Layers, into: string): string {
  const unkept = `e.id not in (select event_id from kept)`
  if (!silver) return `case when e.role = 'r' or ${unkept} then 'duplicate' else 'accepted' end`
  const keyTypes = table.key.map((column) => `${quoted(column)} ${silverType(table.columns[column] ?? 'text')}`)
  const stands = `(select t._version from ${into} as t, json_to_record(${keyObject(table)}) as k(${keyTypes.join(', ')}) where ${table.key.map((column) => `t.${quoted(column)} = k.${quoted(column)}`).join(' and ')})`
  return `case
    when e.role = 'n' and e.id in (select _event_id from applied) then 'accepted'
    when e.role = 'r'${bronze ? ` or ${unkept}` : ''} then 'duplicate'
    when e.op = 'truncate' then case when e.version < e.floor then 'late' else 'accepted' end
    when e.role = 'o' then 'late'
    else case sign(coalesce(${stands}, 0) - e.version) when 1 then 'late' when 0 then 'duplicate' else case when e.role = 's' and e.version > e.floor then 'accepted' else 'late' end end
  end`
}
