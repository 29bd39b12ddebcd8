/** Single-row transactions at a steady rate, as a web application writes, each timed by who waits for it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'

export interface LiveWrites {
  /** Milliseconds of each transaction. */
  readonly times: readonly number[]
  readonly failed: number
  /** Whose turn came while all connections were busy: they began late, and their waiting is not in `times`. */
  readonly late: number
}

const CONNECTIONS = 4

/** Updates rows of a mark, by turns. Goes on until it is stopped. */
export function writeLive(source: pg.Pool, mark: string, rate: number): { stop(): Promise<LiveWrites> } {
  const times: number[] = []
  const counts = { failed: 0, late: 0, turn: 0 }
  let stopped = false
  const began = performance.now()
  const writer = async (): Promise<void> => {
    const client = await source.connect()
    try {
      const ids = (await client.query<{ id: string }>('select id from public.leads where company = $1 order by id', [mark])).rows
      while (!stopped) {
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
  const writers = Promise.all(Array.from({ length: CONNECTIONS }, writer))
  return {
    stop: async () => {
      stopped = true
      await writers
      return { times, ...counts }
    },
  }
}
