import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { dlq } from '../../../infra/cli/dlq.ts'
import { runVerb } from '../../../infra/cli/run.ts'
import { describe as tell } from '../../../infra/local/fault.ts'

const letter = {
  id: '7',
  consumer: 'postgres',
  topic: 'afluente.public.leads',
  partition: 0,
  offset: '4',
  eventId: 'public.leads:5',
  table: 'public.leads',
  key: '["k"]',
  code: '23514',
  message: 'violates the constraint no_poison',
  fingerprint: 'abc',
  attempts: 2,
  firstSeen: '2026-11-22T18:00:00.000001Z',
  lastSeen: '2026-11-22T18:00:01.000001Z',
  state: 'open',
  job: null,
  reason: null,
  replacedBy: null,
  endedAt: null,
}
const whole = { ...letter, revealed: false, value: { op: 'insert', after: { name: 'text of 3' } }, headers: { ce_id: 'public.leads:5' }, publishedAt: null }
const job = {
  id: '3',
  consumer: 'postgres',
  state: 'running',
  total: 2,
  done: 0,
  accepted: 0,
  duplicate: 0,
  late: 0,
  failed: 0,
  problem: null,
  createdAt: '2026-11-22T18:00:00Z',
  finishedAt: null,
}
const done = { ...job, state: 'done', done: 2, accepted: 2 }

let server: Server | undefined
afterEach(() => void server?.close())

type Answer = readonly [status: number, body: unknown]

/** Answers by method and path; a list is answered one by one, its last for ever. */
async function run(args: readonly string[], answers: Readonly<Record<string, Answer | readonly Answer[]>> = {}) {
  const asked: { readonly call: string; readonly query: string; readonly body: unknown }[] = []
  const turns = new Map<string, number>()
  server = createServer((request, response) => {
    void (async () => {
      const [path = '', query = ''] = (request.url ?? '').split('?')
      const call = `${request.method} ${path.replace('/api/dead-letters', '')}`
      const body = await text(request)
      asked.push({ call, query, body: body === '' ? null : (JSON.parse(body) as unknown) })
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
  const exit = await runVerb(
    { dlq },
    {
      args: ['dlq', ...args, '--url', `http://127.0.0.1:${(server.address() as AddressInfo).port}`],
      env: { AFLUENTE_API_TOKEN: 'the-token' },
      out: (line) => said.push(line),
      err: (line) => told.push(line),
      describe: tell,
    },
  )
  return { exit, asked, out: said.join('\n'), lines: said, err: told.join('\n') }
}

const problem = (slug: string): Answer => [
  404,
  { type: `urn:afluente:problem:${slug}`, title: 'There is no such letter', detail: 'No letter has the id 99.', status: 404 },
]

describe('wrong use', () => {
  test.each([
    [[]],
    [['burn']],
    [['toString']],
    [['show']],
    [['show', 'x']],
    [['show', '1', '2']],
    [['list', 'x']],
    [['list', '--colour', 'red']],
    [['list', '--since', 'a while']],
    [['list', '--since', '99999999999999d']],
    [['redrive']],
    [['redrive', 'x']],
    [['discard', '1']],
    [['discard', '1', '--reason', ' ']],
    [['discard', '--reason', 'x']],
    [['edit', '1']],
    [['edit', '1', '--file', '/nowhere/at/all']],
    [['jobs', '--cancel']],
  ])('%j is exit 2, and nobody is asked', async (args) => {
    const { exit, asked, err } = await run(args)
    expect({ exit, asked }).toEqual({ exit: 2, asked: [] })
    expect(err).not.toBe('')
  })

  test.each([
    ['show', ['show', '99'], 'GET /99', 'unknown-letter'],
    ['redrive', ['redrive', '99'], 'POST /redrive', 'unknown-letter'],
    ['discard', ['discard', '--table', 'nobody', '--reason', 'x'], 'POST /discard', 'unknown-table'],
    ['list', ['list', '--fingerprint', 'x'], 'GET ', 'unknown-fingerprint'],
    ['jobs', ['jobs', '99'], 'GET /jobs/99', 'unknown-job'],
  ])('of %s, what is not there is one clear line and exit 2', async (_name, args, call, slug) => {
    const { exit, err, out } = await run(args, { [call]: problem(slug) })
    expect({ exit, err, out }).toEqual({ exit: 2, err: 'There is no such letter. No letter has the id 99.', out: '' })
  })

  test('a Worker that knows no dead letters yet is a fault, not wrong use', async () => {
    const { exit, err } = await run(['show', '1'], {
      'GET /1': [404, { type: 'urn:afluente:problem:not-found', title: 'There is nothing here', detail: 'GET … is no route.' }],
    })
    expect(exit).toBe(1)
    expect(err).toContain('answered 404')
  })
})

describe('looking', () => {
  test('lists what waits, with code, message and attempts, and how to see more', async () => {
    const { exit, out, asked } = await run(['list', '--table', 'leads', '--since', '2026-11-22T18:00:00+01:00'], {
      'GET ': [200, { letters: [letter], next: '7' }],
    })
    expect(exit).toBe(0)
    expect(out).toContain('7  open  postgres  public.leads  public.leads:5  23514  2026-11-22T18:00:00.000001Z, 2 attempts')
    expect(out).toContain('violates the constraint no_poison')
    expect(out).toContain('--cursor 7')
    expect(asked).toMatchObject([{ query: 'table=leads&state=open&since=2026-11-22T17%3A00%3A00.000Z&limit=50' }])
  })

  test('lists every state when told, and as JSON', async () => {
    const { lines, asked } = await run(['list', '--state', 'all', '--json', '--limit', '5', '--cursor', '9'], {
      'GET ': [200, { letters: [letter], next: null }],
    })
    expect(JSON.parse(lines.join('\n'))).toEqual({ letters: [letter], next: null })
    expect(asked).toMatchObject([{ query: 'limit=5&cursor=9' }])
  })

  test('puts together what fails alike', async () => {
    const group = { fingerprint: 'abc', consumer: 'postgres', table: null, code: '23514', message: 'odd', letters: 3, firstSeen: 'a', lastSeen: 'b' }
    const { out } = await run(['list', '--groups'], { 'GET /groups': [200, { groups: [group] }] })
    expect(out).toContain('3 × abc  postgres  no table  23514')
  })

  test('shows one, and reveals only when told', async () => {
    const masked = await run(['show', '7'], { 'GET /7': [200, whole] })
    expect(masked.out).toContain('"name": "text of 3"')
    expect(masked.asked).toMatchObject([{ query: '' }])
    const revealed = await run(['show', '7', '--reveal'], { 'GET /7': [200, { ...whole, revealed: true, value: '{"op":"insert"}' }] })
    expect(revealed.out).toContain('    {"op":"insert"}')
    expect(revealed.asked).toMatchObject([{ query: 'reveal=true' }])
  })

  test('exports page by page, a letter a line', async () => {
    const { lines, asked } = await run(['export', '--consumer', 'postgres'], {
      'GET /export': [
        [200, { letters: [whole, { ...whole, id: '6' }], next: '6' }],
        [200, { letters: [{ ...whole, id: '5' }], next: null }],
      ],
    })
    expect(lines.map((line) => (JSON.parse(line) as { id: string }).id)).toEqual(['7', '6', '5'])
    expect(asked.map(({ query }) => query)).toEqual(['consumer=postgres', 'consumer=postgres&cursor=6'])
  })
})

describe('redrive', () => {
  const started = { dryRun: false, jobs: [job], remarks: [] }

  test('goes on watching while the Worker is away, and says so once', async () => {
    const away = [503, { title: 'Down' }] as const
    const looks = { 'POST /redrive': [202, started], 'GET /jobs/3': [[200, { ...job, done: 1 }], away, away, [200, done]] } as const
    const { exit, lines } = await run(['redrive', '7', '8'], looks)
    expect(exit).toBe(0)
    expect(lines.filter((line) => line.includes('waiting for it'))).toEqual([expect.stringMatching(/answered 503 .*; waiting for it$/)])
    expect(lines.at(-1)).toContain('done: 2 accepted')
  })

  test('watches the job to its end; exit 0 when all have landed', async () => {
    const { exit, out, asked } = await run(['redrive', '7', '8'], { 'POST /redrive': [202, started], 'GET /jobs/3': [[200, { ...job, done: 1 }], [200, done]] }) // prettier-ignore
    expect(exit).toBe(0)
    expect(asked[0]).toMatchObject({ body: { ids: ['7', '8'], dryRun: false } })
    expect(out).toContain('redrive 3 (postgres): 1 of 2')
    expect(out).toContain('2 of 2 done: 2 accepted')
  })

  test('is exit 1 when letters failed again, and says how many others settled', async () => {
    const { exit, out } = await run(['redrive', '--all'], {
      'POST /redrive': [202, started],
      'GET /jobs/3': [200, { ...done, done: 1, accepted: 0, failed: 1 }],
    })
    expect(exit).toBe(1)
    expect(out).toContain('1 failed again, 1 settled by others meanwhile; why: npx afluente dlq list --consumer postgres')
  })

  test('tells what holds it up, and remarks', async () => {
    const { out } = await run(['redrive', '--all'], {
      'POST /redrive': [202, { ...started, remarks: ['The consumer postgres is stopped.'] }],
      'GET /jobs/3': [[200, { ...job, problem: 'The sink does not answer.' }], [200, done]], // prettier-ignore
    })
    expect(out).toContain('The consumer postgres is stopped.')
    expect(out).toContain('held up: The sink does not answer.')
  })

  test('as a dry run counts; detached it does not wait; nothing to do is said', async () => {
    const counted = await run(['redrive', '--table', 'leads', '--dry-run'], {
      'POST /redrive': [200, { dryRun: true, letters: 4, consumers: [{ consumer: 'postgres', letters: 4 }] }],
    })
    expect(counted).toMatchObject({ exit: 0, asked: [{ body: { table: 'leads', dryRun: true } }] })
    expect(counted.out).toContain('4 letter(s) would be redriven')
    expect(await run(['redrive', '--all', '--detach'], { 'POST /redrive': [202, started] })).toMatchObject({ exit: 0, asked: [{}] })
    expect((await run(['redrive', '--all'], { 'POST /redrive': [202, { ...started, jobs: [] }] })).out).toContain('Nothing waits')
  })

  test('can be looked at and cancelled afterwards', async () => {
    expect((await run(['jobs'], { 'GET /jobs': [200, { jobs: [done] }] })).out).toContain('redrive 3 (postgres): 2 of 2 done')
    expect((await run(['jobs', '3', '--json'], { 'GET /jobs/3': [200, job] })).out).toContain('"state": "running"')
    expect((await run(['jobs', '3', '--cancel'], { 'POST /jobs/3/cancel': [200, { ...job, state: 'cancelled' }] })).out).toContain('cancelled')
  })
})

describe('discard', () => {
  test('goes on until none is left', async () => {
    const { exit, out, asked } = await run(['discard', '--table', 'leads', '--reason', 'old junk'], {
      'POST /discard': [[200, { dryRun: false, discarded: 5, left: 2 }], [200, { dryRun: false, discarded: 2, left: 0 }]], // prettier-ignore
    })
    expect({ exit, out }).toEqual({ exit: 0, out: '7 letter(s) discarded: old junk' })
    expect(asked).toMatchObject([{ body: { table: 'leads', reason: 'old junk', dryRun: false } }, {}])
  })

  test('as a dry run counts', async () => {
    expect((await run(['discard', '7', '--reason', 'x', '--dry-run'], { 'POST /discard': [200, { dryRun: true, letters: 1 }] })).out).toContain(
      '1 letter(s) would be discarded',
    )
  })
})

test('edit sends the file’s content and shows the difference', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'afluente-dlq-'))
  try {
    const file = join(folder, 'event.json')
    await writeFile(file, '{"valor":10}\n')
    const edited = { dryRun: false, replaces: 'e1', eventId: 'e1~0', differences: [{ path: 'valor', before: '"ten"', after: '10' }, { path: 'nota', before: null, after: '1' }] } // prettier-ignore
    const { exit, out, asked } = await run(['edit', '7', '--file', file], { 'POST /7/edit': [200, edited] })
    expect(exit).toBe(0)
    expect(asked).toMatchObject([{ body: { value: '{"valor":10}', dryRun: false } }])
    expect(out).toContain('valor: "ten" → 10')
    expect(out).toContain('nota: (nothing) → 1')
    expect(out).toContain('Sent as e1~0 in place of e1')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
