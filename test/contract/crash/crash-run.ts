/** One cell of the crash matrix, on real databases. */
import { type Boundary, captureBoundaries, deliverBoundaries } from '../../support/failpoints/boundaries.ts'
import { failpoint, type Failpoint, type Part } from '../../support/failpoints/failpoint.ts'
import type { Attempt } from '../../support/failpoints/matrix.ts'
import { later, script, type ScriptStep } from '../../support/failpoints/script.ts'
import { MAX_MESSAGE_BYTES, TABLE_NAME, TOPIC } from '../../support/failpoints/setting.ts'
import type { Pair } from './databases.ts'
import { createCrashWorld, type CrashWorld, type Tamper } from './world.ts'

/** Who passes which boundary. Postgres counts a batch with the batch itself, so progress is told apart only where a batch was split for nothing. */
export const passages: readonly { readonly part: Part; readonly boundary: Boundary }[] = [
  ...captureBoundaries.map((boundary) => ({ part: 'capture' as const, boundary })),
  ...deliverBoundaries.filter((name) => name !== 'deliver.advance').map((boundary) => ({ part: 'postgres' as const, boundary })),
]

export interface Cell extends Attempt {
  readonly part: Part
  readonly boundary: Boundary
}

export interface CrashRun {
  readonly plan: Failpoint
  readonly broken: readonly string[]
  /** What stands in the sink at the end, with versions counted from the run's first. */
  readonly sink: unknown
}

/** Without a cell nothing fails. */
export async function crashRun(pair: Pair, at?: Cell, tamper: Tamper = (db) => db): Promise<CrashRun> {
  const woken = Promise.withResolvers<void>()
  const plan = at === undefined ? failpoint() : failpoint(at, { ...at.ending.fault, ...(at.ending.zombie ? { until: woken.promise } : {}) })
  const base = Number(await pair.source.value('select last_value from afluente.version'))
  const world = createCrashWorld({ pair, plan, shape: { seed: 1, instances: at?.ending.instances ?? 2, batch: 2, budgetMs: 100 }, tamper })
  const broken: string[] = []
  const rest = async (when: string) => {
    if (!(await world.rest())) broken.push(`it never came to rest ${when}`)
  }
  try {
    await play(script, world, pair)
    await rest('after the script')
    // Those who stand still see nothing of it.
    await play(later, world, pair)
    await rest('after the later changes')
    if (at?.ending.zombie === true) {
      woken.resolve()
      await rest('after the zombie woke')
    }
  } finally {
    woken.resolve()
    await world.end()
  }
  return { plan, broken: [...broken, ...world.violations, ...(await brokenPromises(world, pair))], sink: await sinkOf(pair, base) }
}

async function play(steps: readonly ScriptStep[], world: CrashWorld, { source, writers }: Pair): Promise<void> {
  const open = new Set<number>()
  const run = async (session: number, text: string, values: readonly unknown[] = [], isolation = 'read committed') => {
    if (!open.has(session)) await writers[session]?.run(`begin isolation level ${isolation}`)
    open.add(session)
    await writers[session]?.run(text, values)
  }
  for (const step of steps) {
    if (step.does === 'pass') await world.pass(step.ms / 2)
    // Under that isolation every TRUNCATE leaves a floor.
    else if (step.does === 'truncate') await run(step.session, `truncate ${TABLE_NAME}`, [], 'repeatable read')
    else if (step.does === 'commit') {
      await writers[step.session]?.run('commit')
      open.delete(step.session)
      // The doorbell is silent while somebody holds the lease.
      const free = (await source.value('select bool_and(leased_until <= clock_timestamp()) from afluente.shards')) === 't'
      if (free) for (const isolate of step.rings) world.ring(isolate)
    } else if (step.n === null) await run(step.session, `delete from ${TABLE_NAME} where id = $1`, [`k${step.key}`])
    else {
      const filler = step.n === -2 ? 'x'.repeat(MAX_MESSAGE_BYTES) : null
      const text = `insert into ${TABLE_NAME} values ($1, $2, $3) on conflict (id) do update set n = excluded.n, filler = excluded.filler`
      await run(step.session, text, [`k${step.key}`, step.n, filler])
    }
  }
}

/** What must hold at rest whatever happened: I1, I2, I3, I6, I7 and I9. */
async function brokenPromises({ topics }: CrashWorld, { analytics, source }: Pair): Promise<readonly string[]> {
  const texts = async (text: string) => (await analytics.query<{ text: string }>(text)).rows.map((row) => row.text)
  const rows = (await source.run('select row_to_json(r)::text as text from (select id, n from public.leads where n >= 0 order by id) r')).map(
    ({ text }) => text ?? '',
  )
  const [bronze, silver] = await Promise.all([
    texts('select event_id as text from bronze.events'),
    texts('select row_to_json(r)::text as text from (select id, n from silver.leads where _deleted_at is null order by id) r'),
  ])
  const sent = new Set(topics.all(TOPIC).map(({ headers }) => String(headers['ce_id'])))
  const kept = new Set(bronze)
  return [
    ...(await texts('select what as text from watch.went_back')),
    ...[...sent].filter((id) => !kept.has(id)).map((id) => `bronze lacks ${id}`),
    ...[...kept].filter((id) => !sent.has(id)).map((id) => `bronze has ${id}, which nobody sent`),
    ...(silver.join() === rows.join() ? [] : [`silver has ${silver.join()}, and the source ${rows.join()}`]),
    ...(await texts(
      `select format('partition %s: %s + %s + %s + %s of %s', "partition", accepted, duplicate, late, dead, consumed) as text from ops.consumer_progress
       where accepted + duplicate + late + dead <> consumed or next_offset <> (case "partition" ${[0, 1].map((partition) => `when ${partition} then ${topics.end(TOPIC, partition)}`).join(' ')} end)`,
    )),
  ]
}

async function sinkOf({ analytics }: Pair, base: number): Promise<unknown> {
  const ids = `regexp_replace(event_id, '[0-9]+$', '') || (regexp_replace(event_id, '.*:', '')::bigint - ${base})`
  const read = async (text: string) => (await analytics.query(text)).rows
  return {
    rows: await read(`select id, n, _version - ${base} as version, _deleted_at is not null as deleted from silver.leads order by id`),
    bronze: await read(`select ${ids} as id, key, op, after::text from bronze.events order by version`),
    dead: await read(`select distinct ${ids} as id, error_class, state from ops.dead_letter order by 1`),
    floors: await read(`select source_table, version - ${base} as version from ops.floor where version > 0 order by 1`),
  }
}
