import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { expectInStep, expectOnceInBronze, insertLeads, mark } from '../../support/leads.ts'
import { eventually } from '../../support/poll.ts'
import { openStack, type StackAccess } from '../../support/stack-access.ts'
import { captureInTest } from './capture-run.ts'

const SLOW = { withinMs: 90_000 }

let stack: StackAccess
beforeAll(() => {
  stack = openStack()
})
afterEach(async () => {
  // Whatever a failed test left down comes up again, so that one failure stays one.
  for (const part of ['kafka', 'elasticsearch', 'supabase', 'edge', 'worker'] as const) await stack.part(part, 'start')
  await stack.doorbell('resume')
})
afterAll(() => stack.close())

async function inBronze(ids: readonly string[]): Promise<number> {
  const { rows } = await stack.analytics.query<{ n: number }>(`select count(*)::int as n from bronze.events where key = any($1)`, [
    ids.map((id) => `["${id}"]`),
  ])
  return rows[0]?.n ?? 0
}

/** The backends of the analytics database that wait for a lock inside the statement that writes a batch. */
function waitingWrites(what: 'pid' | 'pg_terminate_backend(pid)' = 'pid') {
  return stack.analytics.query(
    `select ${what} from pg_stat_activity
     where datname = 'analytics' and wait_event_type = 'Lock' and query like 'with fence as materialized%' and query like '%insert into bronze.events%'`,
  )
}

describe('parts that die', () => {
  test('capture killed between publish and acknowledge: sent again, in effect once', async () => {
    await stack.quiet()
    await stack.doorbell('pause')
    const company = mark('killed before acknowledge')
    const ids = await insertLeads(stack.source, 20, company)
    // Row locks let claim read but hold acknowledge back: Kafka has the rows and the outbox as well.
    const guard = await stack.source.connect()
    await guard.query('begin')
    const held = await guard.query('select from afluente.outbox where key = any($1) for share', [ids.map((id) => `["${id}"]`)])
    expect(held.rowCount).toBe(ids.length)
    await stack.ring()
    await eventually('the rows are in bronze', async () => (await inBronze(ids)) === ids.length)
    await stack.part('edge', 'kill')
    await stack.source.query(`select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%acknowledge%'`)
    await guard.query('rollback')
    guard.release()
    const left = await stack.source.query('select from afluente.outbox where key = any($1)', [ids.map((id) => `["${id}"]`)])
    expect(left.rowCount).toBe(ids.length)
    await stack.part('edge', 'start')
    await stack.doorbell('resume')
    await stack.quiet()
    await expectInStep(stack, company, SLOW)
    await expectOnceInBronze(stack, ids, 1)
  })

  test('three captures at once: one moves the rows, the others find it busy, each row in effect once', async () => {
    await stack.doorbell('pause')
    const company = mark('at once')
    const ids: string[] = []
    for (let round = 0; round < 4; round += 1) {
      await stack.quiet()
      ids.push(...(await insertLeads(stack.source, 500, company)))
      const runs = [captureInTest(stack), captureInTest(stack)]
      const [rung, ...endings] = await Promise.all([stack.ring(), ...runs.map((run) => run.run())]).finally(() => Promise.all(runs.map((run) => run.close())))
      expect(rung.ok).toBe(true)
      // Whoever holds the shard stays a second after its last row, the others ask at once: they have met.
      expect(endings).toContain('busy')
      const epochs = runs.map(({ claims }) => new Set(claims.flatMap((claim) => (claim.status === 'held' ? [claim.epoch] : []))))
      expect(epochs[0]?.intersection(epochs[1] ?? new Set())).toEqual(new Set())
    }
    await stack.quiet()
    await expectInStep(stack, company, SLOW)
    await stack.readToEnd('afluente.public.leads')
    await expectOnceInBronze(stack, ids, 1)
  })

  test.for([
    { at: 'claimed', late: 0, endings: ['busy', 'idle'] },
    { at: 'publishing', late: 20, endings: ['fenced'] },
  ] as const)('capture paused for longer than its lease ($at): what it sends late, $late events, has no effect', async ({ at, endings, late }) => {
    await stack.quiet()
    await stack.doorbell('pause')
    const company = mark(`paused when ${at}`)
    const begun = Promise.withResolvers<void>()
    const over = Promise.withResolvers<void>()
    const paused = captureInTest(stack, {
      at,
      begin: () => {
        begun.resolve()
        return over.promise
      },
    })
    // As a successor it stays a second though it finds nothing, and so has the shard when the rows come.
    const running = paused.run({ successor: true })
    const ids: string[] = []
    try {
      await eventually('the run holds the shard', () => paused.claims.at(-1)?.status === 'held')
      ids.push(...(await insertLeads(stack.source, 20, company)))
      await Promise.race([begun.promise, running])
      expect(paused.published).toBe(0)
      await stack.source.query(`update public.leads set status = 'qualified' where company = $1`, [company])
      await eventually('the lease of the paused run is over', async () => {
        const held = await stack.source.query('select from afluente.shards where owner = $1 and leased_until >= clock_timestamp()', [paused.owner])
        return held.rowCount === 0
      })
      await stack.ring()
      await expectInStep(stack, company, SLOW)
      await expectOnceInBronze(stack, ids, 2)
    } finally {
      over.resolve()
      await running.finally(() => paused.close())
    }
    // Another epoch began meanwhile, so it neither acknowledges nor goes on; what passed its last check before the pause does go out.
    expect(paused.published).toBe(late)
    expect(endings).toContain(await running)
    await stack.quiet()
    await stack.readToEnd('afluente.public.leads')
    await expectInStep(stack, company, SLOW)
    await expectOnceInBronze(stack, ids, 2)
  })

  test('the Worker killed in the midst of a burst: the rest arrives, nothing twice', async () => {
    const company = mark('worker killed')
    // One partition of four is held up inside its write, so that at the kill some of the burst has landed and some can not have.
    const guard = await stack.analytics.connect()
    let ids: readonly string[]
    try {
      await guard.query('begin')
      const held = await guard.query(
        `select from ops.consumer_progress where consumer = 'postgres' and topic = 'afluente.public.leads' and "partition" = 0 for update`,
      )
      expect(held.rowCount).toBe(1)
      ids = await insertLeads(stack.source, 5_000, company)
      await eventually('a write waits for the lock, and some of the burst has arrived', async () => {
        expect(await inBronze(ids)).toBeGreaterThan(0)
        return (await waitingWrites()).rowCount !== 0
      })
      expect((await waitingWrites()).rowCount).toBeGreaterThan(0)
      await stack.part('worker', 'kill')
      const ended = await waitingWrites('pg_terminate_backend(pid)')
      expect(ended.rowCount).toBeGreaterThan(0)
      await eventually('nothing waits any more', async () => (await waitingWrites()).rowCount === 0)
      expect(await inBronze(ids)).toBeLessThan(ids.length)
    } finally {
      await guard.query('rollback')
      guard.release()
    }
    expect(await inBronze(ids)).toBeLessThan(ids.length)
    await stack.part('worker', 'start')
    await expectInStep(stack, company, SLOW)
    await expectOnceInBronze(stack, ids, 1)
  })

  test('Kafka stopped and started: what was written meanwhile arrives', async () => {
    await stack.part('kafka', 'stop')
    const company = mark('kafka away')
    const ids = await insertLeads(stack.source, 50, company)
    const waiting = await stack.source.query('select from afluente.outbox where key = any($1)', [ids.map((id) => `["${id}"]`)])
    expect(waiting.rowCount).toBe(ids.length)
    await stack.part('kafka', 'start')
    await expectInStep(stack, company, SLOW)
    await expectOnceInBronze(stack, ids, 1)
  })

  test('Elasticsearch stopped: Postgres goes on, and the index catches up by itself', async () => {
    await stack.part('elasticsearch', 'stop')
    const company = mark('elasticsearch away')
    const ids = await insertLeads(stack.source, 50, company)
    await eventually('silver has them all the same', async () => (await inBronze(ids)) === ids.length)
    await stack.part('elasticsearch', 'start')
    await expectInStep(stack, company, SLOW)
  })

  test('the analytics database closed and opened: all consumers wait, then catch up', async () => {
    const close = async (allowed: boolean) => {
      await stack.source.query(`alter database analytics with allow_connections ${allowed}`)
      if (!allowed) await stack.source.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = 'analytics'`)
    }
    const company = mark('analytics away')
    await close(false)
    const ids = await insertLeads(stack.source, 50, company).finally(async () => {
      await stack.quiet().finally(() => close(true))
    })
    await expectInStep(stack, company, SLOW)
    await expectOnceInBronze(stack, ids, 1)
  })
})

describe('an event that can not be applied', () => {
  test('one poison row among 500: 499 land, it is a dead letter, and bronze has it', async () => {
    await stack.analytics.query(`alter table silver.leads add constraint no_poison check (name <> 'poison') not valid`)
    try {
      const company = mark('poison')
      const { rows } = await stack.source.query<{ id: string; name: string }>(
        `insert into public.leads (id, name, company) select gen_random_uuid(), case n when 250 then 'poison' else 'lead ' || n end, $1 from generate_series(1, 500) n returning id, name`,
        [company],
      )
      const poison = rows.find((row) => row.name === 'poison')?.id
      await eventually('499 rows are in silver', async () => {
        const silver = await stack.analytics.query<{ n: number }>(`select count(*)::int as n from bi.leads where company = $1`, [company])
        return silver.rows[0]?.n === 499
      })
      await eventually('the poison row is a dead letter with the reason', async () => {
        const letter = await stack.analytics.query(`select consumer, topic, state, attempts from ops.dead_letter where key = $1`, [`["${poison}"]`])
        expect(letter.rows).toEqual([{ consumer: 'postgres', topic: 'afluente.public.leads', state: 'open', attempts: 1 }])
        return true
      })
      await expectOnceInBronze(
        stack,
        rows.map((row) => row.id),
        1,
        { dead: [String(poison)] },
      )
      expect(await deadLetterHeaders('afluente.public.leads.dlq', `["${poison}"]`)).toMatchObject({
        afluente_error_code: '23514',
        afluente_consumer: 'postgres',
      })
    } finally {
      await stack.analytics.query('alter table silver.leads drop constraint no_poison')
    }
  })

  test('records that are no events at all become dead letters, and the next row is not held up', async () => {
    const producer = stack.kafka.producer()
    await producer.connect()
    const id = mark('junk')
    await producer.send({
      topic: 'afluente.public.leads',
      messages: [
        { key: `["${id}"]`, value: 'this is not JSON', headers: { ce_id: 'public.leads:7', ce_sequence: '7' } },
        { key: `["${id}"]`, value: '{"op":"insert","before":null,"after":{"id":1}}' },
        { key: `["${id}"]`, value: '{"op":"insert","before":null,"after":{"id":"x"}}', headers: { ce_id: 'public.nobody:8', ce_sequence: '8' } },
      ],
    })
    await producer.disconnect()
    await eventually('each is a dead letter of both consumers', async () => {
      const { rows } = await stack.analytics.query<{ consumer: string; n: number }>(
        `select consumer, count(*)::int as n from ops.dead_letter where key = $1 group by 1 order by 1`,
        [`["${id}"]`],
      )
      expect(rows).toEqual([
        { consumer: 'elasticsearch', n: 3 },
        { consumer: 'postgres', n: 3 },
      ])
      return true
    })
    const company = mark('after junk')
    await insertLeads(stack.source, 1, company)
    await expectInStep(stack, company)
  })
})

/** The headers of the dead letter for a key, read from its topic. */
async function deadLetterHeaders(topic: string, key: string): Promise<Record<string, string>> {
  const consumer = stack.kafka.consumer({ groupId: `test-${crypto.randomUUID()}` })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  let found: Record<string, string> | undefined
  await consumer.run({
    eachMessage: async ({ message }) => {
      if (message.key?.toString() === key) found = Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]))
    },
  })
  await eventually(`${topic} has a letter for the key`, async () => found !== undefined)
  await consumer.disconnect()
  return found ?? {}
}
