import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ownEnvironment } from '../../../infra/local/settings.ts'
import { forgetMoments } from '../../support/object-memory.ts'
import { eventually } from '../../support/poll.ts'
import { root, textOf } from '../../support/repository.ts'
import { openStack, type StackAccess } from '../../support/stack-access.ts'

/** Three pages of the job. */
const CONVERSATIONS = 5_000

interface Run {
  readonly id: string
  readonly status: string
  readonly extracted: number
  readonly inserted: number
  readonly updated: number
  readonly unchanged: number
  readonly deleted: number
  readonly rejected: number
  readonly caughtByOverlap: number
  readonly caughtByReconcile: number
  readonly pages: number
  readonly attempt: number
  readonly durationSeconds: number
}

let stack: StackAccess
let chatwoot: pg.Pool
beforeAll(async () => {
  stack = openStack()
  chatwoot = new pg.Pool({ connectionString: stack.info.chatwoot.url, max: 2 })
  chatwoot.on('error', () => {})
  const client = await chatwoot.connect()
  await client.query(`begin; set local afluente.conversations = '${CONVERSATIONS}'`)
  await client.query(textOf('infra/chatwoot/seed.sql'))
  await client.query('commit; analyze')
  client.release()
})
afterAll(async () => {
  await stack.part('worker', 'start')
  await Promise.all([chatwoot.end(), stack.close()])
})

/** The command line in a process of its own. */
async function etl(...args: readonly string[]): Promise<{ readonly exit: unknown; readonly out: string; readonly err: string }> {
  const { token, url } = stack.info.worker
  const env = { ...ownEnvironment(), AFLUENTE_API_TOKEN: token }
  const child = spawn(process.execPath, [join(root, 'infra/cli/main.ts'), 'etl', ...args, '--url', url], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', err: '' }
  child.stdout.on('data', (text: Buffer) => (said.out += text.toString()))
  child.stderr.on('data', (text: Buffer) => (said.err += text.toString()))
  const [exit] = (await once(child, 'close')) as unknown[]
  return { exit, ...said }
}

/** A run to its end, begun as soon as no other is going: the stack's own schedule may come in between. */
const run = (...args: readonly string[]): Promise<Run> =>
  eventually(
    `etl ${args.join(' ')}`,
    async () => {
      const { err, exit, out } = await etl(...args, '--json')
      if (err.includes('A run of this job is going')) return null
      if (exit !== 0) throw new Error(`exit ${String(exit)}: ${out}${err}`)
      return JSON.parse(out) as Run
    },
    60_000,
  )

const going = async (): Promise<Run | null> => {
  const answer = (await (await stack.api('/api/etl/conversations')).json()) as { running: Run | null }
  return answer.running
}

/** Source and copy side by side. Chatwoot keeps UTC without a zone. */
async function expectSame(): Promise<void> {
  const sum = async (pool: pg.Pool, from: string, utc: string): Promise<unknown> => {
    const times = ['waiting_since', 'conversation_created_at', 'conversation_updated_at'].map((column) => `(${column}${utc})::text`).join(', ')
    const { rows } = await pool.query(
      `select count(*)::int as rows, md5(string_agg(concat_ws('|', conversation_id, display_id, status, priority, messages_total, contact_name, ${times}), '!' order by conversation_id)) as sum from ${from}`,
    )
    return rows[0]
  }
  expect(await sum(stack.analytics, 'bi.conversas_analytics', " at time zone 'UTC'")).toEqual(await sum(chatwoot, 'vw_conversations_analytics_final', ''))
}

test('a full run loads everything and leaves its row in etl_control; the next one finds nothing new', async () => {
  // The schedule may have run before what is here was written, with times of long ago.
  const first = await run('run', 'conversations', '--full')
  expect(first).toMatchObject({ status: 'success', rejected: 0 })
  await expectSame()
  const { rows } = await stack.analytics.query(
    `select status, triggered_by, rows_extracted::int, duration_seconds > 0 as took from ops.etl_control where execution_id = $1`,
    [first.id],
  )
  expect(rows).toEqual([{ status: 'success', triggered_by: 'manual', rows_extracted: first.extracted, took: true }])

  const again = await run('run', 'conversations')
  expect(again).toMatchObject({ status: 'success', inserted: 0, updated: 0, deleted: 0, rejected: 0, caughtByOverlap: 0, caughtByReconcile: 0 })
  expect(again.unchanged).toBe(again.extracted)
  expect((await etl('run', 'conversations')).out).toMatch(/^✓ conversations, incremental in \d+ ms/m)
  expect(await etl('health')).toMatchObject({ exit: 0, out: expect.stringContaining('✓ conversations: last good run') })
})

test('a delete, an update and a write that skips updated_at are found, each once, under its own name', async () => {
  const { rows: moment } = await stack.analytics.query<{ now: string }>('select clock_timestamp()::text as now')
  await chatwoot.query('delete from conversations where id = 11')
  await chatwoot.query('update conversations set status = 3, updated_at = clock_timestamp() at time zone $1 where id = 12', ['UTC'])
  await chatwoot.query("update conversations set waiting_since = timestamp '2026-06-01 00:00:00.000001' where id = 13")
  // The cursor's upper bound passes the update only once it is proven: every run before that leaves it for the next.
  await eventually(
    'the update is there',
    async () => {
      await run('run', 'conversations')
      return (await stack.analytics.query("select from silver.conversas_analytics where conversation_id = 12 and status = 'snoozed'")).rowCount === 1
    },
    60_000,
  )
  await run('reconcile', 'conversations')
  await expectSame()
  // Of all runs since, for the stack's own schedule may have found some of it.
  const { rows } = await stack.analytics.query(
    `select sum(rows_inserted)::int as inserted, sum(rows_updated)::int as updated, sum(rows_deleted)::int as deleted, sum(caught_by_reconcile)::int as by_reconcile
     from ops.etl_control join ops.etl_checkpoint using (execution_id) where started_at > $1::timestamptz`,
    [moment[0]?.now],
  )
  expect(rows).toEqual([{ inserted: 0, updated: 2, deleted: 1, by_reconcile: 2 }])
  expect((await stack.analytics.query('select from silver.conversas_analytics where conversation_id = 11 and _deleted_at is not null')).rowCount).toBe(1)
})

test('a Worker that is killed in the middle of a full load goes on where it was', async () => {
  // The last row differs and is held, so that the load is killed when its first pages are written and its last can't be.
  const last = 'conversation_id = (select max(conversation_id) from silver.conversas_analytics)'
  await stack.analytics.query(`update silver.conversas_analytics set _hash = null where ${last}`)
  const guard = await stack.analytics.connect()
  let id: string | undefined
  try {
    await guard.query(`begin; select from silver.conversas_analytics where ${last} for update`)
    id = await eventually('a full load is begun', async () => {
      const { exit, out } = await etl('run', 'conversations', '--full', '--detach', '--json')
      return exit === 0 ? (JSON.parse(out) as { run: Run }).run.id : null
    })
    const waiting = `from pg_stat_activity where datname = 'analytics' and cardinality(pg_blocking_pids(pid)) > 0`
    await eventually('some pages are written, and the rest is held up', async () => {
      expect((await going())?.pages ?? 0).toBeGreaterThan(0)
      return ((await stack.analytics.query(`select ${waiting}`)).rowCount ?? 0) > 0
    })
    await stack.part('worker', 'kill')
    await stack.analytics.query(`select pg_terminate_backend(pid) ${waiting}`)
  } finally {
    await guard.query('rollback')
    guard.release()
  }
  await stack.part('worker', 'start')
  const ended = await eventually(
    'it has ended',
    async () => {
      const { out } = await etl('show', id, '--json')
      const found = JSON.parse(out) as Run
      return found.status === 'running' ? null : found
    },
    90_000,
  )
  expect(ended).toMatchObject({ status: 'success', inserted: 0, updated: 1, extracted: CONVERSATIONS - 1 })
  expect(ended.attempt).toBeGreaterThan(1)
  await expectSame()
})

test('a stack that was off when a moment of the schedule came begins the run by itself, once', async () => {
  await eventually('nothing is going', async () => (await going()) === null)
  const begun = async (): Promise<number> => {
    const { rows } = await stack.analytics.query<{ runs: number }>(
      `select count(*)::int as runs from ops.etl_control where triggered_by = 'scheduler' and load_type = 'incremental'`,
    )
    return rows[0]?.runs ?? 0
  }
  await stack.part('worker', 'stop')
  const before = await begun()
  // As if it had been off for ten minutes: two moments of the schedule have passed.
  expect(forgetMoments(stack.home, 600_000)).toBe(1)
  await stack.part('worker', 'start')
  await eventually('the run is there', async () => (await begun()) > before)
  await eventually('and has ended well', async () => {
    const { rows } = await stack.analytics.query(`select status from ops.etl_control where triggered_by = 'scheduler' order by started_at desc limit 1`)
    expect(rows).toEqual([{ status: 'success' }])
    return true
  })
  expect(await begun()).toBe(before + 1)
})

test('no connection string and no password stands in the log of the Worker', async () => {
  const log = await readFile(join(stack.home, 'logs/worker.log'), 'utf8')
  const secrets = [stack.info.chatwoot.reader, stack.info.analytics.url].flatMap((url) => [url, new URL(url).password])
  expect(log).toContain('etl.ended')
  expect(secrets.filter((secret) => log.includes(secret))).toEqual([])
})
