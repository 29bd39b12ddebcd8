import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { expectInStep, expectOnceInBronze, mark } from '../../support/leads.ts'
import { eventually } from '../../support/poll.ts'
import { openStack, type StackAccess } from '../../support/stack-access.ts'

const TOPIC = 'afluente.public.leads'

let stack: StackAccess
beforeAll(() => {
  stack = openStack()
})
afterEach(async () => {
  await stack.analytics.query('alter table silver.leads drop constraint if exists no_poison')
  await stack.part('worker', 'start')
})
afterAll(() => stack.close())

interface Job {
  readonly id: string
  readonly consumer: string
  readonly state: string
  readonly total: number
  readonly done: number
  readonly accepted: number
  readonly failed: number
  readonly late: number
}

const get = async <T>(path: string): Promise<T> => (await (await stack.api(`/api/dead-letters${path}`)).json()) as T
const redrive = async (filter: object): Promise<readonly Job[]> => {
  const response = await stack.api('/api/dead-letters/redrive', { method: 'POST', body: JSON.stringify(filter) })
  expect(response.status).toBe(202)
  return ((await response.json()) as { jobs: readonly Job[] }).jobs
}
const ended = (id = '', withinMs = 30_000): Promise<Job> =>
  eventually(
    `redrive ${id} has ended`,
    async () => {
      const job = await get<Job>(`/jobs/${id}`)
      return job.state === 'done' ? job : null
    },
    withinMs,
  )
const refuse = () => stack.analytics.query(`alter table silver.leads add constraint no_poison check (name <> 'poison') not valid`)
const accept = () => stack.analytics.query('alter table silver.leads drop constraint no_poison')

/** Rows that silver refuses, and the ids of their letters. */
async function poisoned(count: number, company: string) {
  const { rows } = await stack.source.query<{ id: string }>(
    `insert into public.leads (id, name, company) select gen_random_uuid(), 'poison', $2 from generate_series(1, $1::int) returning id::text`,
    [count, company],
  )
  const ids = rows.map(({ id }) => id)
  const letters = await lettersOf(ids, count)
  return { ids, letters }
}

const lettersOf = (ids: readonly string[], count: number) =>
  eventually(`${count} letters`, async () => {
    const { rows } = await stack.analytics.query<{ id: string; state: string; attempts: number }>(
      `select id::text, state, attempts from ops.dead_letter where consumer = 'postgres' and key = any($1) order by id`,
      [ids.map((id) => `["${id}"]`)],
    )
    expect(rows).toHaveLength(count)
    return rows
  })

/** I6, where letters are redriven as well. */
async function expectCounted(): Promise<void> {
  const { rows } = await stack.analytics.query(`select topic from ops.consumer_progress where accepted + duplicate + late + dead <> consumed`)
  expect(rows).toEqual([])
}

describe('a row that silver refuses', () => {
  test('is a letter; once the constraint is mended a redrive brings it into silver, equal to the source and the index', async () => {
    await refuse()
    const company = mark('redriven')
    const { ids, letters } = await poisoned(3, company)
    expect(letters.map(({ state, attempts }) => `${state} ${attempts}`)).toEqual(['open 1', 'open 1', 'open 1'])

    const [again] = await redrive({ ids: letters.map(({ id }) => id) })
    expect(await ended(again?.id)).toMatchObject({ consumer: 'postgres', total: 3, done: 3, failed: 3 })
    expect((await lettersOf(ids, 3)).map(({ state, attempts }) => `${state} ${attempts}`)).toEqual(['open 2', 'open 2', 'open 2'])

    await accept()
    const [job] = await redrive({ ids: letters.map(({ id }) => id) })
    expect(await ended(job?.id)).toMatchObject({ done: 3, accepted: 3, failed: 0 })
    expect((await lettersOf(ids, 3)).map(({ state }) => state)).toEqual(['resolved', 'resolved', 'resolved'])
    await expectInStep(stack, company)
    await expectOnceInBronze(stack, ids, 1)
    await expectCounted()
  })

  test('and was changed since is not put back: the redriven letter is overtaken', async () => {
    await refuse()
    const company = mark('overtaken')
    const { ids, letters } = await poisoned(1, company)
    await stack.source.query(`update public.leads set name = 'mended' where company = $1`, [company])
    await expectInStep(stack, company)
    await accept()
    const [job] = await redrive({ ids: letters.map(({ id }) => id) })
    expect(await ended(job?.id)).toMatchObject({ done: 1, accepted: 0, failed: 0 })
    expect((await lettersOf(ids, 1))[0]?.state).toBe('resolved')
    await expectInStep(stack, company)
    const { rows } = await stack.analytics.query(`select name from silver.leads where company = $1`, [company])
    expect(rows).toEqual([{ name: 'mended' }])
  })
})

test('a redrive that is killed in its midst goes on where it was, and each row is there once', async () => {
  await refuse()
  const company = mark('killed redrive')
  const { ids, letters } = await poisoned(400, company)
  await accept()
  // Whoever redrives from one partition is held up inside its write, so that at the kill some letters are settled and others can not be.
  await stack.analytics.query(
    `insert into ops.consumer_progress (consumer, topic, "partition", owner, epoch) select 'postgres', $1, n, 'test', 1 from generate_series(0, 3) n on conflict do nothing`,
    [`${TOPIC}.dlq`],
  )
  const guard = await stack.analytics.connect()
  let job: Job | undefined
  try {
    await guard.query('begin')
    await guard.query(`select from ops.consumer_progress where consumer = 'postgres' and topic = $1 and "partition" = $2 for update`, [
      `${TOPIC}.dlq`,
      await lastPlace(ids),
    ])
    job = (await redrive({ ids: letters.map(({ id }) => id) }))[0]
    const waiting = `from pg_stat_activity where datname = 'analytics' and wait_event_type = 'Lock' and query like '%ops.consumer_progress%'`
    await eventually('some are settled, and the rest is held up', async () => {
      expect((await get<Job>(`/jobs/${job?.id}`)).done).toBeGreaterThan(0)
      return ((await stack.analytics.query(`select ${waiting}`)).rowCount ?? 0) > 0
    })
    await stack.part('worker', 'kill')
    await stack.analytics.query(`select pg_terminate_backend(pid) ${waiting}`)
  } finally {
    await guard.query('rollback')
    guard.release()
  }
  const between = await lettersOf(ids, 400)
  expect(new Set(between.map(({ state }) => state))).toEqual(new Set(['resolved', 'redriven']))
  await stack.part('worker', 'start')
  await stack.cron()
  expect(await ended(job?.id, 60_000)).toMatchObject({ total: 400, done: 400, failed: 0 })
  expect(new Set((await lettersOf(ids, 400)).map(({ state, attempts }) => `${state} ${attempts}`))).toEqual(new Set(['resolved 1']))
  await expectInStep(stack, company, { withinMs: 60_000 })
  await expectOnceInBronze(stack, ids, 1)
  await expectCounted()
})

/** The partition of the letter whose place is redriven last: places follow the order of their first letter. */
async function lastPlace(ids: readonly string[]): Promise<number> {
  const { rows } = await stack.analytics.query<{ partition: number }>(
    `select "partition" from ops.dead_letter where consumer = 'postgres' and key = any($1) group by "partition" order by min(id) desc limit 1`,
    [ids.map((id) => `["${id}"]`)],
  )
  return rows[0]?.partition ?? 0
}

test('a letter of the index is redriven into the index alone', async () => {
  const [id, company, version] = [randomUUID(), mark('index letter'), Date.now() * 1_000]
  const after = JSON.stringify({
    ...Object.fromEntries(
      ['email', 'phone', 'job_title', 'source', 'status', 'score', 'estimated_value', 'tags', 'metadata', 'assigned_to'].map((name) => [name, null]),
    ),
    id,
    name: 'of a letter',
    company,
    created_at: '2026-11-22T18:00:00+00:00',
    updated_at: '2026-11-22T18:00:00+00:00',
  })
  const { rows } = await stack.analytics.query<{ id: string }>(
    `insert into ops.dead_letter (consumer, topic, "partition", "offset", event_id, table_name, key, payload, headers, error_class, message, fingerprint)
     values ('elasticsearch', $1, 0, $2, $3, 'public.leads', $4, $5, $6, 'mapper_parsing_exception', 'refused', 'test') returning id::text`,
    [
      TOPIC,
      version,
      `public.leads:${version}`,
      `["${id}"]`,
      `{"op":"insert","before":null,"after":${after}}`,
      JSON.stringify({ ce_id: `public.leads:${version}`, ce_sequence: String(version), ce_time: '2026-11-22T18:00:00.000001+00:00' }),
    ],
  )
  const [job] = await redrive({ ids: rows.map((row) => row.id) })
  expect(await ended(job?.id)).toMatchObject({ consumer: 'elasticsearch', total: 1, accepted: 1 })
  expect(await stack.search('leads', { term: { id } })).toMatchObject([{ company, afluente: { version } }])
  expect((await stack.analytics.query('select from silver.leads where id = $1', [id])).rowCount).toBe(0)
  // No row of the source: nobody who compares the two shall find it.
  const response = await fetch(`${stack.info.elasticsearch.url}/leads/_doc/${encodeURIComponent(`["${id}"]`)}`, { method: 'DELETE' })
  expect(response.status).toBe(200)
})
