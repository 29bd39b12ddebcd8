/** What a fresh stack has to show: rows that were there before they were captured, sent as such rows are, by a backfill. */
import { createHash, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { operatorSettings } from '../../shared/config.ts'
import { runBackfill } from '../../shared/engine/backfill.ts'
import type { Backfill } from '../../shared/ports/backfills.ts'
import { type Access, openAccess } from '../cli/access.ts'
import { repository } from './home.ts'
import type { Places } from './places.ts'
import { withClient } from './prepare-databases.ts'
import type { Report } from './progress.ts'
import type { Secrets } from './secrets.ts'

export interface SeedDeps {
  readonly places: Places
  readonly secrets: Secrets
  readonly report: Report
  readonly signal: AbortSignal
}

/** So many rows are sent while the stack starts; more are left to whoever has the time. */
const FEW = 10_000

/** Seeds the source where it never was, and sends the few rows that were there before their table was captured. Wants the whole stack. */
export async function seedAndSend(deps: SeedDeps): Promise<void> {
  const { places, report, secrets, signal } = deps
  if (await seedOnce(places.source)) report({ key: 'seed', state: 'done', text: 'source seeded (supabase/seed.sql)' })
  const access = openAccess(
    operatorSettings({
      SUPABASE_URL: places.supabase,
      SUPABASE_SERVICE_ROLE_KEY: secrets.serviceRoleKey,
      SOURCE_DATABASE_URL: places.source,
      ANALYTICS_DATABASE_URL: places.analytics,
    }),
  )
  try {
    for (const backfill of (await access.backfills.list({ signal })).toReversed()) {
      const text = isOpen(backfill) ? await sendFew(backfill, access, signal) : undefined
      if (text !== undefined) report({ key: `backfill ${backfill.id}`, state: 'done', text })
    }
  } finally {
    await access.close()
  }
}

/** Of a whole table, and nobody works on it. */
function isOpen({ condition, limit, since, state, worked }: Backfill): boolean {
  return condition === null && limit === null && since === null && (state === 'offered' || (state === 'running' && !worked))
}

/** What became of it, in words. */
async function sendFew({ id, state, table }: Backfill, access: Access, signal: AbortSignal): Promise<string | undefined> {
  const selection = { table, condition: null, since: null }
  const checked = await access.rows.check(selection, { signal })
  if (!checked.ok) return undefined
  const rows = await access.rows.estimate(selection, { signal })
  if (rows > FEW) return `${table} has about ${rows} rows from before it was captured: npx afluente backfill ${state === 'offered' ? table : `resume ${id}`}`
  const begun = await access.backfills.start({ table, condition: null, spanMs: null, limit: null, estimate: rows }, { signal })
  const end = await runBackfill({ id: begun.id, owner: `npm start ${randomUUID()}`, signal }, access)
  return end.ending === 'done' ? `${table}: ${end.backfill.sent} rows that were there go through (a backfill, as npx afluente backfill does it)` : undefined
}

/**
 * Applies supabase/seed.sql, once per database; recorded where the Supabase CLI records it. Answers whether it did. What it inserts
 * is not captured, but offered to a backfill: on a project of one's own rows are there first as well.
 */
export async function seedOnce(url: string): Promise<boolean> {
  const text = await readFile(join(repository, 'supabase/seed.sql'), 'utf8')
  const hash = createHash('sha256').update(text).digest('hex')
  return withClient(url, async (client) => {
    await client.query('create schema if not exists supabase_migrations')
    await client.query('create table if not exists supabase_migrations.seed_files (path text primary key, hash text not null)')
    await client.query('begin')
    const taken = await client.query("insert into supabase_migrations.seed_files values ('supabase/seed.sql', $1) on conflict do nothing", [hash])
    if (taken.rowCount !== 0) {
      await client.query(forEachCaptured('alter table %s disable trigger afluente_insert', ''))
      await client.query(text)
      await client.query(forEachCaptured('alter table %s enable always trigger afluente_insert', 'perform afluente.offer_backfill(captured);'))
      // They were off on purpose: the backfill sends what they did not see.
      await client.query('update afluente.captured_tables c set columns = afluente.columns_of(c.table_oid)')
    }
    await client.query('commit')
    return taken.rowCount !== 0
  })
}

function forEachCaptured(statement: string, then: string): string {
  return `do $$
    declare
      captured regclass;
    begin
      for captured in select c.table_oid from afluente.captured_tables c join pg_class r on r.oid = c.table_oid where r.relkind = 'r' loop
        execute format('${statement}', captured);
        ${then}
      end loop;
    end $$`
}
