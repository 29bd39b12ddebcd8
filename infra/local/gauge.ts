import type { Admin, Kafka } from 'kafkajs'
import pg from 'pg'
import type { StackInfo } from './stack-info.ts'

/** How the stream flows, at one moment. */
export interface Reading {
  /** Events that the consumer `postgres` took since the last reading, a second. */
  readonly perSecond: number
  /** Changes on their way: rows in the outbox, and events of the slowest consumer. */
  readonly waiting: number
  /** Source's commit to bronze's, over the last rows; undefined when none came lately. */
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  readonly dead: number
}

export interface Gauge {
  /** Rejects when a part it asks is down. */
  read(): Promise<Reading>
  close(): Promise<void>
}

const progressSql = `
  select p.topic, p.partition, p.consumer, p.next_offset::text as next, p.accepted + p.duplicate + p.late + p.dead as consumed
  from ops.consumer_progress p`

/** The newest rows lie in the last pages of an append-only table: no index on time is needed, however large it is. */
const latencySql = `
  select percentile_disc(array[0.5, 0.99]) within group (order by ms) as p
  from (
    select extract(epoch from coalesce(pg_xact_commit_timestamp(xmin), received_at) - occurred_at) * 1000::float8 as ms
    from bronze.events
    where ctid >= format('(%s,0)', greatest(pg_relation_size('bronze.events') / 8192 - 16, 0))::tid
      and received_at > clock_timestamp() - interval '10 seconds' and op <> 'read'
  ) recent`

/** Reads the status line's numbers from the control tables, bronze, the outbox and Kafka. */
export function createGauge({ info, kafka, now }: { readonly info: StackInfo; readonly kafka: Kafka; readonly now: () => number }): Gauge {
  const quiet = (url: string): pg.Pool => {
    const pool = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 2_000, application_name: 'afluente-status' })
    pool.on('error', () => undefined)
    return pool
  }
  const analytics = quiet(info.analytics.url)
  const source = quiet(info.source.url)
  let admin: Admin | undefined
  let last: { consumed: number; at: number } | undefined

  const endOffsets = async (topics: readonly string[]): Promise<Map<string, number>> => {
    if (admin === undefined) {
      admin = kafka.admin()
      await admin.connect()
    }
    const ends = new Map<string, number>()
    try {
      for (const topic of topics) for (const { partition, high } of await admin.fetchTopicOffsets(topic)) ends.set(`${topic}/${partition}`, Number(high))
    } catch (error) {
      await admin.disconnect().catch(() => undefined)
      admin = undefined
      throw error
    }
    return ends
  }

  return {
    async read() {
      const { rows } = await analytics.query<{ topic: string; partition: number; consumer: string; next: string; consumed: string }>(progressSql)
      const latency = await analytics.query<{ p: [number, number] | null }>(latencySql)
      const letters = await analytics.query<{ n: string }>("select count(*) as n from ops.dead_letter where state = 'open'")
      const outbox = await source.query<{ n: string }>('select count(*) as n from (select from afluente.outbox limit 10001) capped')
      const ends = await endOffsets([...new Set(rows.map((row) => row.topic))])
      const behind = new Map<string, number>()
      for (const row of rows) {
        const end = ends.get(`${row.topic}/${row.partition}`) ?? 0
        behind.set(row.consumer, (behind.get(row.consumer) ?? 0) + Math.max(0, end - Number(row.next)))
      }
      const consumed = rows.filter((row) => row.consumer === 'postgres').reduce((sum, row) => sum + Number(row.consumed), 0)
      const at = now()
      const perSecond = last === undefined ? 0 : ((consumed - last.consumed) * 1000) / Math.max(1, at - last.at)
      last = { consumed, at }
      const [p50, p99] = latency.rows[0]?.p ?? []
      return {
        perSecond: Math.max(0, perSecond),
        waiting: Number(outbox.rows[0]?.n ?? 0) + Math.max(0, ...behind.values()),
        p50Ms: p50 === undefined ? undefined : p50,
        p99Ms: p99 === undefined ? undefined : p99,
        dead: Number(letters.rows[0]?.n ?? 0),
      }
    },
    async close() {
      await Promise.allSettled([analytics.end(), source.end(), admin?.disconnect()])
    },
  }
}

/** One line, of steady width where it can be. */
export function readingLine(reading: Reading): string {
  const ms = (value: number | undefined): string => (value === undefined ? '–' : `${Math.max(0, value).toFixed(value < 10 ? 1 : 0)} ms`)
  return `${reading.perSecond.toFixed(0).padStart(6)} events/s · ${reading.waiting} waiting · p50 ${ms(reading.p50Ms)} · p99 ${ms(reading.p99Ms)} · ${reading.dead} dead letters`
}
