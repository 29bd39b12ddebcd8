/** The SQL of silver's tables and of the views over them, made from the definition. Text in, text out: `npm run generate` writes the files. */
import type { AnyPipeline } from '../engine/define.ts'
import type { SourceTable } from '../tables/table.ts'
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
const NOTE = '-- Generated from shared/pipeline.ts by `npm run generate`. Change it there.'

/** True for the name of a file that this module writes: one that it no longer names belongs to a table that has gone. */
export function isGenerated(name: string): boolean {
  return GENERATED.test(name)
}

/** The files of `sql/` that a definition asks for. The same definition gives the same bytes. */
export function generatedFiles(pipeline: AnyPipeline): readonly GeneratedFile[] {
  return pipeline.tables.flatMap((table) => [
    { name: `0300_silver_${table.name}.sql`, text: silverTable(table) },
    { name: `0400_bi_${table.name}.sql`, text: biView(table) },
  ])
}

/** Nullable throughout: a tombstone has its key alone, and checks are the source's business. */
function silverTable(table: SourceTable): string {
  const name = `silver.${quoted(table.name)}`
  const columns = Object.entries(table.columns).map(([column, type]) => [quoted(column), silverType(type)] as const)
  return `${NOTE}
create table if not exists ${name} (
${[...columns, ...BOOKKEEPING].map(([column, type]) => `  ${column} ${type},`).join('\n')}
  primary key (${table.key.map(quoted).join(', ')})
);

-- Columns that came into the definition after the table was made.
alter table ${name}
${columns.map(([column, type]) => `  add column if not exists ${column} ${type}`).join(',\n')};

revoke all on ${name} from public;
`
}

/** Dropped first, since a view's columns can't be reordered in place. `security_invoker`: it shows nobody more than the table does. */
function biView(table: SourceTable): string {
  const name = quoted(table.name)
  return `${NOTE}
drop view if exists bi.${name};

create view bi.${name} with (security_invoker = true) as
select
${Object.keys(table.columns)
  .map((column) => `  ${quoted(column)}`)
  .join(',\n')}
from silver.${name}
where _deleted_at is null;

revoke all on bi.${name} from public;
`
}
