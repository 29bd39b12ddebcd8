/**
 * What `pg_dump | psql` leaves behind, made by hand where those programs are missing: npm's Postgres comes without. Tables are
 * made anew, so that dropped columns are gone and those behind them have other numbers; functions, triggers, sequences and
 * every row are as they were, and what is printed by name is found by name.
 */
import { using } from './cluster.ts'
import type { Session } from './source.ts'

/** Into a database that has the migrations and nothing else. Both as the superuser. */
export async function copyByHand(from: string, to: string): Promise<void> {
  await using(from, (source) =>
    using(to, async (target) => {
      // Names are printed with their schemas, as pg_dump has them printed.
      for (const session of [source, target]) await session.run(`set search_path = 'pg_catalog'`)
      const there = await tables(target)
      const added = (await tables(source)).filter((table) => !there.includes(table))
      for (const table of added) await target.run((await source.value(TABLE_TEXT, [table])) ?? '')
      for (const table of added) await copyRows(source, target, table)

      for (const { text } of await source.run(FUNCTION_TEXTS)) await target.run(text ?? '')
      for (const table of there.filter((name) => name.startsWith('afluente.'))) {
        await target.run(`delete from ${table}`)
        await copyRows(source, target, table)
      }
      for (const { text } of await source.run(TRIGGER_TEXTS, [added])) await target.run(text ?? '')
      for (const { name } of await source.run(`select 'afluente.' || sequencename as name from pg_sequences where schemaname = 'afluente'`))
        await target.run('select setval($1, $2)', [name, await source.value(`select last_value from ${name}`)])
    }),
  )
}

async function tables(session: Session): Promise<readonly string[]> {
  const rows = await session.run(`select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('public', 'afluente') order by 1`)
  return rows.map(({ name }) => name ?? '')
}

async function copyRows(source: Session, target: Session, table: string): Promise<void> {
  const rows = await source.value(`select json_agg(row_to_json(t.*)) from ${table} t`)
  if (rows !== null) await target.run(`insert into ${table} select (json_populate_recordset(null::${table}, $1::json)).*`, [rows])
}

const TABLE_TEXT = `
select format('create table %s (%s, primary key (%s)); alter table %1$s owner to %4$I', $1::text,
  (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
   from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  (select string_agg(format('%I', a.attname), ', ' order by k.position)
   from pg_index i cross join unnest(i.indkey::smallint[]) with ordinality k (number, position)
   join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
   where i.indrelid = c.oid and i.indisprimary),
  pg_get_userbyid(c.relowner))
from pg_class c where c.oid = to_regclass($1)`

const FUNCTION_TEXTS = `
select pg_get_functiondef(p.oid) || format('; alter function %s owner to %I', p.oid::regprocedure, pg_get_userbyid(p.proowner)) as text
from pg_proc p where p.pronamespace = 'afluente'::regnamespace and p.prokind = 'f'`

const TRIGGER_TEXTS = `
select pg_get_triggerdef(t.oid) || format('; alter table %s enable always trigger %I', t.tgrelid::regclass, t.tgname) as text
from pg_trigger t where not t.tgisinternal and t.tgrelid::regclass::text = any ($1)`
