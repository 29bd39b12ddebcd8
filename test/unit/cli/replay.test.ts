import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { replay } from '../../../infra/cli/replay.ts'
import { runVerb } from '../../../infra/cli/run.ts'
import { shadow } from '../../../infra/cli/shadow.ts'
import { describe as tell } from '../../../infra/local/fault.ts'

const job = {
  id: '3',
  kind: 'replay',
  consumer: 'postgres',
  table: 'public.leads',
  state: 'running',
  phase: 'filling',
  total: 4,
  done: 0,
  accepted: 0,
  duplicate: 0,
  late: 0,
  failed: 0,
  steps: 0,
  problem: null,
  report: {},
  createdAt: '2026-11-22T18:00:00Z',
  finishedAt: null,
}
const done = { ...job, state: 'done', done: 4, accepted: 1, duplicate: 2, late: 1 }
const differences = {
  live: 1_200,
  shadow: 1_199,
  onlyLive: 1,
  onlyShadow: 0,
  different: 9,
  newer: 3,
  samples: {
    onlyLive: [{ key: '["a"]', liveVersion: 5, shadowVersion: null, columns: {} }],
    onlyShadow: [],
    different: [{ key: '["b"]', liveVersion: 6, shadowVersion: 6, columns: { name: { live: 'text of 3', shadow: null } } }],
  },
}
const entry = { consumer: 'postgres', table: 'public.leads', live: 'silver.leads', shadow: 'silver.leads__shadow', state: 'ready', job: '3', madeAt: '2026-11-22T18:00:00.000000Z' } // prettier-ignore

let server: Server | undefined
afterEach(() => void server?.close())

type Answer = readonly [status: number, body: unknown]

/** Answers by method and path; a list is answered one by one, its last for ever. */
async function run(args: readonly string[], answers: Readonly<Record<string, Answer | readonly Answer[]>> = {}) {
  const asked: { readonly call: string; readonly body: unknown }[] = []
  const turns = new Map<string, number>()
  server = createServer((request, response) => {
    void (async () => {
      const call = `${request.method} ${request.url}`
      const body = await text(request)
      asked.push({ call, body: body === '' ? null : (JSON.parse(body) as unknown) })
      const found = answers[call] ?? ([404, {}] as const)
      const turn = turns.get(call) ?? 0
      turns.set(call, turn + 1)
      const [status, answer] = (Array.isArray(found[0]) ? (found[Math.min(turn, found.length - 1)] ?? [500, {}]) : found) as Answer
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    })()
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const said: string[] = []
  const told: string[] = []
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const exit = await runVerb(
    { replay, shadow },
    {
      args: [...args, ...(args.includes('--help') ? [] : ['--url', url])],
      env: { AFLUENTE_API_TOKEN: 'a-token-of-more-than-16' },
      out: (line) => void said.push(line),
      err: (line) => void told.push(line),
      describe: tell,
    },
  )
  return { exit, out: said.join('\n'), err: told.join('\n'), asked }
}

describe('npx afluente replay', () => {
  test('asks for what is meant, watches it to its end, and tells what became of the events', async () => {
    const { asked, exit, out } = await run(
      ['replay', '--from', '2026-11-22T15:00:00-03:00', '--to', '2026-11-22T19:00:00Z', '--table', 'leads', '--into', 'postgres'],
      {
        'POST /api/replays': [202, { dryRun: false, jobs: [job], remarks: ['The consumer postgres is stopped'] }],
        'GET /api/replays/3': [[200, { ...job, done: 2, accepted: 2, problem: 'Postgres does not answer.' }], [200, done]] as const, // prettier-ignore
      },
    )
    expect(asked[0]?.body).toEqual({
      into: 'postgres',
      table: 'leads',
      since: '2026-11-22T18:00:00.000Z',
      until: '2026-11-22T19:00:00.000Z',
      shadow: false,
      dryRun: false,
    })
    expect(exit).toBe(0)
    expect(out).toContain('The consumer postgres is stopped')
    expect(out).toContain('replay 3 is held up: Postgres does not answer.')
    expect(out).toContain(
      'replay 3 (public.leads of postgres) done: 4 of 4 events, 1 accepted, 2 there already, 1 older than what is there, 0 could not be applied',
    )
  })

  test('exit 1 when events could not be applied, and says which', async () => {
    const failed = { ...done, accepted: 0, failed: 1, report: { failures: [{ eventId: 'public.leads:5', code: '23514', message: 'violates no_poison' }] } }
    const { exit, out } = await run(['replay', '--all', '--into', 'postgres'], {
      'POST /api/replays': [202, { dryRun: false, jobs: [job], remarks: [] }],
      'GET /api/replays/3': [200, failed],
    })
    expect(exit).toBe(1)
    expect(out).toContain('public.leads:5: 23514: violates no_poison')
  })

  test('into a shadow tells what would differ, with samples and no values', async () => {
    const { exit, out } = await run(['replay', '--into', 'postgres', '--shadow'], {
      'POST /api/replays': [202, { dryRun: false, jobs: [{ ...job, kind: 'shadow' }], remarks: [] }],
      'GET /api/replays/3': [200, { ...done, kind: 'shadow', report: { differences } }],
    })
    expect(exit).toBe(0)
    expect(out).toContain('live 1 200, shadow 1 199; only live 1, only in the shadow 0, different 9; 3 came meanwhile')
    expect(out).toContain('["a"] live version 5')
    expect(out).toContain('different, 1 of 9:')
    expect(out).toContain('["b"] live version 6, shadow version 6, name: text of 3 → null')
  })

  test('--dry-run counts, --detach does not wait', async () => {
    const counted = await run(['replay', '--all', '--into', 'postgres', '--dry-run'], { 'POST /api/replays': [200, { dryRun: true, tables: [{ table: 'public.leads', events: 12_345 }] }] }) // prettier-ignore
    expect(counted).toMatchObject({ exit: 0, out: '12 345 event(s) of public.leads would be replayed into postgres; nothing was done' })
    const detached = await run(['replay', '--all', '--into', 'postgres', '--detach'], {
      'POST /api/replays': [202, { dryRun: false, jobs: [job], remarks: [] }],
    })
    expect(detached).toMatchObject({ exit: 0, asked: [{ call: 'POST /api/replays' }] })
  })

  test.each([
    [['replay', '--all'], 'Into which consumer?'],
    [['replay', '--into', 'postgres'], 'Which events?'],
    [['replay', '--into', 'postgres', '--from', 'soon'], "--from: 'soon' is neither a time"],
    [['replay', '--all', '--into', 'postgres', 'leads'], "'leads' is too much"],
    [['replay', 'show', 'x'], "'x' is no id"],
    [['shadow', ''], 'shadow: what? There are list, swap, drop'],
    [['shadow', 'hide'], "shadow has no 'hide'"],
    [['shadow', 'swap', 'a', 'b'], 'One table at a time'],
  ])('%j: exit 2, and nobody is asked', async (args, words) => {
    const { asked, err, exit } = await run(args)
    expect({ exit, asked }).toEqual({ exit: 2, asked: [] })
    expect(err).toContain(words)
  })

  test('what the Worker declines is wrong use', async () => {
    const { err, exit } = await run(['replay', '--all', '--into', 'postgres', '--table', 'x'], {
      'POST /api/replays': [404, { type: 'urn:afluente:problem:unknown-table', title: 'There is no such table', detail: 'postgres has public.leads.' }],
    })
    expect({ exit, err }).toEqual({ exit: 2, err: 'There is no such table: postgres has public.leads.' })
  })

  test.each([
    ['There is no such consumer', 'There are: postgres.', 'There is no such consumer. There are: postgres.'],
    ['Which shadow?', 'Name its table.', 'Which shadow? Name its table.'],
  ])('title and detail of a problem are read as sentences: %s', async (title, detail, line) => {
    const { err } = await run(['shadow', 'swap'], { 'POST /api/shadows/swap': [404, { type: 'urn:afluente:problem:x', title, detail }] })
    expect(err).toBe(line)
  })

  test('list, show and cancel', async () => {
    expect((await run(['replay', 'list'], { 'GET /api/replays?limit=20': [200, { jobs: [done] }] })).out).toContain('replay 3')
    expect((await run(['replay', 'show', '3', '--json'], { 'GET /api/replays/3': [200, done] })).out).toContain('"accepted": 1')
    expect((await run(['replay', 'cancel', '3'], { 'POST /api/replays/3/cancel': [200, { ...job, state: 'cancelled' }] })).out).toContain('cancelled')
  })
})

describe('npx afluente shadow', () => {
  test('list says what stands beside what, since when, and how it differs', async () => {
    const { out } = await run(['shadow', 'list'], {
      'GET /api/shadows': [
        200,
        { shadows: [{ ...entry, lastJob: { ...done, kind: 'shadow', finishedAt: '2026-11-22T18:04:05.123456Z', report: { differences } } }] },
      ],
    })
    expect(out).toContain('public.leads of postgres: silver.leads__shadow beside silver.leads, since 2026-11-22T18:00:00Z, may be swapped')
    expect(out).toContain('only live 1')
    expect(out).toMatch(/different 9; 3 came meanwhile, and a swap takes them along; as of 2026-11-22T18:04:05Z$/m)
  })

  test('swap waits for its end; exit 1 with the reason when it can’t be', async () => {
    const swap = { ...job, kind: 'swap', phase: 'following' }
    const answers = (last: object) => ({ 'POST /api/shadows/swap': [202, { job: swap, remarks: [] }] as const, 'GET /api/replays/3': [200, last] as const })
    const well = await run(['shadow', 'swap', 'leads'], answers({ ...swap, state: 'done', steps: 7 }))
    expect(well).toMatchObject({ exit: 0, out: 'swap 3 (public.leads of postgres) done: 7 row(s) taken along' })
    expect(well.asked[0]?.body).toEqual({ table: 'leads' })
    const not = await run(['shadow', 'swap'], answers({ ...swap, state: 'cancelled', problem: 'On silver.leads hangs a publication.' }))
    expect(not).toMatchObject({ exit: 1, out: expect.stringContaining('(On silver.leads hangs a publication.)') as unknown })
  })

  test('swap is watched on while the Worker is away, and that is said once', async () => {
    const swap = { ...job, kind: 'swap', phase: 'switching' }
    const away = [503, { title: 'Down' }] as const
    const { exit, out } = await run(['shadow', 'swap'], {
      'POST /api/shadows/swap': [202, { job: swap, remarks: [] }],
      'GET /api/replays/3': [away, away, [200, { ...swap, state: 'done' }]],
    })
    expect({ exit, waited: out.split('waiting for it').length - 1 }).toEqual({ exit: 0, waited: 1 })
  })

  test('drop says what is gone', async () => {
    const { exit, out } = await run(['shadow', 'drop', 'leads', '--consumer', 'postgres'], {
      'POST /api/shadows/drop': [200, { dropped: { ...entry, state: 'former' } }],
    })
    expect({ exit, out }).toMatchObject({
      exit: 0,
      out: 'removed: silver.leads__shadow of postgres, which was the live one until the last swap; silver.leads is live',
    })
  })
})
