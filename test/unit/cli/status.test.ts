import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { runVerb } from '../../../infra/cli/run.ts'
import { faultsOf, status, type Status } from '../../../infra/cli/status.ts'
import { describe as tell } from '../../../infra/local/fault.ts'

const leads = { table: 'public.leads', failures: 0, problem: null, reconcileSince: null, keysOnlySince: null }
const outbox = { rows: 0, oldestMs: null, failures: 0, refused: null, keeps: 'images' as const, tables: [leads] }
const conversations = {
  job: 'conversations',
  source: 'chatwoot: public.view',
  into: 'silver.conversas_analytics',
  schedule: { cron: '*/5 * * * *', timeZone: 'UTC', next: ['2026-11-22T18:05:00.000Z'] },
  reconcile: null,
  watermark: '2026-11-22T17:59:30.000000Z',
  running: null,
  last: null,
  lastSuccess: null,
  ok: true,
  faults: [],
}
const well: Status = {
  at: '2026-11-22T18:00:00.000Z',
  version: '0.1.0',
  environment: 'test',
  consumers: [{ name: 'postgres', state: 'running', reason: '', lag: 0, counters: { consumed: 3, accepted: 1, duplicate: 1, late: 0, dead: 1 } }],
  outbox,
  deadLetters: [
    { consumer: 'postgres', state: 'open', letters: 1 },
    { consumer: 'postgres', state: 'resolved', letters: 7 },
  ],
  purges: [
    { consumer: 'postgres', table: 'public.leads', before: '2026-11-14T18:00:00.000Z', heldBack: [], lookedAt: '2026-11-22T18:00:00.000Z', purged: 12 },
    { consumer: 'elasticsearch', table: 'public.leads', before: null, heldBack: ['1 replay(s) run'], lookedAt: '2026-11-22T18:00:00.000Z', purged: 0 },
  ],
  etl: [conversations],
  latency: { events: 3, p50Ms: 12, p99Ms: 40 },
  faults: [],
}
const ready = {
  ok: true,
  parts: [{ name: 'kafka', ok: true, latencyMs: 3, reason: null }],
  reconciled: [] as { table: string; ok: boolean; verdict: string }[],
}

let server: Server | undefined
afterEach(() => void server?.close())

async function run(args: readonly string[], answers: Readonly<Record<string, readonly [number, unknown]>> = {}, token = 'the-token') {
  server = createServer((request, response) => {
    const good = request.headers.authorization === 'Bearer the-token'
    const [code, body] = good ? (answers[request.url ?? ''] ?? [404, {}]) : [401, { title: 'The token is missing or wrong' }]
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const said: string[] = []
  const told: string[] = []
  const exit = await runVerb(
    { status },
    {
      args: args.map((arg) => (arg === 'URL' ? url : arg)),
      env: { AFLUENTE_API_TOKEN: token, AFLUENTE_HOME: '/nowhere/at/all' },
      out: (line) => said.push(line),
      err: (line) => told.push(line),
      describe: tell,
    },
  )
  return { exit, out: said.join('\n'), err: told.join('\n') }
}

const allWell = { '/ready': [200, ready], '/api/status': [200, well] } as const

describe('npx afluente', () => {
  test('without a verb or with one that isn’t there is wrong use, and lists the verbs', async () => {
    for (const args of [[], ['destroy'], ['toString']])
      expect(await run(args)).toMatchObject({ exit: 2, out: '', err: expect.stringContaining('status') as unknown })
  })

  test('helps when asked', async () => {
    expect(await run(['--help'])).toMatchObject({ exit: 0, out: expect.stringContaining('status') as unknown })
    expect(await run(['status', '--help'])).toMatchObject({ exit: 0, out: expect.stringContaining('--json') as unknown })
  })
})

describe('npx afluente status', () => {
  test('shows what runs, and ends with 0 when all is well, dead letters or not', async () => {
    const { exit, out } = await run(['status', '--url', 'URL'], allWell)
    expect(exit).toBe(0)
    expect(out).toContain('3 consumed = 1 accepted + 1 duplicate + 0 late + 1 dead')
    expect(out).toContain('✓ conversations            30 s behind, no run has ended well yet, next 2026-11-22T18:05Z')
    expect(out).toContain('1 open, of the consumer postgres (npx afluente dlq list)')
    expect(out).toContain('✓ public.leads, in postgres: 12 purged; those of before 2026-11-14T18:00:00.000Z may go, as of 2026-11-22T18:00:00.000Z')
    expect(out).toContain('! public.leads, in elasticsearch: 0 purged; none may go now, as of 2026-11-22T18:00:00.000Z\n      held back: 1 replay(s) run')
    expect(out).not.toContain('resolved')
    expect(out).toContain('all is well')
  })

  test('with --json is one JSON value', async () => {
    const { out } = await run(['status', '--json', '--url', 'URL'], allWell)
    expect(JSON.parse(out)).toMatchObject({ ok: true, faults: [], consumers: [{ name: 'postgres', lag: 0 }], parts: [{ name: 'kafka', ok: true }] })
  })

  test('ends with 1 when a part is down, and says which and why', async () => {
    const down = { ok: false, parts: [{ name: 'kafka', ok: false, latencyMs: 2000, reason: 'No answer within 2000 ms.' }] }
    const { exit, out } = await run(['status', '--url', 'URL'], { ...allWell, '/ready': [503, down] })
    expect(exit).toBe(1)
    expect(out).toContain('✗ kafka: No answer within 2000 ms.')
  })

  test('tells a Worker that is misconfigured, a wrong token, and none at all', async () => {
    const problem = { title: 'The Worker is not configured', detail: 'KAFKA_BROKERS: missing.' }
    expect(await run(['status', '--url', 'URL'], { '/ready': [503, problem], '/api/status': [503, problem] })).toMatchObject({
      exit: 1,
      err: expect.stringContaining('KAFKA_BROKERS: missing.') as unknown,
    })
    expect(await run(['status', '--url', 'URL'], allWell, 'another')).toMatchObject({ exit: 1, err: expect.stringContaining('AFLUENTE_API_TOKEN') as unknown })
    expect(await run(['status', '--url', 'http://127.0.0.1:1'])).toMatchObject({ exit: 1, err: expect.stringContaining('does not answer') as unknown })
    expect(await run(['status'])).toMatchObject({ exit: 1, err: expect.stringContaining('npm start') as unknown })
  })

  test('tells once that capture stands still, and how it goes on', async () => {
    const reason = 'this database is a copy of another one. Run: npx afluente rebase'
    const refused = { ok: false, parts: [{ name: 'supabase', ok: false, latencyMs: 3, reason: `Capture stands still: ${reason}` }] }
    const copy = { ...well, outbox: { ...outbox, refused: reason } }
    const { exit, out } = await run(['status', '--url', 'URL'], { '/ready': [503, refused], '/api/status': [200, copy] })
    expect(exit).toBe(1)
    expect(out).toContain(`  ✗ capture stands still: ${reason}`)
    expect(out).toContain('1 fault(s):')
  })

  test('shows which tables wait for reconciliation, and whose history has gaps, without calling it a fault', async () => {
    const marked = { ...leads, reconcileSince: '2026-11-22T18:00:00.123456Z', keysOnlySince: '2026-11-22T17:00:00.123456Z' }
    const { exit, out } = await run(['status', '--url', 'URL'], { ...allWell, '/api/status': [200, { ...well, outbox: { ...outbox, tables: [marked] } }] })
    expect(exit).toBe(0)
    expect(out).toContain('public.leads: history has gaps since 2026-11-22T17:00:00.123456Z')
    expect(out).toContain('public.leads: to be reconciled, marked since 2026-11-22T18:00:00.123456Z')
  })

  test('shows a remark on a part that is well', async () => {
    const remarked = { ok: true, parts: [{ name: 'supabase', ok: true, latencyMs: 3, reason: 'The outbox is above its budget.' }] }
    expect((await run(['status', '--url', 'URL'], { ...allWell, '/ready': [200, remarked] })).out).toContain('3 ms (The outbox is above its budget.)')
  })

  test('takes no other option', async () => {
    for (const args of [['--force'], ['--url', 'not a url'], ['leads']]) expect(await run(['status', ...args], allWell)).toMatchObject({ exit: 2 })
  })
})

describe('a fault', () => {
  test.each<[string, Partial<Status>, string]>([
    ['a consumer that was stopped', { consumers: [{ name: 'postgres', state: 'stopped', reason: '', lag: 0, counters: null }] }, 'resume'],
    ['a table that lost its trigger', { outbox: { ...outbox, tables: [{ ...leads, problem: 'has no trigger' }] } }, 'has no trigger'],
    ['changes that were not captured', { outbox: { ...outbox, failures: 2, tables: [{ ...leads, failures: 2 }] } }, '2 change(s)'],
    ['an outbox that nobody empties', { outbox: { ...outbox, rows: 1, oldestMs: 300_000, tables: [] } }, '300 s'],
    ['an outbox that is not the one it was', { outbox: { ...outbox, refused: 'This is a copy. Run: npx afluente rebase' } }, 'npx afluente rebase'],
    ['an outbox that keeps keys alone', { outbox: { ...outbox, keeps: 'keys' as const } }, 'the keys of new changes alone'],
    ['an outbox that keeps nothing', { outbox: { ...outbox, keeps: 'nothing' as const } }, 'nothing of new changes'],
    ['a part that could not be asked', { faults: [{ part: 'dead_letters', reason: 'No answer.' }] }, 'dead_letters'],
  ])('%s', (_name, change, words) => {
    expect(faultsOf(ready, { ...well, ...change })).toEqual([expect.stringContaining(words)])
  })

  test('a copy that is wrong, with what to do', async () => {
    const reconciled = [{ table: 'public.leads', ok: false, verdict: '1 missing, 0 different, 0 extra of 3, as of 12:03:11' }]
    expect(faultsOf({ ...ready, reconciled }, well)).toEqual([expect.stringMatching(/1 missing.*npx afluente reconcile public\.leads.*--repair/)])
    const { exit, out } = await run(['status', '--url', 'URL'], { ...allWell, '/ready': [200, { ...ready, reconciled }] })
    expect([exit, out]).toEqual([1, expect.stringContaining('✗ public.leads             1 missing')])
  })

  test('none of them when all is well', () => {
    expect(faultsOf(ready, well)).toEqual([])
  })
})
