import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { runVerb } from '../../../infra/cli/run.ts'
import { trace } from '../../../infra/cli/trace.ts'
import { describe as tell } from '../../../infra/local/fault.ts'

const change = {
  eventId: 'public.leads:5',
  version: 5,
  op: 'update',
  occurredAt: '2026-11-22T18:00:00.000500Z',
  claimedAt: '2026-11-22T18:00:00.012000Z',
  publishedAt: '2026-11-22T18:00:00.020000Z',
  inOutbox: false,
  topic: 'afluente.public.leads',
  partition: 1,
  offset: '3',
  traceparent: null,
  waitedMs: 11.5,
  publishMs: 8,
  consumers: [
    { consumer: 'postgres', fate: 'applied', at: '2026-11-22T18:00:00.050250Z', ms: 30.3, letter: null },
    {
      consumer: 'elasticsearch',
      fate: 'applied',
      at: null,
      ms: null,
      letter: null as { id: string; code: string; state: string; attempts: number; firstSeen: string } | null,
    },
  ],
}
const answer = {
  at: '2026-11-22T18:00:01.000Z',
  table: 'public.leads',
  key: '["a"]',
  found: true,
  more: false,
  floor: null as { version: number; occurredAt: string | null } | null,
  changes: [change],
  consumers: [
    {
      name: 'postgres',
      copy: { version: 5, deleted: false, syncedAt: null } as { version: number; deleted: boolean; syncedAt: string | null } | null,
      partition: 1,
      behind: 0 as number | null,
    },
  ],
  faults: [] as { part: string; reason: string }[],
}

let server: Server | undefined
afterEach(() => void server?.close())

async function run(args: readonly string[], reply: unknown = answer, status = 200) {
  const asked: string[] = []
  server = createServer((request, response) => {
    let body = ''
    request.on('data', (part: Buffer) => (body += part.toString()))
    request.on('end', () => {
      asked.push(`${request.method} ${request.url} ${body}`)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(reply))
    })
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const said: string[] = []
  const told: string[] = []
  const exit = await runVerb(
    { trace },
    {
      args: ['trace', ...args, '--url', url],
      env: { AFLUENTE_API_TOKEN: 'the-token' },
      out: (line) => said.push(line),
      err: (line) => told.push(line),
      describe: tell,
    },
  )
  return { exit, out: said.join('\n'), err: told.join('\n'), asked }
}

describe('npx afluente trace', () => {
  test('asks with the key in the body, and shows each step with its time', async () => {
    const { asked, exit, out } = await run(['leads', 'a'])
    expect(exit).toBe(0)
    expect(asked).toEqual(['POST /api/trace {"table":"leads","key":"a","limit":20}'])
    expect(out).toContain('update 5')
    expect(out).toContain('2026-11-22T18:00:00.012000Z  +11.5 ms')
    expect(out).toContain('afluente.public.leads, partition 1, offset 3')
    expect(out).toMatch(/postgres +2026-11-22T18:00:00.050250Z {2}\+30.3 ms {2}applied, and stands/)
    expect(out).toContain('postgres stands at 5, and has read partition 1 to its end')
  })

  test('with --json is one JSON value', async () => {
    const { out } = await run(['leads', 'a', '--json', '--limit', '3'])
    expect(JSON.parse(out)).toEqual(answer)
  })

  test('ends with 1 and says so when nothing is known of the key, and how much is still to be read', async () => {
    const nothing = { ...answer, found: false, changes: [], consumers: [{ name: 'postgres', copy: null, partition: 1, behind: 12 }] }
    const { exit, out } = await run(['leads', 'b'], nothing)
    expect(exit).toBe(1)
    expect(out).toContain('nothing is known of this key')
    expect(out).toContain('has nothing of it, and has 12 record(s) of partition 1 still to read')
  })

  test('ends with 1 when the latest change is a dead letter or is missing, not when an earlier one is', async () => {
    const letter = { id: '7', code: '23514', state: 'open', attempts: 2, firstSeen: '' }
    const dead = { ...change, consumers: [{ consumer: 'postgres', fate: 'dead', at: null, ms: null, letter }] }
    expect(await run(['leads', 'a'], { ...answer, changes: [dead] })).toMatchObject({
      exit: 1,
      out: expect.stringContaining('dead letter 7 (open, 23514, 2 attempts)') as unknown,
    })
    expect(await run(['leads', 'a'], { ...answer, changes: [dead, change] })).toMatchObject({ exit: 0 })
    const redriven = {
      ...change,
      consumers: [{ consumer: 'postgres', fate: 'replaced', at: null, ms: null, letter: { ...letter, state: 'resolved', attempts: 1 } }],
    }
    expect(await run(['leads', 'a'], { ...answer, changes: [redriven, change] })).toMatchObject({
      exit: 0,
      out: expect.stringContaining('applied, and replaced since; dead letter 7 (resolved, 23514)') as unknown,
    })
    const missing = { ...change, consumers: [{ consumer: 'postgres', fate: 'missing', at: null, ms: null, letter: null }] }
    expect(await run(['leads', 'a'], { ...answer, changes: [missing] })).toMatchObject({ exit: 1, out: expect.stringContaining('reconcile') as unknown })
  })

  test('ends with 1 when a part could not be asked, and shows what the others know', async () => {
    const { exit, out } = await run(['leads', 'a'], { ...answer, faults: [{ part: 'outbox', reason: 'No answer within 8000 ms.' }] })
    expect(exit).toBe(1)
    expect(out).toContain('✗ outbox could not be asked: No answer within 8000 ms.')
    expect(out).toContain('update 5')
  })

  test('shows a change that waits in the outbox, a truncate, and that there are older ones', async () => {
    const waits = { ...change, inOutbox: true, topic: null, claimedAt: null, publishedAt: null }
    const { out } = await run(['leads', 'a'], { ...answer, more: true, floor: { version: 3, occurredAt: '2026-11-22T17:00:00Z' }, changes: [waits] })
    expect(out).toMatch(/outbox +waits there/)
    expect(out).toContain('truncated at version 3')
    expect(out).toContain('older ones')
  })

  test('an unknown table or a text that is no key is wrong use', async () => {
    const problem = { type: 'urn:afluente:problem:unknown-table', title: 'There is no such table', detail: 'The definition has public.leads.' }
    expect(await run(['nothing', 'a'], problem, 404)).toMatchObject({ exit: 2, out: '', err: expect.stringContaining('public.leads') as unknown })
  })

  test.each([[[]], [['leads']], [['leads', 'a', 'b']], [['leads', 'a', '--limit', '0']], [['leads', 'a', '--values']]])('%j is wrong use', async (args) => {
    expect(await run(args)).toMatchObject({ exit: 2, asked: [] })
  })
})
