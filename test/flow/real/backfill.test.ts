import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ownEnvironment } from '../../../infra/local/settings.ts'
import { expectInStep, insertLeads, mark } from '../../support/leads.ts'
import { eventually } from '../../support/poll.ts'
import { root } from '../../support/repository.ts'
import { openStack, type StackAccess } from '../../support/stack-access.ts'

let stack: StackAccess
beforeAll(() => {
  stack = openStack()
})
afterAll(() => stack.close())

/** The command line in a process of its own, as against a project in the cloud. */
function start(...args: readonly string[]) {
  const { analytics, source, supabase } = stack.info
  const env = {
    ...ownEnvironment(),
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
    SOURCE_DATABASE_URL: source.url,
    ANALYTICS_DATABASE_URL: analytics.url,
  }
  const child = spawn(process.execPath, [join(root, 'infra/cli/main.ts'), ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', err: '' }
  child.stdout.on('data', (text: Buffer) => (said.out += text.toString()))
  child.stderr.on('data', (text: Buffer) => (said.err += text.toString()))
  const ended = once(child, 'close').then(([exit]: unknown[]) => ({ exit, ...said }))
  return { child, ended }
}

const run = (...args: readonly string[]) => start(...args).ended

/** As rows are that were there before their table was captured. */
async function insertUnseen(rows: number, company: string): Promise<void> {
  const client = await stack.source.connect()
  try {
    await client.query('begin; alter table public.leads disable trigger afluente_insert')
    await insertLeads(client, rows, company)
    await client.query('alter table public.leads enable always trigger afluente_insert; commit')
  } finally {
    client.release()
  }
}

describe('npx afluente backfill', () => {
  test('rows that nobody captured arrive in both sinks, also when it is killed in its midst, beside writers of the same rows', async () => {
    const company = mark('backfill')
    await insertUnseen(1_500, company)
    const condition = ['--where', `company = '${company}'`]
    const killed = start('backfill', 'leads', ...condition, '--rate', '500')
    const sent = async () => {
      const { rows } = await stack.source.query<{ id: string; sent: number }>('select id, sent::int from afluente.backfills where condition = $1', [
        `company = '${company}'`,
      ])
      return rows[0]
    }
    let writing = true
    const writer = (async () => {
      while (writing) {
        await stack.source.query(
          `update public.leads set score = coalesce(score, 0) % 50 + 1 where id in (select id from public.leads where company = $1 order by id limit 20)`,
          [company],
        )
        await stack.source.query(`delete from public.leads where id in (select id from public.leads where company = $1 order by id desc limit 1)`, [company])
      }
    })()
    await eventually('some are sent', async () => ((await sent())?.sent ?? 0) > 100)
    killed.child.kill('SIGKILL')
    await killed.ended
    expect((await sent())?.sent).toBeLessThan(1_400)
    // It waits until whoever was killed is forgotten.
    const resumed = await run('backfill', 'leads', ...condition, '--json')
    writing = false
    await writer
    expect(resumed).toMatchObject({ exit: 0, err: '' })
    expect(JSON.parse(resumed.out)).toMatchObject({ ending: 'done', backfill: { table: 'public.leads', state: 'done', failed: 0, waiting: 0 } })
    await expectInStep(stack, company)
    const { rows } = await stack.analytics.query(`select action from ops.audit where subject = $1 order by id`, [
      `public.leads, backfill ${(await sent())?.id}`,
    ])
    expect(rows).toEqual([{ action: 'backfill.begin' }, { action: 'backfill.go-on' }, { action: 'backfill.done' }])
  })

  test('is paused, resumed and cancelled from elsewhere', async () => {
    const company = mark('steered')
    await insertUnseen(300, company)
    const working = start('backfill', 'leads', '--where', `company = '${company}'`, '--rate', '20')
    const { id } = await eventually('it runs', async () => {
      const { backfills } = JSON.parse((await run('backfill', 'list', '--json')).out) as { backfills: { id: number; condition: string; sent: number }[] }
      return backfills.find((one) => one.condition.includes(company) && one.sent > 0)
    })
    expect(await run('backfill', 'pause', String(id))).toMatchObject({ exit: 0 })
    expect((await run('backfill', 'list')).out).toMatch(new RegExp(`^ +${id} +paused`, 'm'))
    expect(await run('backfill', 'resume', String(id))).toMatchObject({
      exit: 0,
      out: expect.stringMatching(/goes on with whoever works on it .*ask again in ten seconds/) as unknown,
    })
    expect(await run('backfill', 'cancel', String(id))).toMatchObject({ exit: 0 })
    expect(await working.ended).toMatchObject({ exit: 1, out: expect.stringMatching(/cancelled\n$/) as unknown })
    expect(await run('backfill', 'resume', String(id))).toMatchObject({ exit: 2, err: expect.stringContaining('has ended (cancelled)') as unknown })
  })

  test('does nothing for a table or condition that is not there, and says so', async () => {
    expect(await run('backfill', 'nothing')).toMatchObject({
      exit: 2,
      err: expect.stringMatching(/No captured table is called 'nothing'.*public\.leads/) as unknown,
    })
    expect(await run('backfill', 'leads', '--where', 'colour = 1')).toMatchObject({
      exit: 2,
      err: expect.stringContaining('"colour" does not exist') as unknown,
    })
    expect(await run('backfill', 'cancel', '999999')).toMatchObject({ exit: 2, err: expect.stringContaining('There is no backfill 999999') as unknown })
  })
})

test('npx afluente sync tells what it saw by status and by day', async () => {
  const company = mark('sync')
  await insertUnseen(5, company)
  const { exit, out } = await run('sync', 'leads', '--hours', '1', '--limit', '3', '--json')
  expect(exit).toBe(0)
  const told = JSON.parse(out) as { byStatus: Record<string, number>; byDay: Record<string, number>; backfill: object }
  expect(told).toMatchObject({ ending: 'done', backfill: { seen: 3, sent: 3, limit: 3 } })
  for (const counts of [told.byStatus, told.byDay]) expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(3)
  expect(Object.keys(told.byDay)[0]).toMatch(/^\d{4}-\d\d-\d\d$/)
  await stack.source.query('delete from public.leads where company = $1', [company])
})
