import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { accessEnvironment } from '../../../infra/cli/access.ts'
import { backfill } from '../../../infra/cli/backfill.ts'
import { rateMeter } from '../../../infra/cli/backfill/rate-meter.ts'
import { freed } from '../../../infra/cli/backfill/work.ts'
import { countsOf, listLine, progressLine, selectionOf, timeLeft, totalOf } from '../../../infra/cli/backfill/words.ts'
import { runVerb } from '../../../infra/cli/run.ts'
import { sync } from '../../../infra/cli/sync.ts'
import { describe as tell } from '../../../infra/local/fault.ts'
import type { StackInfo } from '../../../infra/local/stack-info.ts'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { settle } from '../../../shared/engine/settled.ts'
import type { Backfill } from '../../../shared/ports/backfills.ts'
import { drive } from '../../support/virtual-time.ts'

const { signal } = new AbortController()

async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const out: string[] = []
  const err: string[] = []
  const exit = await runVerb(
    { backfill, sync },
    { args, env: { AFLUENTE_HOME: '/nowhere/at/all', ...env }, out: (line) => out.push(line), err: (line) => err.push(line), describe: tell },
  )
  return { exit, out: out.join('\n'), err: err.join('\n') }
}

const one: Backfill = {
  id: 3,
  table: 'public.leads',
  condition: null,
  since: null,
  limit: null,
  state: 'running',
  worked: true,
  reached: '["a"]',
  waiting: [],
  estimate: 1_000_000,
  seen: 450_000,
  sent: 449_990,
  gone: 10,
  failed: 0,
  beganAt: '2026-11-22T18:00:00.000000Z',
  endedAt: null,
}

describe('npx afluente backfill and sync', () => {
  test('help when asked', async () => {
    expect(await run(['backfill', '--help'])).toMatchObject({ exit: 0, out: expect.stringContaining('--where') as unknown })
    expect(await run(['sync', '-h'])).toMatchObject({ exit: 0, out: expect.stringContaining('--hours') as unknown })
  })

  test.each([
    [['backfill'], /Which table/],
    [['backfill', 'leads', 'chat_sessions'], /One table at a time/],
    [['backfill', 'leads', '--where', ' '], /the condition is empty/],
    [['backfill', 'leads', '--since', 'yesterday'], /--since: 'yesterday' is no length of time/],
    [['backfill', 'leads', '--since', '0h'], /above zero/],
    [['backfill', 'leads', '--limit', '1.5'], /--limit: '1\.5' is no whole number/],
    [['backfill', 'leads', '--limit', '0'], /--limit: '0'/],
    [['backfill', 'leads', '--rate', '-1'], /^Option '--rate' argument is ambiguous\n/],
    [['backfill', 'leads', '--fast'], /--fast/],
    [['backfill', 'pause'], /Which backfill/],
    [['backfill', 'resume', 'leads'], /'leads' is no whole number/],
    [['backfill', 'cancel', '1', '2'], /Which backfill/],
    [['backfill', 'resume', '1', '--where', 'true'], /takes no selection/],
    [['backfill', 'list', 'leads'], /list takes nothing/],
    [['sync'], /Which table/],
    [['sync', 'leads', '--hours', 'x'], /--hours/],
    [['sync', 'leads', 'chat_sessions'], /One table at a time/],
  ])('%j is wrong use', async (args, reason) => {
    expect(await run(args)).toMatchObject({ exit: 2, out: '', err: expect.stringMatching(reason) as unknown })
  })

  test('without a stack say how to name a project; with half a project, which names are missing', async () => {
    expect(await run(['backfill', 'leads'])).toMatchObject({ exit: 1, err: expect.stringMatching(/npm start.*SOURCE_DATABASE_URL/) as unknown })
    const { err, exit } = await run(['backfill', 'leads'], { SUPABASE_URL: 'https://x.supabase.co' })
    expect(exit).toBe(1)
    for (const name of ['SUPABASE_SERVICE_ROLE_KEY', 'SOURCE_DATABASE_URL', 'ANALYTICS_DATABASE_URL']) expect(err).toContain(`${name}: missing`)
  })

  test.each(['SUPABASE_SERVICE_ROLE_KEY', 'SOURCE_DATABASE_URL', 'ANALYTICS_DATABASE_URL'])(
    '%s alone names a project as well: nobody means the local stack',
    async (name) => {
      const { err, exit } = await run(['backfill', 'leads'], { [name]: 'postgres://a@127.0.0.1:1/b' })
      expect(exit).toBe(1)
      expect(err).toContain('SUPABASE_URL: missing')
    },
  )
})

describe('which project is meant', () => {
  const home = mkdtempSync(join(tmpdir(), 'afluente-access-'))
  afterAll(() => rmSync(home, { recursive: true }))
  const [source, analytics] = ['postgres://a@127.0.0.1:1/supabase', 'postgres://a@127.0.0.1:1/analytics']
  const url = 'http://127.0.0.1:2'
  const stack: StackInfo = {
    version: 1,
    source: { url: source },
    supabase: { url, anonKey: 'anon', serviceRoleKey: 'key' },
    analytics: { url: analytics },
    chatwoot: { url: '', reader: '' },
    kafka: { brokers: ['127.0.0.1:3'] },
    elasticsearch: { url },
    worker: { url, token: 'token' },
    processes: {},
    control: { url, token: 'token', pid: 1 },
    webhookSecret: 'secret',
  }
  writeFileSync(join(home, 'stack.json'), JSON.stringify(stack))
  const projectOf = (env: NodeJS.ProcessEnv) => accessEnvironment({ AFLUENTE_HOME: home, ...env })['SUPABASE_URL']

  test('the stack that runs here, also where it was given its databases by the same names', () => {
    expect(projectOf({})).toBe(url)
    expect(projectOf({ SOURCE_DATABASE_URL: source, ANALYTICS_DATABASE_URL: ` ${analytics} ` })).toBe(url)
    expect(projectOf({ SOURCE_DATABASE_URL: '', SUPABASE_URL: ' ' })).toBe(url)
  })

  test.each(['SOURCE_DATABASE_URL', 'ANALYTICS_DATABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY'])('never the stack where %s is of another', (name) => {
    expect(projectOf({ [name]: 'postgres://a@127.0.0.1:1/other' })).toBeUndefined()
  })
})

describe('a backfill that somebody has', () => {
  const clockOf = (freeAfter: number) => {
    const clock = memoryClock({ start: 0 })
    const lines: string[] = []
    const present = () => ({ ...one, worked: clock.now() < freeAfter })
    const found = settle(freed(present(), { backfills: { list: async () => [present()] }, clock }, (line) => lines.push(line), signal))
    let done = false
    void found.then(() => (done = true))
    return { clock, found, lines, ends: async () => drive(clock, () => done, 60_000) }
  }

  test('is waited for while whoever was killed is not forgotten', async () => {
    const { clock, ends, found, lines } = clockOf(9_000)
    expect(await ends()).toBe(true)
    expect(await found).toMatchObject({ ok: true, value: { id: 3, worked: false } })
    expect(clock.now()).toBeLessThan(9_500)
    expect(lines).toEqual(['backfill 3: waits up to ten seconds for whoever had it, who may have been killed'])
  })

  test('is left to who goes on working on it', async () => {
    const { ends, found } = clockOf(Number.POSITIVE_INFINITY)
    expect(await ends()).toBe(true)
    expect(await found).toMatchObject({ ok: false, error: { message: 'Somebody else works on backfill 3, and nothing was done here' } })
  })

  test('and that is paused, is told at once', async () => {
    const paused = { ...one, state: 'paused' } as const
    expect(await freed(paused, { backfills: { list: async () => [paused] }, clock: memoryClock() }, () => {}, signal)).toBe(paused)
  })

  test('that nobody has is there at once', async () => {
    const { clock, found, lines } = clockOf(0)
    expect(await found).toMatchObject({ ok: true })
    expect([clock.now(), lines]).toEqual([0, []])
  })
})

describe('a backfill in words', () => {
  test('moves with its share, rate and time left', () => {
    expect(progressLine(one, 'sending', 12_300)).toBe('public.leads █████████░░░░░░░░░░░ 45 % · 450 000 of about 1 000 000 · 12 300/s · 45 s left')
    expect(progressLine({ ...one, waiting: ['["x"]', '["y"]'] }, 'waiting-for-locks', 0)).toMatch(/· 0\/s · 2 held by others, asked for again$/)
    expect(progressLine(one, 'waiting-for-room', 5)).toMatch(/left · waits for Kafka$/)
    expect(progressLine({ ...one, state: 'paused' }, 'paused', 5)).toMatch(/paused$/)
    expect(progressLine({ ...one, estimate: null }, 'sending', 5)).toBe('public.leads · 450 000 · 5/s')
  })

  test('knows its total from estimate and limit, and never less than it has seen', () => {
    expect(totalOf({ ...one, limit: 500_000 })).toBe(500_000)
    expect(totalOf({ ...one, limit: 2_000_000 })).toBe(1_000_000)
    expect(totalOf({ ...one, estimate: 10 })).toBe(450_000)
    expect(totalOf({ ...one, estimate: null, limit: 7 })).toBe(7)
  })

  test('says which rows, and what came of them', () => {
    expect(selectionOf({ ...one, condition: 'score > 5', since: '2026-11-21T18:00:00.000000Z', limit: 1_000 })).toBe(
      'public.leads, where score > 5, since 2026-11-21T18:00:00Z, at most 1 000',
    )
    expect(countsOf({ ...one, failed: 2, waiting: ['["x"]'] })).toBe(
      '450 000 row(s) seen, 449 990 sent, 10 deleted meanwhile, 1 held by others, 2 could not be printed',
    )
  })

  test('in a list tells how one goes on that nobody works on, and never a key', () => {
    expect(listLine({ ...one, worked: false, waiting: ['["secret"]'] })).toMatch(
      /^ {3}3 {2}running.*of 1 000 000 · interrupted: npx afluente backfill resume 3$/,
    )
    expect(listLine({ ...one, state: 'offered', seen: 0, sent: 0 })).toMatch(
      /rows that were there before it was captured · npx afluente backfill public\.leads$/,
    )
    expect(listLine({ ...one, waiting: ['["secret"]'] })).not.toContain('secret')
  })

  test('tells time in what fits', () => {
    expect([0.2, 89, 95, 5_399, 7_200].map(timeLeft)).toEqual(['1 s', '89 s', '2 min', '90 min', '2.0 h'])
  })
})

test('the rate is that of the last five seconds', () => {
  let now = 0
  const meter = rateMeter(() => now, 1_000)
  expect(meter(1_000)).toBe(0)
  now = 1_000
  expect(meter(2_000)).toBe(1_000)
  for (now = 2_000; now <= 20_000; now += 1_000) meter(2_000 + (now - 1_000) / 10)
  expect(Math.round(meter(2_000 + 2_000))).toBe(100)
})
