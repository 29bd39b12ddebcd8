/** Rows that silver refuses for a while, and the redrives of what became of them: asked for as an operator asks, while everything else goes on breaking. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { World } from './world.ts'

/** In the message of each letter that is meant to be. */
export const REFUSAL = 'refused_for_a_while'

/** A time in which silver refused a quarter of the leads. */
export interface Refusal {
  readonly quarter: number
  readonly fromMs: number
  /** Infinity while it lasts. */
  untilMs: number
  /** Dead letters that came of it, and how often a redrive meanwhile had one refused again. */
  letters: number
  failedAgain: number
}

const TRIES = 200
const BETWEEN_TRIES_MS = 300
/** So long it lasts at most until a letter was refused again: parts may be away, and come back. */
const REFUSED_AGAIN_WITHIN_MS = 60_000

interface Planned {
  /** The keys of which quarter are refused. Deletes pass: what is redriven after them must not come back. */
  readonly quarter: number
  readonly forMs: number
}

/**
 * Redrives also while it lasts, so that letters are refused again. Resolves when a redrive of what is well again was asked for; it runs in
 * the Worker, and goes on however often that dies.
 */
export async function refuseForAWhile(world: World, { quarter, forMs }: Planned, refusals: Refusal[]): Promise<void> {
  const before = await persistently(() => present(world))
  const refusal: Refusal = { quarter, fromMs: Date.now(), untilMs: Number.POSITIVE_INFINITY, letters: 0, failedAgain: 0 }
  refusals.push(refusal)
  await altered(
    world,
    `drop constraint if exists ${REFUSAL}, add constraint ${REFUSAL} check (_deleted_at is not null or abs(hashtext(id::text)::bigint) % 4 <> ${quarter}) not valid`,
  )
  await sleep(forMs)
  const deadline = performance.now() + REFUSED_AGAIN_WITHIN_MS
  while (refusal.failedAgain === 0 && performance.now() < deadline) {
    const { all, attempts, running } = await persistently(() => present(world))
    refusal.letters = all - before.all
    // Each letter's first attempt is no redrive.
    refusal.failedAgain = attempts - all - (before.attempts - before.all)
    if (refusal.failedAgain > 0) break
    if (running > 0) await world.cron().catch(() => undefined)
    else if (refusal.letters > 0) await persistently(() => askForRedrive(world))
    await sleep(BETWEEN_TRIES_MS)
  }
  await mend(world)
  refusal.untilMs = Date.now()
  await persistently(() => askForRedrive(world))
}

/** Asks again, and fires the Worker's cron, until each letter has come to its end. Rejects when that doesn't come. */
export async function redriveTheRest(world: World, { withinMs, signal }: { readonly withinMs: number; readonly signal: AbortSignal }): Promise<void> {
  await mend(world)
  const deadline = performance.now() + withinMs
  for (;;) {
    const { open, running } = await persistently(() => present(world))
    if (open === 0) return
    if (performance.now() > deadline) throw new Error(`${open} dead letters are not resolved after ${withinMs / 1_000} s`)
    if (running === 0) await persistently(() => askForRedrive(world))
    else await world.cron().catch(() => undefined)
    await sleep(BETWEEN_TRIES_MS, undefined, { signal })
  }
}

function mend(world: World): Promise<void> {
  return altered(world, `drop constraint if exists ${REFUSAL}`)
}

/** What writes there is not kept waiting behind it for long. */
async function altered({ analytics }: World, how: string): Promise<void> {
  await persistently(async () => {
    const client = await analytics.connect()
    let sound = false
    try {
      await client.query(`set lock_timeout = '2s'`)
      await client.query(`alter table silver.leads ${how}`)
      sound = true
    } finally {
      client.release(!sound)
    }
  })
}

interface Present {
  readonly all: number
  readonly open: number
  readonly attempts: number
  /** Redrives. */
  readonly running: number
}

async function present({ analytics }: World): Promise<Present> {
  const { rows } = await analytics.query<Present>(
    `select count(*)::int as all, count(*) filter (where state <> 'resolved')::int as open, coalesce(sum(attempts), 0)::int as attempts,
       (select count(*)::int from ops.redrive_job where state = 'running') as running from ops.dead_letter`,
  )
  return rows[0] ?? { all: 0, open: 0, attempts: 0, running: 0 }
}

async function askForRedrive({ info: { worker } }: World): Promise<void> {
  const response = await fetch(`${worker.url}/api/dead-letters/redrive`, {
    method: 'POST',
    headers: { authorization: `Bearer ${worker.token}`, 'content-type': 'application/json' },
    body: '{}',
    signal: AbortSignal.timeout(5_000),
  })
  await response.arrayBuffer()
  if (!response.ok) throw new Error(`a redrive was answered with ${response.status}`)
}

/** Its servers may be away: it is tried again, as people would. */
async function persistently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work()
    } catch (error) {
      if (tries === TRIES) throw error
      await sleep(BETWEEN_TRIES_MS)
    }
  }
}
