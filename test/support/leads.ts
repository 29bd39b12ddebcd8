/** Leads for tests on the real stack: written to the source, looked for in the sinks. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { expect } from 'vitest'
import { eventually } from './poll.ts'
import type { StackAccess } from './stack-access.ts'

/** Inserts `count` leads in one statement, all with `company` as their mark, and gives their ids. */
export async function insertLeads(db: pg.Pool | pg.PoolClient, count: number, company: string): Promise<readonly string[]> {
  const { rows } = await db.query<{ id: string }>(
    `insert into public.leads (id, name, company, status, estimated_value)
     select gen_random_uuid(), 'lead ' || n, $2, 'new', n + 0.25 from generate_series(1, $1::int) n returning id`,
    [count, company],
  )
  return rows.map((row) => row.id)
}

/** A mark of its own for each test, so that tests share a stack. */
export function mark(what: string): string {
  return `${what} ${randomUUID()}`
}

/** Source, silver and index hold the same living rows for a mark: every column's text, and both sinks the same versions. */
export async function expectInStep(stack: StackAccess, company: string, options: { readonly withinMs?: number } = {}): Promise<void> {
  const columns = `id::text, name, status, company, estimated_value::text as value, updated_at::text`
  await eventually(
    `silver.leads and the index equal public.leads for '${company}'`,
    async () => {
      const source = await stack.source.query(`select ${columns} from public.leads where company = $1 order by id`, [company])
      const silver = await stack.analytics.query(`select ${columns} from bi.leads where company = $1 order by id`, [company])
      expect(silver.rows).toEqual(source.rows)
      const versions = await stack.analytics.query<{ id: string; version: string }>(
        `select id::text, _version::text as version from silver.leads where company = $1 and _deleted_at is null order by id`,
        [company],
      )
      const documents = await stack.search('leads', { term: { 'company.raw': company } })
      const indexed = documents.map((document) => ({ id: String(document['id']), version: String((document['afluente'] as { version: number }).version) }))
      expect(indexed.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual(versions.rows)
      return true
    },
    options.withinMs ?? 20_000,
  )
}

/**
 * Each event stands once in bronze, each key's in the order of their versions, and each key's last one there is what silver has.
 * `dead` are ids whose event silver has refused: silver must not have them at all.
 */
export async function expectOnceInBronze(
  stack: StackAccess,
  ids: readonly string[],
  eventsEach: number,
  { dead = [] }: { readonly dead?: readonly string[] } = {},
): Promise<void> {
  await eventually(`bronze holds ${eventsEach} event(s) for each of ${ids.length} keys, and silver the last of each`, async () => {
    const { rows } = await stack.analytics.query<{ n: string; keys: string; disordered: string }>(
      `select count(*) as n, count(distinct key) as keys, count(*) filter (where version <= before) as disordered
       from (select key, version, lag(version) over (partition by key order by kafka_offset) as before from bronze.events where key = any($1)) e`,
      [ids.map((id) => `["${id}"]`)],
    )
    expect(rows[0]).toEqual({ n: String(ids.length * eventsEach), keys: String(ids.length), disordered: '0' })
    const applied = await stack.analytics.query<{ id: string }>(
      `select s.id::text from silver.leads s
       join (select key, max(version) as last from bronze.events where key = any($2) group by key) e on e.key = json_build_array(s.id)::text
       where s.id = any($1::uuid[]) and s._version = e.last`,
      [ids, ids.map((id) => `["${id}"]`)],
    )
    const refused = new Set(dead)
    expect(applied.rows.map(({ id }) => id).toSorted()).toEqual(ids.filter((id) => !refused.has(id)).toSorted())
    return true
  })
}
