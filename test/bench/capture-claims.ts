/** How long claim takes for a thousand changes, whatever else lies in the outbox; and how fast the outbox drains. */
import type pg from 'pg'
import { against, rounded } from './by-turns.ts'
import { type CaptureSource, emptyOutbox } from './capture-source.ts'
import { percentilesOf } from './percentiles.ts'
import type { Report } from './report.ts'
import { perSecond } from './throughput-rows.ts'

const DEAD_LIMIT_MS = 5
const LIVE_LIMIT_MS = 20
const CLAIMED = 1_000
const TIMES = 40
const DRAINED = 100_000

interface Held {
  readonly epoch: number
  readonly versions: readonly number[]
  readonly ms: number
}

export async function claims({ source }: CaptureSource, report: Report, changes: number): Promise<void> {
  await report.measure('claim of 1 000, with 2 000 waiting', async () => {
    await free(source)
    await fill(source, 2_000)
    return claimed(await repeated(source))
  })
  await report.measure(`claim of 1 000 behind ${changes} dead, an old snapshot open elsewhere`, async () => {
    await free(source)
    const snapshot = await source.connect()
    try {
      await snapshot.query('begin isolation level repeatable read')
      await snapshot.query('select count(*) from afluente.shards')
      await fill(source, changes)
      await source.query('delete from afluente.outbox')
      await fill(source, 2_000)
      const dead = await source.query<{ n: string }>(`select pg_stat_get_dead_tuples('afluente.outbox'::regclass) as n`)
      const first = await claim(source, 'bench 1')
      // The look that takes the lease, and the renewal after it, learn that nothing is left below.
      await source.query(`update afluente.shards set leased_until = clock_timestamp()`)
      const second = await claim(source, 'bench 1')
      const times = await repeated(source)
      return { dead: Number(dead.rows[0]?.n ?? 0), firstMs: rounded(first.ms, 1), secondMs: rounded(second.ms, 1), ...claimed(times, DEAD_LIMIT_MS) }
    } finally {
      await snapshot.query('rollback').catch(() => undefined)
      snapshot.release()
    }
  })
  await report.measure(`claim of 1 000, with ${changes} waiting`, async () => {
    await free(source)
    await fill(source, changes)
    return claimed(await repeated(source), LIVE_LIMIT_MS)
  })
  await report.measure('the drain: claim and acknowledge, one after the other', async () => {
    const began = performance.now()
    let drained = 0
    while (drained < Math.min(DRAINED, changes)) {
      const { epoch, versions } = await claim(source, 'bench 1')
      await source.query('select afluente.acknowledge(0, $1, $2)', [epoch, versions])
      drained += versions.length
    }
    return { rows: drained, waiting: changes, rowsPerSecond: perSecond(drained, performance.now() - began) }
  })
}

interface Repeated {
  /** The database's own time: the answer is made and not sent. */
  readonly made: readonly number[]
  /** The same with the answer on its way here. */
  readonly sent: readonly number[]
}

async function repeated(source: pg.Pool): Promise<Repeated> {
  await claim(source, 'bench 1')
  const [made, sent]: [number[], number[]] = [[], []]
  for (let n = 0; n < TIMES; n += 1) {
    const began = performance.now()
    await source.query(`select octet_length(afluente.claim(0, 'bench 1', max_rows => $1)::text)`, [CLAIMED])
    made.push(performance.now() - began)
    sent.push((await claim(source, 'bench 1')).ms)
  }
  return { made, sent }
}

function claimed({ made, sent }: Repeated, limit?: number): Record<string, unknown> {
  const percentiles = percentilesOf(made)
  return {
    rows: CLAIMED,
    times: made.length,
    ...percentiles,
    withItsAnswer: percentilesOf(sent),
    ...(limit === undefined ? {} : against(limit, percentiles.p50Ms ?? Number.NaN)),
  }
}

async function claim(source: pg.Pool, owner: string): Promise<Held> {
  const began = performance.now()
  // As text: what it takes to parse is not the database's.
  const { rows } = await source.query<{ answer: string }>('select afluente.claim(0, $1, max_rows => $2)::text as answer', [owner, CLAIMED])
  const ms = performance.now() - began
  const answer = JSON.parse(rows[0]?.answer ?? 'null') as { readonly status: string; readonly epoch: number; readonly rows: readonly (readonly [number])[] }
  if (answer.status !== 'held' || answer.rows.length !== CLAIMED) throw new Error(`claim answered ${answer.status} with ${answer.rows?.length ?? 0} changes`)
  return { epoch: answer.epoch, versions: answer.rows.map(([version]) => version), ms }
}

async function free(source: pg.Pool): Promise<void> {
  await emptyOutbox(source)
  await source.query(`update afluente.shards set owner = null, leased_until = '-infinity'`)
}

/** Changes as the trigger writes them: of a lead with an image of some 400 bytes. */
async function fill(source: pg.Pool, changes: number): Promise<void> {
  await source.query(
    `insert into afluente.outbox (version, source_table, topic, key, shard, op, before, after, occurred_at)
     select nextval('afluente.version'), 'bench.captured', 'afluente.bench.captured', jsonb_build_array(gen_random_uuid())::text, 0, 'insert', null,
       json_build_object('id', gen_random_uuid(), 'name', 'Maria da Conceição ' || n, 'company', repeat('x', 300)), clock_timestamp()
     from generate_series(1, $1::int) n`,
    [changes],
  )
}
