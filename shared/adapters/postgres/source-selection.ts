/** The statements that read a source table by key. */
import pg from 'pg'
import type { Selection } from '../../ports/source-rows.ts'
import type { ReadQuery } from './source-db.ts'

export interface SourceShape {
  /** Quoted, with `only` where partitions are none of it. */
  readonly from: string
  /** In the key's order. */
  readonly key: readonly { readonly column: string; readonly type: string }[]
  /** Of those that tell a row's time, the one that tells its last change first. */
  readonly times: readonly string[]
  readonly hasStatus: boolean
  readonly operatorSchemas: readonly string[]
}

const DESCRIBE = `
select
  n.nspname as schema, c.relname as name, c.relkind as kind, a.attname as column, k.position, ops.nspname as operators,
  case when k.position is not null then
    format_type(a.atttypid, a.atttypmod)
    || case when a.attcollation <> t.typcollation then format(' collate %I.%I', cn.nspname, co.collname) else '' end
  end as type,
  k.position is null and a.attname in ('updated_at', 'created_at')
    and a.atttypid in ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) as is_time
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
left join pg_collation co on co.oid = a.attcollation
left join pg_namespace cn on cn.oid = co.collnamespace
left join pg_index i on i.indrelid = c.oid and i.indisprimary
left join lateral (
  select u.position from unnest(i.indkey::smallint[]) with ordinality u (number, position) where u.number = a.attnum and u.position <= i.indnkeyatts
) k on true
left join pg_opclass oc on oc.oid = i.indclass[k.position - 1]
left join pg_amop am on am.amopfamily = oc.opcfamily and am.amoplefttype = oc.opcintype and am.amoprighttype = oc.opcintype and am.amopstrategy = 5
left join pg_operator op on op.oid = am.amopopr
left join pg_namespace ops on ops.oid = op.oprnamespace
where n.nspname || '.' || c.relname = $1 and c.relkind in ('r', 'p')
  and (k.position is not null or a.attname in ('updated_at', 'created_at', 'status'))
order by k.position, a.attname desc`

export function describeQuery(table: string): ReadQuery {
  return { text: DESCRIBE, values: [table] }
}

/** Undefined where there is no such table, or it has no primary key. */
export function shapeOf(rows: readonly Readonly<Record<string, unknown>>[]): SourceShape | undefined {
  const texts = rows.map((row) => (name: string) => {
    const value = row[name]
    return typeof value === 'string' ? value : ''
  })
  const [first] = texts
  const key = texts.filter((row) => row('position') !== '')
  if (first === undefined || key.length === 0) return undefined
  const name = `${pg.escapeIdentifier(first('schema'))}.${pg.escapeIdentifier(first('name'))}`
  return {
    from: first('kind') === 'p' ? name : `only ${name}`,
    key: key.map((row) => ({ column: pg.escapeIdentifier(row('column')), type: row('type') })),
    times: texts.filter((row) => row('is_time') === 't').map((row) => pg.escapeIdentifier(row('column'))),
    hasStatus: texts.some((row) => row('column') === 'status'),
    operatorSchemas: [...new Set(key.map((row) => row('operators')).filter((schema) => schema !== '' && schema !== 'pg_catalog'))],
  }
}

/** Fails where the condition is no condition by itself: one that closes a parenthesis of ours, or comments out what follows. */
export function conditionProbe({ from }: SourceShape, condition: string): ReadQuery {
  return { text: `select case when ${condition}\nthen true end from ${from} r limit 0`, values: [] }
}

export function planQuery(shape: SourceShape, selection: Selection): ReadQuery {
  const { text, values } = selected(shape, selection)
  return { text: `explain (format json) select from ${shape.from} r${text}`, values, operatorSchemas: shape.operatorSchemas }
}

export function countQuery(shape: SourceShape, selection: Selection, most: number): ReadQuery {
  const { text, values } = selected(shape, selection)
  return { text: `select count(*) as n from (select from ${shape.from} r${text} limit ${most}) r`, values, operatorSchemas: shape.operatorSchemas }
}

export function pageQuery(shape: SourceShape, selection: Selection, after: string | null, limit: number): ReadQuery {
  const { text, values } = selected(shape, selection, after)
  const { hasStatus, key, operatorSchemas, times } = shape
  const day = times.length === 0 ? 'null' : `to_char(coalesce(${times.map((column) => `r.${column}::timestamptz`).join(', ')}), 'YYYY-MM-DD')`
  return {
    text: `select jsonb_build_array(${key.map(({ column }) => `r.${column}`).join(', ')})::text as key, ${hasStatus ? 'r.status::text' : 'null'} as status, ${day} as day
      from ${shape.from} r${text} order by ${key.map(({ column }) => `r.${column}`).join(', ')} limit ${limit}`,
    values,
    operatorSchemas,
  }
}

/** The row comparison stands with the key's own operators, and its right side is read from the key's text as the triggers write it. */
function selected({ key, times }: SourceShape, { condition, since }: Selection, after: string | null = null): { text: string; values: readonly unknown[] } {
  const values: unknown[] = []
  const place = (value: unknown) => `$${values.push(value)}`
  const conditions = condition === null ? [] : [`(${condition}\n)`]
  if (since !== null) {
    const at = `${place(since)}::timestamptz`
    conditions.push(
      `(${times.map((column, nth) => [...times.slice(0, nth).map((before) => `r.${before} is null`), `r.${column} >= ${at}`].join(' and ')).join(' or ')})`,
    )
  }
  if (after !== null) {
    const members = key.map((_, nth) => `'key${nth + 1}', ${nth === 0 ? place(after) : `$${values.length}`}::json -> ${nth}`).join(', ')
    const types = key.map(({ type }, nth) => `key${nth + 1} ${type}`).join(', ')
    conditions.push(
      `(${key.map(({ column }) => `r.${column}`).join(', ')}) > (select ${key.map(foundKey).join(', ')} from json_to_record(json_build_object(${members})) c (${types}))`,
    )
  }
  return { text: conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`, values }
}

/** A key of jsonb may be the null of json, which a record takes for none. */
function foundKey({ type }: SourceShape['key'][number], nth: number): string {
  return type === 'jsonb' ? `coalesce(c.key${nth + 1}, 'null')` : `c.key${nth + 1}`
}
