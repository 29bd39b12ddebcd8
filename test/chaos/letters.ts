/** Rows that silver refuses for a while, and the redrives of what became of them: asked for as an operator asks, while everything else goes on breaking. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { World } from './world.ts'

/** In the message of each letter that is meant to be. */
export const REFUSAL = 'refused_for_a_while'

const TRIES = 200
const BETWEEN_TRIES_MS = 300

interface Planned {
  /** The keys of which quarter are refused. Deletes pass: what is redriven after them must not come back. */
  readonly quarter: number
  readonly forMs: number
}

/** Resolves when a redrive was asked for; it runs in the Worker, and goes on however often that dies. */
export async function refuseForAWhile(world: World, { quarter, forMs }: Planned): Promise<void> {
  await altered(
    world,
    `drop constraint if exists ${REFUSAL}, add constraint ${REFUSAL} check (_deleted_at is not null or abs(hashtext(id::text)::bigint) % 4 <> ${quarter}) not valid`,
  )
  await sleep(forMs)
  await mend(world)
  await persistently(() => askForRedrive(world))
}

/** Asks again, and fires the Worker's cron, until each letter has come to its end. Rejects when that doesn't come. */
export async function redriveTheRest(world: World, { withinMs, signal }: { readonly withinMs: number; readonly signal: AbortSignal }): Promise<void> {
  await mend(world)
  const deadline = performance.now() + withinMs
  for (;;) {
    const { letters, running } = await persistently(() => present(world))
    if (letters === 0) return
    if (performance.now() > deadline) throw new Error(`${letters} dead letters are not resolved after ${withinMs / 1_000} s`)
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

async function present({ analytics }: World): Promise<{ readonly letters: number; readonly running: number }> {
  const { rows } = await analytics.query<{ letters: number; running: number }>(
    `select (select count(*)::int from ops.dead_letter where state <> 'resolved') as letters, (select count(*)::int from ops.redrive_job where state = 'running') as running`,
  )
  return rows[0] ?? { letters: 0, running: 0 }
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
