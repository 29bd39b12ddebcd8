/** Ten writers on fifty hot keys, captures on every shard, one of them paused for longer than its lease at each step in turn. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Publisher } from '../../../shared/ports/publisher.ts'
import { eventually } from '../../support/poll.ts'
import { seededRandom } from '../../support/random.ts'
import type { Source } from '../../support/source.ts'
import { type Audit, audit } from './audit.ts'
import { createBroker, type Logged, sometimesSlow } from './broker.ts'
import { limits, startCrew, type Tampering } from './crew.ts'
import { brokenDeeds, brokenLeases, keepLeaseHistory, type Lease } from './lease-history.ts'
import { holding, type Place, type Step, steps } from './pauses.ts'
import { sqlOutbox } from './sql-outbox.ts'
import { schemaOf, startWriters } from './writers.ts'

const WRITERS = 10
const KEYS = 50
const PAUSE_MS = limits.leaseMs * 1.4
const AGAIN = 3
/** A step that capture takes only now and then may let the director wait that long. */
const STEP_WITHIN_MS = 15_000

export interface ManyOptions {
  readonly source: Source
  readonly shards: number
  /** The writers write at least that long, and until each step has had its pause. */
  readonly writeMs: number
  readonly seed: number
  /** The steps to pause at; all by default. */
  readonly at?: readonly Step[]
  readonly tampering?: Tampering
  /** A real log in place of the recording one. */
  readonly kafka?: { readonly topic: string; readonly publisher: () => Publisher; readonly read: (count: number) => Promise<readonly Logged[]> }
}

export interface ManyResult extends Audit {
  /** What broke in who held which shard and what was done under a lease. */
  readonly brokenLeases: readonly string[]
  /** At which steps a capture stood still, and at which of them somebody else took its shard over meanwhile. */
  readonly paused: ReadonlyMap<Step, { readonly times: number; readonly overtaken: number }>
  readonly epochs: number
  readonly counts: Readonly<Record<string, number>>
}

export async function manyAtOnce({ at = steps, kafka, seed, shards, source, tampering, writeMs }: ManyOptions): Promise<ManyResult> {
  const random = seededRandom(seed)
  const slow = { random, slowMs: limits.leaseMs * 0.8 }
  const broker = createBroker(slow)
  await source.run(schemaOf(KEYS, kafka?.topic ?? 'hot'))
  await source.run('select afluente.set_shards($1)', [shards])
  const superuser = await source.connect('superuser')
  await superuser.run(`alter database ${new URL(source.database.url).pathname.slice(1)} set deadlock_timeout = '50ms'`)
  const history = await keepLeaseHistory(source)
  const { close, outbox } = sqlOutbox(source.database.url, 2 * shards + 4)

  let wanted: Step | null = null
  const pauses: { readonly step: Step; readonly shard: number; readonly from: number; readonly to: number }[] = []
  const due = (step: Step, { shard }: Place): Promise<void> | null => {
    if (step !== wanted) return null
    wanted = null
    const from = Date.now()
    const pause = sleep(PAUSE_MS)
    crew.fresh(shard, pause)
    void pause.then(() => pauses.push({ step, shard, from, to: Date.now() }))
    return pause
  }
  const crew = startCrew({
    outbox,
    publisher: () => (kafka === undefined ? broker.publisher : sometimesSlow(kafka.publisher(), slow)),
    random,
    shards,
    due,
    ...(tampering && { tampering }),
  })
  const writers = startWriters({ url: source.database.ownerUrl, writers: WRITERS, keys: KEYS, random })

  const pauseAt = async (step: Step): Promise<void> => {
    const before = pauses.length
    wanted = step
    await eventually(`a capture was paused at '${step}'`, () => pauses.length > before, STEP_WITHIN_MS)
  }
  const end = Date.now() + writeMs
  for (let turn = 0; turn < at.length || Date.now() < end; turn += 1) {
    const step = at[turn % at.length] ?? 'claim asked'
    await pauseAt(step)
    // It may have been struck when it was about to lose its shard anyway; that proves nothing yet.
    for (let again = 0; again < AGAIN && holding.has(step) && tally(pauses, await history.leases()).get(step)?.overtaken === 0; again += 1) await pauseAt(step)
  }
  await writers.stop()
  await eventually('the outbox is empty', async () => (await source.value('select not exists (select from afluente.outbox)')) === 't', 60_000)
  await crew.stop()
  await close()

  const leases = await history.leases()
  const records = kafka === undefined ? broker.records : await kafka.read(writers.committed.length)
  const rows = await source.run('select id, stamp from public.hot')
  const found = audit(records, writers.committed, new Map(rows.map(({ id, stamp }) => [Number(id), stamp ?? ''])))
  return {
    ...found,
    brokenLeases: [...brokenLeases(leases), ...brokenDeeds(crew.deeds, leases)],
    paused: tally(pauses, leases),
    epochs: leases.reduce((sum, { epoch }) => Math.max(sum, epoch), 0),
    counts: { committed: writers.committed.length, ...writers.counts, ...crew.endings },
  }
}

function tally(
  pauses: readonly { readonly step: Step; readonly shard: number; readonly from: number; readonly to: number }[],
  leases: readonly Lease[],
): ManyResult['paused'] {
  const found = new Map<Step, { times: number; overtaken: number }>()
  for (const { from, shard, step, to } of pauses) {
    const of = leases.filter((lease) => lease.shard === shard)
    const before = of.findLast((lease) => lease.at < from)
    const overtaken = of.some((lease) => lease.at >= from && lease.at <= to && lease.epoch > (before?.epoch ?? 0))
    const { overtaken: so, times } = found.get(step) ?? { times: 0, overtaken: 0 }
    found.set(step, { times: times + 1, overtaken: so + Number(overtaken) })
  }
  return found
}
