/** The thread of live writes: writes until it is told to stop, and then says how long each took. */
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import pg from 'pg'

export interface LiveWritesOf {
  /** Of the source. */
  readonly url: string
  readonly mark: string
  /** Transactions a second. */
  readonly rate: number
}

export interface LiveWrites {
  /** Milliseconds of each transaction. */
  readonly times: readonly number[]
  readonly failed: number
  /** Whose turn came while all connections were busy: they began late, and their waiting is not in `times`. */
  readonly late: number
}

const CONNECTIONS = 4

async function write({ mark, rate, url }: LiveWritesOf, stopped: () => boolean): Promise<LiveWrites> {
  const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS })
  const times: number[] = []
  const counts = { failed: 0, late: 0, turn: 0 }
  const began = performance.now()
  const writer = async (): Promise<void> => {
    const client = await pool.connect()
    try {
      const ids = (await client.query<{ id: string }>('select id from public.leads where company = $1 order by id', [mark])).rows
      while (!stopped()) {
        const dueAt = began + (counts.turn * 1_000) / rate
        const id = ids[(counts.turn * 7) % ids.length]?.id
        counts.turn += 1
        const wait = dueAt - performance.now()
        if (wait > 0) await sleep(wait)
        else if (wait < -100) counts.late += 1
        const at = performance.now()
        try {
          await client.query({ name: 'live', text: 'update public.leads set score = (coalesce(score, 0) + 1) % 100 where id = $1', values: [id] })
          times.push(performance.now() - at)
        } catch {
          counts.failed += 1
        }
      }
    } finally {
      client.release()
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, writer))
  await pool.end()
  return { times, failed: counts.failed, late: counts.late }
}

let stopped = false
parentPort?.once('message', () => {
  stopped = true
})
// oxlint-disable-next-line typescript/consistent-type-assertions, unicorn/require-post-message-target-origin -- threads have no origin; the one who starts this thread is typed by LiveWritesOf
parentPort?.postMessage(await write(workerData as LiveWritesOf, () => stopped))
