import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { etl } from '../../../infra/cli/etl.ts'
import { runVerb } from '../../../infra/cli/run.ts'
import { describe as tell } from '../../../infra/local/fault.ts'

const ID = '0f8fad5b-d9cb-469f-a165-70867728950e'
const going = {
  id: ID,
  job: 'conversations',
  loadType: 'incremental',
  triggeredBy: 'manual',
  status: 'running',
  startedAt: '2026-11-29T12:00:00.000000Z',
  completedAt: null,
  durationSeconds: null,
  watermarkStart: null,
  watermarkEnd: null,
  from: null,
  to: null,
  dryRun: false,
  cancelAsked: false,
  extracted: 0,
  inserted: 0,
  updated: 0,
  unchanged: 0,
  deleted: 0,
  rejected: 0,
  caughtByOverlap: 0,
  caughtByReconcile: 0,
  unknownWords: 0,
  pages: 0,
  seen: 0,
  expected: null,
  attempt: 1,
  error: null,
  errorTraceback: null,
  retryAt: null,
  codeVersion: '0.1.0',
}
const half = { ...going, seen: 1_500, expected: 3_000, extracted: 1_500, inserted: 1_500, pages: 1 }
const done = {
  ...half,
  status: 'success',
  completedAt: '2026-11-29T12:00:01.500000Z',
  durationSeconds: 1.5,
  seen: 3_000,
  extracted: 3_000,
  inserted: 2_990,
  updated: 7,
  unchanged: 3,
  deleted: 1,
  caughtByOverlap: 4,
  caughtByReconcile: 2,
  watermarkEnd: '2026-11-29T11:59:59.123456Z',
}
const job = {
  job: 'conversations',
  source: 'chatwoot: public.vw_conversations_analytics_final',
  into: 'silver.conversas_analytics',
  schedule: {
    cron: '0 3 * * *',
    timeZone: 'America/Sao_Paulo',
    next: ['2026-11-30T06:00:00.000Z', '2026-12-01T06:00:00.000Z', '2026-12-02T06:00:00.000Z'],
  },
  reconcile: null,
  watermark: '2026-11-29T11:59:59.123456Z',
  running: null,
  last: done,
  lastSuccess: done,
  ok: true,
  faults: [],
}
const jobs = (change: object = {}) => ({ at: '2026-11-29T12:00:00.000Z', ok: true, jobs: [{ ...job, ...change }] })
const ill = { ok: false, faults: [{ problem: 'overdue: no run has ended well yet', hint: 'See that the cron fires.' }] }

let server: Server | undefined
afterEach(() => void server?.close())

type Answer = readonly [status: number, body: unknown]

/** Answers by method and path behind /api/etl; a list is answered one by one, its last for ever. With a terminal: `moving` is written down. */
async function run(args: readonly string[], answers: Readonly<Record<string, readonly Answer[]>> = {}, seat?: { readonly signal: AbortSignal }) {
  const asked: { readonly call: string; readonly body: unknown }[] = []
  const turns = new Map<string, number>()
  server = createServer((request, response) => {
    void (async () => {
      const call = `${request.method} ${(request.url ?? '').replace('/api/etl', '')}`
      const body = await text(request)
      asked.push({ call, body: body === '' ? null : (JSON.parse(body) as unknown) })
      const turn = turns.get(call) ?? 0
      turns.set(call, turn + 1)
      const list = answers[call] ?? []
      const [status, answer] = list[Math.min(turn, list.length - 1)] ?? [404, {}]
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    })()
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const said: string[] = []
  const told: string[] = []
  const moved: (string | null)[] = []
  const exit = await runVerb(
    { etl },
    {
      args: ['etl', ...args, '--url', `http://127.0.0.1:${(server.address() as AddressInfo).port}`],
      env: { AFLUENTE_API_TOKEN: 'the-token' },
      out: (line) => said.push(line),
      err: (line) => told.push(line),
      describe: tell,
      ...(seat === undefined ? {} : { seat: { signal: seat.signal, moving: (line) => moved.push(line) } }),
    },
  )
  return { exit, asked, out: said.join('\n'), err: told.join('\n'), moved }
}

const RUNS = 'POST /conversations/runs'
const RUN = `GET /conversations/runs/${ID}`
const begun = (of: object = going): Answer => [202, { run: of, repeated: false, remarks: [] }]

describe('wrong use', () => {
  test.each([
    [[]],
    [['start']],
    [['toString']],
    [['run']],
    [['run', 'a', 'b']],
    [['run', 'a', '--quick']],
    [['run', 'a', '--from', 'some day']],
    [['run', 'a', '--full', '--from', '2h']],
    [['reconcile']],
    [['reconcile', 'a', '--full']],
    [['list', 'a']],
    [['health', 'a']],
    [['runs', '--cursor', ID]],
    [['show']],
    [['cancel']],
    [['watermark']],
    [['watermark', 'a', '--yes']],
    [['watermark', 'a', '--set', '2026-11-29T00:00:00Z']],
  ])('%j is exit 2, and nobody is asked', async (args) => {
    const { asked, err, exit } = await run(args)
    expect({ exit, asked }).toEqual({ exit: 2, asked: [] })
    expect(err).not.toBe('')
  })

  test.each([
    [404, 'unknown-job', 'There is no such ETL job', 'There are: conversations.'],
    [409, 'run-going', 'A run of this job is going', `It is ${ID} (full), at /api/etl/conversations/runs/${ID}.`],
  ])('what the Worker declines with %i is one clear line and exit 2', async (status, slug, title, detail) => {
    const answer = { type: `urn:afluente:problem:${slug}`, title, detail, status }
    expect(await run(['run', 'conversations'], { [RUNS]: [[status, answer]] })).toMatchObject({ exit: 2, err: `${title}. ${detail}`, out: '' })
  })
})

describe('run', () => {
  test('waits for the end, and tells every count under its name', async () => {
    const { asked, exit, out } = await run(['run', 'conversations'], {
      [RUNS]: [begun()],
      [RUN]: [
        [200, half],
        [200, done],
      ],
    })
    expect(exit).toBe(0)
    expect(asked[0]?.body).toEqual({ dryRun: false, triggeredBy: 'manual' })
    expect(out).toBe(
      '✓ conversations, incremental in 1.5 s (2 000 rows/s): 2 990 inserted, 7 updated, 3 unchanged, 1 deleted, caught by the overlap 4, by reconcile 2',
    )
  })

  test('shows on a terminal a bar with rate and time left, and takes it away', async () => {
    const seat = { signal: new AbortController().signal }
    const { moved, out } = await run(
      ['run', 'conversations'],
      {
        [RUNS]: [begun()],
        [RUN]: [
          [200, half],
          [200, done],
        ],
      },
      seat,
    )
    expect(moved[0]).toMatch(/^conversations █{10}░{10} 50 % · 1 500 of 3 000 · \d[\d ]*\/s · \d+ s left$/)
    expect(moved.at(-1)).toBeNull()
    expect(out).not.toContain('█')
  })

  test.each([
    [['--full'], { full: true, dryRun: false }],
    [['--dry-run'], { dryRun: true }],
    [['--full', '--yes'], { full: true, dryRun: false, acceptDeletes: true }],
    [['--from', '2026-11-01T00:00:00-03:00', '--to', '2026-11-02'], { from: '2026-11-01T03:00:00.000Z', to: '2026-11-02T00:00:00.000Z', dryRun: false }],
    [
      ['--from', '2026-11-01T00:00:00.123456-03:00', '--to', '2026-11-01T04:00:00.5Z'],
      { from: '2026-11-01T03:00:00.123456Z', to: '2026-11-01T04:00:00.500Z', dryRun: false },
    ],
  ])('%j is asked for as such', async (args, body) => {
    const { asked } = await run(['run', 'conversations', ...args], { [RUNS]: [begun(done)] })
    expect(asked[0]?.body).toEqual({ ...body, triggeredBy: 'manual' })
  })

  test.each(['2026-02-30', '2026-02-30T00:00:00Z', 'soon'])('from %s is refused, and nothing is asked', async (from) => {
    expect(await run(['run', 'conversations', '--from', from], {})).toMatchObject({ exit: 2, asked: [] })
  })

  test('that fails is exit 1 with its reason; a fault on the way is told when it comes', async () => {
    const ill = { ...half, error: 'The database of CHATWOOT_DATABASE_URL does not answer.', retryAt: '2026-11-29T12:00:30.000000Z' }
    const failed = { ...done, status: 'failed', error: 'A column is missing.' }
    const { exit, out } = await run(['run', 'conversations'], {
      [RUNS]: [begun()],
      [RUN]: [
        [200, ill],
        [200, failed],
      ],
    })
    expect(exit).toBe(1)
    expect(out).toContain('! it tries again at 2026-11-29T12:00:30.000000Z: The database of CHATWOOT_DATABASE_URL does not answer.')
    expect(out).toContain('✗ conversations, incremental: failed in 1.5 s')
    expect(out).toContain('  A column is missing.')
    expect(out).toContain(`npx afluente etl show ${ID}`)
  })

  test('goes on being watched while the Worker starts again; a token that holds no more is told at once', async () => {
    const away = { title: 'Not ready' }
    const { exit, out } = await run(['run', 'conversations'], {
      [RUNS]: [begun()],
      [RUN]: [
        [503, away],
        [503, away],
        [200, done],
      ],
    })
    expect({ exit, waited: out.split('waiting for it').length - 1 }).toEqual({ exit: 0, waited: 1 })
    const refused = await run(['run', 'conversations'], {
      [RUNS]: [begun()],
      [RUN]: [
        [401, {}],
        [200, done],
      ],
    })
    expect(refused).toMatchObject({ exit: 1, err: expect.stringContaining('The token is wrong') })
  })

  test('with rejected rows and unknown words says so', async () => {
    const { exit, out } = await run(['run', 'conversations'], { [RUNS]: [begun({ ...done, rejected: 2, unknownWords: 1 })] })
    expect(exit).toBe(0)
    expect(out).toContain("! 2 row(s) hold what their column can't")
    expect(out).toContain('! 1 value(s) have no word of their own')
  })

  test('with --json is the run alone, and --detach does not wait', async () => {
    const { out } = await run(['run', 'conversations', '--json'], { [RUNS]: [begun()], [RUN]: [[200, done]] })
    expect(JSON.parse(out)).toEqual(done)
    const detached = await run(['run', 'conversations', '--detach'], { [RUNS]: [begun()] })
    expect(detached).toMatchObject({ exit: 0, asked: [{ call: RUNS }] })
    expect(detached.out).toContain(`npx afluente etl show ${ID}`)
  })

  test('whose watcher leaves goes on, and that is told', async () => {
    const gone = { signal: AbortSignal.abort() }
    const { exit, out } = await run(['run', 'conversations'], { [RUNS]: [begun()], [RUN]: [[200, half]] }, gone)
    expect(exit).toBe(1)
    expect(out).toContain(`goes on in the Worker: npx afluente etl show ${ID}`)
  })
})

test('reconcile asks for a reconcile', async () => {
  const { asked, exit } = await run(['reconcile', 'conversations'], { [RUNS]: [begun({ ...done, loadType: 'reconcile' })] })
  expect([exit, asked[0]?.body]).toEqual([0, { reconcile: true, dryRun: false, triggeredBy: 'manual' }])
})

describe('looking', () => {
  test('list shows schedule on its own clock, watermark and the last run', async () => {
    const { exit, out } = await run(['list'], { 'GET ': [[200, jobs()]] })
    expect(exit).toBe(0)
    expect(out).toContain("loads        '0 3 * * *' America/Sao_Paulo, next 2026-11-30 03:00, 2026-12-01 03:00, 2026-12-02 03:00")
    expect(out).toContain('reconciled   when somebody asks')
    expect(out).toContain('watermark    2026-11-29T11:59:59.123456Z')
    expect(out).toContain(`✓ ${ID}  2026-11-29T12:00:00Z  incremental, by manual · success in 1.5 s`)
    expect(JSON.parse((await run(['list', '--json'], { 'GET ': [[200, jobs()]] })).out)).toMatchObject({ jobs: [{ job: 'conversations' }] })
  })

  test('health is exit 0 when all is well, else 1 with what is wrong and what to do', async () => {
    expect(await run(['health'], { 'GET ': [[200, jobs()]] })).toMatchObject({ exit: 0, out: expect.stringMatching(/^✓ conversations: last good run 2026/) })
    const answer = { ...jobs(ill), ok: false }
    const { exit, out } = await run(['health'], { 'GET ': [[200, answer]] })
    expect(exit).toBe(1)
    expect(out).toContain('✗ overdue: no run has ended well yet\n    See that the cron fires.')
    const machine = await run(['health', '--json'], { 'GET ': [[200, answer]] })
    expect([machine.exit, JSON.parse(machine.out)]).toEqual([1, { at: answer.at, ok: false, jobs: [{ job: 'conversations', ...ill }] }])
  })

  test('runs of one job go on page by page, and of all jobs are listed', async () => {
    const page = { runs: [done], next: ID }
    const one = await run(['runs', 'conversations', '--limit', '1', '--cursor', ID], { [`GET /conversations/runs?limit=1&cursor=${ID}`]: [[200, page]] })
    expect(one.out).toContain(`more: npx afluente etl runs conversations --cursor ${ID}`)
    expect((await run(['runs'], { 'GET ': [[200, jobs()]], 'GET /conversations/runs': [[200, page]] })).out).toContain('2 990 inserted')
  })

  test('show tells one run whole, whichever job it is of; one that is not there is exit 2', async () => {
    const { out } = await run(['show', ID], { 'GET ': [[200, jobs()]], [RUN]: [[200, done]] })
    for (const line of ['watermark  none → 2026-11-29T11:59:59.123456Z', 'seen       3 000 of 3 000, 1 page(s)', 'caught by the overlap 4, by reconcile 2'])
      expect(out).toContain(line)
    const none = [404, { type: 'urn:afluente:problem:unknown-run', title: 'There is no such run' }] as const
    expect(await run(['show', ID], { 'GET ': [[200, jobs()]], [RUN]: [none] })).toMatchObject({ exit: 2, err: expect.stringContaining(ID) })
  })
})

describe('steering', () => {
  const at = 'PUT /conversations/watermark'

  test('a watermark is told, and set only with --yes', async () => {
    const told = { job: 'conversations', watermark: null, provenUntil: null }
    expect((await run(['watermark', 'conversations'], { 'GET /conversations/watermark': [[200, told]] })).out).toContain('none yet')
    const set = { job: 'conversations', before: null, after: '2026-11-29T00:00:00.000000Z' }
    const { asked, out } = await run(['watermark', 'conversations', '--set', '2026-11-29T00:00:00Z', '--yes'], { [at]: [[200, set]] })
    expect(asked).toEqual([{ call: at, body: { to: '2026-11-29T00:00:00Z' } }])
    expect(out).toContain('was none and is 2026-11-29T00:00:00.000000Z')
  })

  test('the run that is going is cancelled by its job or by its id; none is exit 2', async () => {
    const cancel = `POST /conversations/runs/${ID}/cancel`
    const answers = { [cancel]: [begun({ ...half, cancelAsked: true })], 'GET ': [[200, jobs()] as const], [RUN]: [[200, half] as const] }
    expect(await run(['cancel', ID], answers)).toMatchObject({ exit: 0, out: expect.stringContaining('ends before its next page') })
    const byJob = await run(['cancel', 'conversations'], { ...answers, 'GET /conversations': [[200, { ...job, running: half }]] })
    expect(byJob.asked.map(({ call }) => call)).toEqual(['GET /conversations', cancel])
    expect(await run(['cancel', 'conversations'], { 'GET /conversations': [[200, job]] })).toMatchObject({ exit: 2, err: expect.stringContaining('No run') })
  })
})
