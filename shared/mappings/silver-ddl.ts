/** The SQL of silver's tables and of the views over them, made from the definition. Text in, text out: `npm run generate` writes the files. */
import type { AnyPipeline } from '../engine/define.ts'
import type { EtlJob } from '../tables/etl-job.ts'
import { qualifiedName, type SourceTable } from '../tables/table.ts'
import { quoted, silverType } from './column-types.ts'

export interface GeneratedFile {
  readonly name: string
  readonly text: string
}

/** What silver adds to the columns of the source. */
const BOOKKEEPING: readonly (readonly [string, string])[] = [
  ['_version', 'bigint not null'],
  ['_deleted_at', 'timestamptz'],
  ['_event_id', 'text'],
  ['_synced_at', 'timestamptz'],
]

const GENERATED = /^(?:03\d\d_silver|04\d\d_bi)_.+\.sql$/
/** What it adds to those of an ETL job. `_hash` is of the row as the source printed it. */
const JOB_BOOKKEEPING: readonly (readonly [string, string])[] = [
  ['_deleted_at', 'timestamptz'],
  ['_hash', 'bigint'],
  ['_synced_at', 'timestamptz'],
]

const NOTE = '-- Generated from shared/pipeline.ts by `npm run generate`. Change it there.'

/** True for the name of a file that this module writes: one that it no longer names belongs to a table that has gone. */
export function isGenerated(name: string): boolean {
  return GENERATED.test(name)
}

/** The files of `sql/` that a definition asks for. The same definition gives the same bytes. */
export function generatedFiles(pipeline: AnyPipeline): readonly GeneratedFile[] {
  const jobs = Object.values(pipeline.etl ?? {}).map(tableOf)
  return [...pipeline.tables.map((table) => ({ ...table, fromJob: false })), ...jobs].flatMap(({ fromJob, ...table }) => [
    { name: `0300_silver_${table.name}.sql`, text: fromJob ? silverTable(table, JOB_BOOKKEEPING, '') : silverTable(table, BOOKKEEPING, floorOf(table)) },
    { name: `0400_bi_${table.name}.sql`, text: biView(table) },
  ])
}

/** The table that a job writes. */
function tableOf({ into, key, columns }: EtlJob) {
  return { schema: 'silver', name: into, key, columns: Object.fromEntries(Object.entries(columns).map(([name, { type }]) => [name, type])), fromJob: true }
}

function floorOf(table: SourceTable): string {
  return `
-- Locked by every batch: it must be there before the first.
insert into ops.floor (source_table) values (${literal(qualifiedName(table))}) on conflict do nothing;
`
}

/** Nullable throughout: a tombstone has its key alone, and checks are the source's business. Applied again, it adds columns and changes types. */
function silverTable(table: SourceTable, bookkeeping: readonly (readonly [string, string])[], more: string): string {
  const name = `silver.${quoted(table.name)}`
  const columns = Object.entries(table.columns).map(([column, type]) => ({ column, type: silverType(type) }))
  return `${NOTE}
create table if not exists ${name} (
${[...columns.map(({ column, type }) => [quoted(column), type] as const), ...bookkeeping].map(([column, type]) => `  ${column} ${type},`).join('\n')}
  primary key (${table.key.map(quoted).join(', ')})
);

revoke all on ${name} from public;
${more}
-- Columns that came into the definition after the table was made.
alter table ${name}
${columns.map(({ column, type }) => `  add column if not exists ${quoted(column)} ${type}`).join(',\n')};

-- Types that have changed in the definition. The view stands in the way; its own file makes it again.
do $$
begin
  if exists (
    select from pg_attribute as a
    join (values
${columns.map(({ column, type }) => `      (${literal(column)}, ${literal(type)})`).join(',\n')}
    ) as defined (name, type) on defined.name = a.attname
    where a.attrelid = ${literal(name)}::regclass and a.atttypid <> defined.type::regtype
  ) then
    drop view if exists bi.${quoted(table.name)};
    alter table ${name}
${columns.map(({ column, type }) => `      alter column ${quoted(column)} type ${type}`).join(',\n')};
  end if;
end
$$;
`
}

/**
 * The living rows. `security_invoker`: the view shows nobody more than the table does. Replaced in place where Postgres allows it
 * (columns only added at the end), so that views of others on top of it stay. The types stand there to have it made again when one changes.
 */
function biView(table: SourceTable): string {
  const name = quoted(table.name)
  const columns = Object.entries(table.columns)
  const view = `view bi.${name} with (security_invoker = true) as
select
${columns.map(([column, type], at) => `  ${quoted(column)}${at < columns.length - 1 ? ',' : ''} -- ${silverType(type)}`).join('\n')}
from silver.${name}
where _deleted_at is null;`
  return `${NOTE}
do $$
begin

create or replace ${view}

exception when invalid_table_definition then
drop view bi.${name};

create ${view}

end
$$;

revoke all on bi.${name} from public;
`
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
