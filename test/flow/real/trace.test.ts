/** `npx afluente trace` on the whole stack, and the trace of a request from its header to both sinks. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runVerb } from '../../../infra/cli/run.ts'
import { trace } from '../../../infra/cli/trace.ts'
import { describe as tell } from '../../../infra/local/fault.ts'
import { expectInStep, insertLeads, mark } from '../../support/leads.ts'
import { eventually } from '../../support/poll.ts'
import { openStack, type StackAccess } from '../../support/stack-access.ts'

let stack: StackAccess
beforeAll(() => {
  stack = openStack()
})
afterAll(() => stack.close())

interface Traced {
  readonly found: boolean
  readonly changes: readonly {
    readonly version: number
    readonly op: string
    readonly inOutbox: boolean
    readonly traceparent: string
    readonly waitedMs: number
    readonly publishMs: number
    readonly consumers: readonly { readonly consumer: string; readonly fate: string; readonly ms: number | null; readonly letter: { state: string } | null }[]
  }[]
  readonly faults: readonly unknown[]
}

async function run(...args: readonly string[]) {
  const { token, url } = stack.info.worker
  const said: string[] = []
  const exit = await runVerb(
    { trace },
    {
      args: ['trace', ...args, '--url', url],
      env: { AFLUENTE_API_TOKEN: token },
      out: (line) => said.push(line),
      err: (line) => said.push(line),
      describe: tell,
    },
  )
  return { exit, said: said.join('\n') }
}

const traced = async (id: string) => {
  const { exit, said } = await run('leads', id, '--json')
  return { exit, ...(JSON.parse(said) as Traced) }
}

/** Fates by consumer, a line a change. */
const fatesOf = ({ changes }: Traced) => changes.map(({ consumers }) => consumers.map(({ consumer, fate }) => `${consumer} ${fate}`).join(', '))

describe('where is my row', () => {
  test('both changes of it: one stands in both sinks, the other was replaced, each with its times', async () => {
    const company = mark('trace')
    const [id = ''] = await insertLeads(stack.source, 1, company)
    await expectInStep(stack, company)
    await stack.source.query(`update public.leads set status = 'won' where id = $1`, [id])
    await expectInStep(stack, company)
    await stack.quiet()
    const found = await traced(id)
    expect(found).toMatchObject({ exit: 0, found: true, faults: [] })
    expect(fatesOf(found)).toEqual(['postgres replaced, elasticsearch replaced', 'postgres applied, elasticsearch applied'])
    for (const { consumers, inOutbox, publishMs, waitedMs } of found.changes) {
      expect(inOutbox).toBe(false)
      for (const ms of [waitedMs, publishMs, consumers[0]?.ms]) expect(ms).toBeGreaterThan(-5)
    }
    const { said } = await run('leads', id)
    expect(said).toMatch(/published +\S+ {2}\+?-?[\d.]+ ms/)
    expect(said).not.toContain(company)
  })

  test('it waits in the outbox while nobody captures it', async () => {
    const company = mark('outbox')
    await stack.part('edge', 'stop')
    try {
      const [id = ''] = await insertLeads(stack.source, 1, company)
      const found = await traced(id)
      expect(found).toMatchObject({ exit: 0, found: true, changes: [{ op: 'insert', inOutbox: true, waitedMs: null }] })
      expect(fatesOf(found)).toEqual(['postgres waiting, elasticsearch waiting'])
    } finally {
      await stack.part('edge', 'start')
      await stack.ring()
    }
    await expectInStep(stack, company)
  })

  test('it is missing where somebody deleted it by hand, and a dead letter where a sink refuses it', async () => {
    const company = mark('gone')
    const [gone = '', refused = ''] = await insertLeads(stack.source, 2, company)
    await expectInStep(stack, company)
    await stack.quiet()
    await stack.analytics.query('delete from silver.leads where id = $1', [gone])
    const missing = await traced(gone)
    expect([missing.exit, fatesOf(missing)]).toEqual([1, ['postgres missing, elasticsearch applied']])
    await stack.analytics.query(`alter table silver.leads add constraint trace_check check (name <> 'refused ${refused}')`)
    try {
      await stack.source.query(`update public.leads set name = $2 where id = $1`, [refused, `refused ${refused}`])
      await eventually('it is a dead letter of the one consumer, and stands in the other', async () => {
        const dead = await traced(refused)
        expect([dead.exit, fatesOf(dead)]).toEqual([1, ['postgres applied, elasticsearch replaced', 'postgres dead, elasticsearch applied']])
        expect(dead.changes.at(-1)?.consumers[0]?.letter?.state).toBe('open')
        return true
      })
    } finally {
      await stack.analytics.query('alter table silver.leads drop constraint trace_check')
      await stack.source.query('delete from public.leads where company = $1', [company])
    }
  })

  test('a key that nobody knows ends with 1, a table that nobody knows with 2', async () => {
    expect(await run('leads', randomUUID())).toMatchObject({ exit: 1, said: expect.stringContaining('nothing is known of this key') as unknown })
    expect(await run('nothing', '1')).toMatchObject({ exit: 2, said: expect.stringContaining('public.leads') as unknown })
    expect(await run('leads', 'Ana')).toMatchObject({ exit: 2, said: expect.stringContaining('uuid') as unknown })
  })
})

test('the traceparent of a request goes with its change to the topic, to bronze and into the index', async () => {
  const { serviceRoleKey, url } = stack.info.supabase
  const [id, traceId] = [randomUUID(), randomUUID().replaceAll('-', '')]
  const traceparent = `00-${traceId}-b7ad6b7169203331-01`
  const response = await fetch(`${url}/rest/v1/leads`, {
    method: 'POST',
    headers: { apikey: serviceRoleKey, authorization: `Bearer ${serviceRoleKey}`, 'content-type': 'application/json', traceparent },
    body: JSON.stringify({ id, name: 'traced' }),
  })
  expect(response.status).toBe(201)
  await eventually('both sinks have it', async () => {
    const { rows } = await stack.analytics.query('select traceparent from bronze.events where key = $1', [`["${id}"]`])
    expect(rows).toEqual([{ traceparent }])
    const [document] = await stack.search('leads', { term: { id } })
    expect((document?.['afluente'] as { traceparent?: string } | undefined)?.traceparent).toBe(traceparent)
    return true
  })
  expect((await traced(id)).changes).toMatchObject([{ traceparent }])
})
