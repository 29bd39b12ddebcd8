import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { ownEnvironment } from '../../../infra/local/settings.ts'
import { expectInStep, insertLeads, mark } from '../../support/leads.ts'
import { eventually } from '../../support/poll.ts'
import { root } from '../../support/repository.ts'
import { openStack, type StackAccess } from '../../support/stack-access.ts'

let stack: StackAccess
beforeAll(() => {
  stack = openStack()
})
afterEach(async () => {
  await stack.part('worker', 'start')
  for (const consumer of ['postgres', 'elasticsearch'])
    await stack.api('/api/shadows/drop', { method: 'POST', body: JSON.stringify({ table: 'leads', consumer }) })
})
afterAll(() => stack.close())

interface Said {
  readonly exit: number
  readonly out: string
  readonly err: string
}

/** The command line as against a deployed Worker. */
function run(...args: readonly string[]): Promise<Said> {
  const { token, url } = stack.info.worker
  const env = { ...ownEnvironment(), AFLUENTE_API_TOKEN: token }
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [join(root, 'infra/cli/main.ts'), ...args, '--url', url], { env }, (_error, out, err) =>
      resolve({ exit: child.exitCode ?? -1, out, err }),
    )
  })
}

interface Job {
  readonly id: string
  readonly state: string
  readonly done: number
  readonly total: number
  readonly accepted: number
  readonly report: { readonly differences?: Readonly<Record<string, number>> }
}

const job = async (id: string): Promise<Job> => (await (await stack.api(`/api/replays/${id}`)).json()) as Job
const ended = (id: string) => eventually(`replay ${id} has ended`, async () => ((await job(id)).state === 'running' ? null : await job(id)), 120_000)
const begun = (said: Said): string => {
  expect(said).toMatchObject({ exit: 0, err: '' })
  return (JSON.parse(said.out) as { jobs: readonly { id: string }[] }).jobs[0]?.id ?? ''
}

test('rows that somebody removed from silver come back from bronze, and nothing that is there changes', async () => {
  const company = mark('replay')
  const ids = await insertLeads(stack.source, 40, company)
  await stack.source.query(`update public.leads set status = 'won' where company = $1`, [company])
  await expectInStep(stack, company)
  await stack.analytics.query('delete from silver.leads where id = any($1::uuid[])', [ids.slice(0, 15)])
  const said = await run('replay', '--from', '10m', '--table', 'leads', '--into', 'postgres', '--json')
  expect(said).toMatchObject({ exit: 0, err: '' })
  const [replayed] = (JSON.parse(said.out) as { jobs: readonly Job[] }).jobs
  expect(replayed?.done).toBe(replayed?.total)
  await expectInStep(stack, company)
  const { rows } = await stack.analytics.query('select accepted + duplicate + late + dead = consumed as whole from ops.consumer_progress')
  expect(rows.every(({ whole }: { whole: boolean }) => whole)).toBe(true)
})

test.each(['postgres', 'elasticsearch'])(
  'a shadow of %s is filled, compared and swapped beside a writer, though its Worker is killed; then it is dropped',
  async (consumer) => {
    const company = mark(`shadow of ${consumer}`)
    await insertLeads(stack.source, 2_000, company)
    await expectInStep(stack, company, { withinMs: 60_000 })
    let writing = true
    let changes = 0
    const writer = (async () => {
      // At a pace: what it writes goes through all parts, and the trial has to follow it on the same machine.
      for (; writing; changes += 1, await sleep(20)) {
        await stack.source.query(
          `update public.leads set score = coalesce(score, 0) % 50 + 1 where id in (select id from public.leads where company = $1 order by id limit 10)`,
          [company],
        )
        await stack.source.query(`delete from public.leads where id in (select id from public.leads where company = $1 order by id desc limit 1)`, [company])
        await insertLeads(stack.source, 1, company)
      }
    })()

    try {
      const id = begun(await run('replay', '--table', 'leads', '--into', consumer, '--shadow', '--detach', '--json'))
      await eventually('some are in the shadow', async () => (await job(id)).done > 0)
      await stack.part('worker', 'kill')
      await stack.part('worker', 'start')
      await stack.cron()
      const filled = await ended(id)
      expect(filled).toMatchObject({ state: 'done', report: { differences: { onlyLive: 0, onlyShadow: 0, different: 0 } } })
      // What came into bronze meanwhile with a lower version than the last is among them.
      expect(filled.done).toBeGreaterThanOrEqual(filled.total)
      expect((await run('shadow', 'list')).out).toMatch(new RegExp(`public\\.leads of ${consumer}: .*may be swapped`))

      const began = changes
      const swapped = await run('shadow', 'swap', 'leads', '--consumer', consumer, '--json')
      expect(swapped).toMatchObject({ exit: 0, err: '' })
      await eventually('the writer goes on', async () => changes > began + 2)
    } finally {
      writing = false
      await writer
    }
    await expectInStep(stack, company, { withinMs: 60_000 })

    // The former one is what stands aside now, and goes.
    expect((await run('shadow', 'list')).out).toContain('was the live one')
    expect(await run('shadow', 'drop', 'leads', '--consumer', consumer)).toMatchObject({ exit: 0 })
    expect((await run('shadow', 'list')).out).toBe('no shadows\n')
    await insertLeads(stack.source, 5, company)
    await expectInStep(stack, company)
  },
)

test('a table, a consumer or a time that is none: a clear line, exit 2, nothing done', async () => {
  const count = async () => (await stack.analytics.query<{ n: string }>('select count(*) as n from ops.replay_job')).rows[0]?.n
  const before = await count()
  const wrong = async (words: string, ...args: readonly string[]) => {
    const said = await run('replay', ...args)
    expect(said.exit).toBe(2)
    expect(said.err).toContain(words)
  }
  await wrong('There is no such table', '--all', '--table', 'nothing', '--into', 'postgres')
  await wrong('There is no such consumer', '--all', '--into', 'nobody')
  await wrong("--from: 'soon' is neither a time", '--from', 'soon', '--into', 'postgres')
  await wrong('Which events?', '--into', 'postgres')
  expect((await run('shadow', 'swap', 'leads')).err).toContain('There is no such shadow')
  expect(await count()).toBe(before)
})
