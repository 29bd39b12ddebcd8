/**
 * pg_net's background worker, with its real faults: batches of 200 in one transaction that stays open while they are sent,
 * one try a request, a pause of a second after each batch. Written after pg_net's own loop (src/worker.c, 0.20): the first
 * wake-up during a batch or a pause ends that pause at once; further ones don't, until the worker has found nothing.
 * So a doorbell rings at once when it was quiet, and up to a second late when they come thick.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { reasonOf, type Log } from '../log.ts'
import { sendOnce, type Outcome, type QueuedRequest } from './send.ts'

export interface NetWorker {
  /** A commit asked for a request. */
  readonly wake: () => void
  readonly controls: NetControls
  readonly stats: NetStats
  stop(): Promise<void>
}

/** For tests: what may happen to a doorbell, on demand. */
export interface NetControls {
  readonly pause: () => void
  readonly resume: () => void
  /** The next `count` requests are taken from the queue and never sent, as in a crash of the server. */
  readonly drop: (count: number) => void
  /** The next `count` requests are sent twice, as when the worker dies before its commit. */
  readonly double: (count: number) => void
}

export interface NetStats {
  sent: number
  failed: number
  dropped: number
  doubled: number
  paused: boolean
  /** Nothing to send and no pause running: the next request goes out at once. */
  idle: boolean
}

export interface NetWorkerDeps {
  readonly url: string
  readonly log: Log
  readonly pauseMs: number
}

const batchSize = 200

// pg_net's two statements. Answers are kept for six hours.
const expire = `with rows as (select ctid from net._http_response where created < now() - interval '6 hours' order by created limit $1) delete from net._http_response r using rows where r.ctid = rows.ctid`
const take = `with rows as (select id from net.http_request_queue order by id limit $1)
delete from net.http_request_queue q using rows where q.id = rows.id returning q.id::text, q.method, q.url, q.headers, q.body, q.timeout_milliseconds`
const store = `insert into net._http_response (id, status_code, content_type, headers, content, timed_out, error_msg) values ($1, $2, $3, $4, $5, $6, $7)`

export function createNetWorker(deps: NetWorkerDeps): NetWorker {
  const stopping = new AbortController()
  const stats: NetStats = { sent: 0, failed: 0, dropped: 0, doubled: 0, paused: false, idle: false }
  let client: pg.Client | undefined
  // What was left in the queue by an earlier process is sent at the start.
  let shouldWake = true
  const latch = createLatch()
  let toDrop = 0
  let toDouble = 0

  const connected = async (): Promise<pg.Client> => {
    if (client !== undefined) return client
    const opened = new pg.Client({ connectionString: deps.url, application_name: 'pg_net stand-in' })
    opened.on('error', () => (client = undefined))
    opened.on('end', () => (client = undefined))
    await opened.connect()
    client = opened
    return opened
  }

  const deliver = async (request: QueuedRequest): Promise<Outcome | undefined> => {
    if (toDrop > 0) {
      toDrop -= 1
      stats.dropped += 1
      return undefined
    }
    if (toDouble > 0) {
      toDouble -= 1
      stats.doubled += 1
      await sendOnce(request, stopping.signal)
    }
    const outcome = await sendOnce(request, stopping.signal)
    stats.sent += 1
    if (outcome.error !== null) {
      stats.failed += 1
      deps.log('net.request-failed', { id: request.id, error: outcome.error })
    }
    return outcome
  }

  const batch = async (): Promise<number> => {
    const db = await connected()
    await db.query('begin')
    try {
      const expired = await db.query(expire, [batchSize])
      const { rows } = await db.query<QueueRow>(take, [batchSize])
      await Promise.all(
        rows.map(async (row) => {
          const outcome = await deliver(requestOf(row))
          if (outcome !== undefined) await db.query(store, storeValues(outcome))
        }),
      )
      await db.query('commit')
      return rows.length + (expired.rowCount ?? 0)
    } catch (error) {
      // The batch goes back into the queue and is sent again: pg_net doubles like this when its worker dies.
      await db.query('rollback').catch(() => void db.end())
      throw error
    }
  }

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      if (!shouldWake || stats.paused) {
        stats.idle = !stats.paused
        await latch.wait(undefined, stopping.signal)
        stats.idle = false
        continue
      }
      shouldWake = false
      for (let consumed = 1; consumed > 0 && !stopping.signal.aborted && !stats.paused;) {
        consumed = await batch()
        await latch.wait(deps.pauseMs, stopping.signal)
      }
    }
  }

  const supervised = (async () => {
    let last = ''
    while (!stopping.signal.aborted) {
      try {
        await run()
      } catch (error) {
        if (stopping.signal.aborted) break
        const reason = reasonOf(error)
        if (reason !== last) deps.log('net.worker-restarts', { reason })
        last = reason
        shouldWake = true
        await sleep(1000, undefined, { signal: stopping.signal }).catch(() => undefined)
      }
    }
  })()

  return {
    wake: () => {
      if (shouldWake) return
      shouldWake = true
      latch.set()
    },
    controls: {
      pause: () => void (stats.paused = true),
      resume: () => {
        stats.paused = false
        shouldWake = true
        latch.set()
      },
      drop: (count) => void (toDrop += count),
      double: (count) => void (toDouble += count),
    },
    stats,
    stop: async () => {
      stopping.abort()
      latch.set()
      await supervised
      await client?.end().catch(() => undefined)
    },
  }
}

interface QueueRow {
  readonly id: string
  readonly method: string
  readonly url: string
  readonly headers: Record<string, unknown> | null
  readonly body: Buffer | null
  readonly timeout_milliseconds: number
}

function requestOf(row: QueueRow): QueuedRequest {
  const headers = Object.fromEntries(Object.entries(row.headers ?? {}).map(([name, value]) => [name, String(value)]))
  return { id: row.id, method: row.method.toUpperCase(), url: row.url, headers, body: row.body, timeoutMs: row.timeout_milliseconds }
}

function storeValues(outcome: Outcome): unknown[] {
  return [
    outcome.id,
    outcome.status,
    outcome.contentType,
    outcome.headers === null ? null : JSON.stringify(outcome.headers),
    outcome.content,
    outcome.timedOut,
    outcome.error,
  ]
}

/** Like Postgres' process latch: setting it ends the present wait, or the next one. */
function createLatch(): { set(): void; wait(timeoutMs: number | undefined, signal: AbortSignal): Promise<void> } {
  let isSet = false
  let release: (() => void) | undefined
  return {
    set: () => {
      isSet = true
      release?.()
    },
    wait: async (timeoutMs, signal) => {
      if (!isSet && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs)
          release = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      release = undefined
      isSet = false
    },
  }
}
