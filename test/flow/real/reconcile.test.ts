import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ownEnvironment } from '../../../infra/local/settings.ts'
import { expectInStep, insertLeads, mark } from '../../support/leads.ts'
import { root } from '../../support/repository.ts'
import { openStack, type StackAccess } from '../../support/stack-access.ts'

let stack: StackAccess
beforeAll(() => {
  stack = openStack()
})
afterAll(() => stack.close())

/** The command line in a process of its own, as against a project in the cloud. */
async function reconcile(args: readonly string[], differs: Readonly<Record<string, string>> = {}) {
  const { analytics, elasticsearch, kafka, source, supabase } = stack.info
  const env = {
    ...ownEnvironment(),
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
    SOURCE_DATABASE_URL: source.url,
    ANALYTICS_DATABASE_URL: analytics.url,
    KAFKA_BROKERS: kafka.brokers.join(','),
    ELASTICSEARCH_URL: elasticsearch.url,
    ...differs,
  }
  const child = spawn(process.execPath, [join(root, 'infra/cli/main.ts'), 'reconcile', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', err: '' }
  child.stdout.on('data', (text: Buffer) => (said.out += text.toString()))
  child.stderr.on('data', (text: Buffer) => (said.err += text.toString()))
  const [exit]: unknown[] = await once(child, 'close')
  return { exit, ...said }
}

interface Told {
  readonly clean: boolean
  readonly rows: number
  readonly mended: number
  readonly moving: number
  readonly found: readonly { readonly sink: string; readonly what: string; readonly key: string }[]
}

async function told(...args: readonly string[]): Promise<Told & { readonly exit: unknown }> {
  const { err, exit, out } = await reconcile(['leads', ...args, '--json'])
  if (err !== '') throw new Error(err)
  const { tables } = JSON.parse(out) as { readonly tables: readonly Told[] }
  const [only] = tables
  if (only === undefined || tables.length !== 1) throw new Error(out)
  return { ...only, exit }
}

const keyOf = (id: string | undefined) => JSON.stringify([id])
const byKey = <T extends { readonly key: string; readonly sink: string }>(found: readonly T[]) =>
  found.toSorted((a, b) => (a.sink + a.key < b.sink + b.key ? -1 : 1))

async function deleteDocument(id: string | undefined): Promise<void> {
  const path = `${stack.info.elasticsearch.url}/leads/_doc/${encodeURIComponent(keyOf(id))}?refresh=true`
  const response = await fetch(path, { method: 'DELETE' })
  expect(response.status).toBe(200)
}

/** Whatever other tests left behind. */
async function inStep(): Promise<void> {
  await stack.quiet()
  expect(await told('--repair')).toMatchObject({ clean: true, exit: 0 })
}

describe('npx afluente reconcile', () => {
  test('names exactly what was damaged by hand, changes nothing, and mends it when told to', async () => {
    const company = mark('damaged')
    const ids = await insertLeads(stack.source, 40, company)
    await expectInStep(stack, company)
    await inStep()
    const [inIndex, inSilver, changed, old] = ids
    await deleteDocument(inIndex)
    await stack.analytics.query('delete from silver.leads where id = $1', [inSilver])
    const both = [
      { sink: 'index', what: 'missing', key: keyOf(inIndex) },
      { sink: 'silver', what: 'missing', key: keyOf(inSilver) },
    ]
    const seen = await told()
    expect({ ...seen, found: byKey(seen.found) }).toMatchObject({ clean: false, exit: 1, mended: 0, found: byKey(both) })
    expect((await stack.analytics.query('select from silver.leads where id = $1', [inSilver])).rowCount).toBe(0)

    await stack.analytics.query(`update silver.leads set name = 'by hand' where id = $1`, [changed])
    await stack.analytics.query(`update silver.leads set _version = _version + 1 where id = $1`, [old])
    const { rows } = await stack.analytics.query<{ id: string }>(
      `insert into silver.leads (id, name, company, status, _version) values (gen_random_uuid(), 'nobody', $1, 'new', 7) returning id`,
      [company],
    )
    const all = [
      ...both,
      { sink: 'silver', what: 'different', key: keyOf(changed) },
      { sink: 'index', what: 'different', key: keyOf(old) },
      { sink: 'silver', what: 'extra', key: keyOf(rows[0]?.id) },
    ]
    const repaired = await told('--repair')
    expect({ ...repaired, found: byKey(repaired.found) }).toMatchObject({ clean: true, exit: 0, mended: 5, found: byKey(all) })
    await expectInStep(stack, company)
    expect(await told()).toMatchObject({ clean: true, exit: 0, found: [] })

    const ready = (await (await stack.api('/ready')).json()) as { readonly reconciled: readonly { table: string; ok: boolean; verdict: string }[] }
    expect(ready.reconciled.find(({ table }) => table === 'public.leads')).toMatchObject({
      ok: true,
      verdict: expect.stringMatching(/^0 missing, 0 different, 0 extra of [\d ]+, as of (?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d$/) as unknown,
    })
    expect(await (await stack.api('/metrics')).text()).toContain('afluente_reconcile_discrepancies{table="public.leads",sink="index",what="missing"} 0')
  })

  test('beside writers of hot keys it finds nothing, for nothing is wrong', async () => {
    const company = mark('hot')
    await insertLeads(stack.source, 300, company)
    await inStep()
    let writing = true
    const writers = [0, 1, 2].map(async (seed) => {
      for (let turn = seed; writing; turn += 1) {
        const kind = turn % 5
        if (kind === 0)
          await stack.source.query(`delete from public.leads where id in (select id from public.leads where company = $1 order by random() limit 1)`, [company])
        else if (kind === 1) await insertLeads(stack.source, 2, company)
        // There and back again: an old content under a new version.
        else
          await stack.source.query(
            `update public.leads set score = 1 - coalesce(score, 0) where id in (select id from public.leads where company = $1 order by id limit 15 for update skip locked)`,
            [company],
          )
      }
    })
    try {
      for (let round = 0; round < 2; round += 1) expect(await told()).toMatchObject({ clean: true, exit: 0, found: [] })
      // What is wrong is found beside them as well, and nothing else.
      const { rows } = await stack.analytics.query<{ id: string }>(
        `delete from silver.leads where id = (select id from silver.leads where company <> $1 limit 1) returning id`,
        [company],
      )
      expect(await told('--repair')).toMatchObject({ clean: true, exit: 0, mended: 1, found: [{ sink: 'silver', what: 'missing', key: keyOf(rows[0]?.id) }] })
    } finally {
      writing = false
      await Promise.all(writers)
    }
    await expectInStep(stack, company)
  })

  test('an unknown table is told, and nothing is done', async () => {
    expect(await reconcile(['nothing'])).toMatchObject({
      exit: 2,
      out: '',
      err: expect.stringMatching(/'nothing'.*public\.leads.*Nothing was done/) as unknown,
    })
  })

  test.each([
    ['its API', { SUPABASE_URL: 'http://127.0.0.1:9' }],
    ['its rows', { SOURCE_DATABASE_URL: 'postgres://nobody@127.0.0.1:9/nowhere' }],
  ])('a source that can’t be reached changes nothing: %s', async (_, differs) => {
    const [id] = await insertLeads(stack.source, 1, mark('unreached'))
    await inStep()
    await stack.analytics.query('delete from silver.leads where id = $1', [id])
    const state = async () => {
      const { rows } = await stack.analytics.query(
        `select (select count(*) from ops.reconciliation) as reconciled, (select count(*) from ops.audit) as audited, (select count(*) from bronze.events) as events`,
      )
      const { rows: marks } = await stack.source.query('select sum(reconciling) as begun from afluente.captured_tables')
      return [rows, marks]
    }
    const before = await state()
    expect(await reconcile(['leads', '--repair'], differs)).toMatchObject({ exit: 1, out: '', err: expect.stringMatching(/^✗ /) as unknown })
    expect(await state()).toEqual(before)
    await inStep()
  })
})
