/** How a test reaches the stack that runs for it: clients for each part, and the supervisor's control. */
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { expect, inject } from 'vitest'
import type { StackInfo } from '../../infra/local/stack-info.ts'
import { eventually } from './poll.ts'

export type PartName = 'postgres' | 'kafka' | 'elasticsearch' | 'supabase' | 'edge' | 'worker'

export interface StackAccess {
  readonly info: StackInfo
  /** The folder with its data and logs. */
  readonly home: string
  readonly source: pg.Pool
  readonly analytics: pg.Pool
  readonly kafka: Kafka
  /** The documents of an index or alias that match, refreshed first. */
  search(index: string, query?: object): Promise<readonly Record<string, unknown>[]>
  /** Stops, starts, kills (SIGKILL) or restarts one part. */
  part(name: PartName, action: 'stop' | 'start' | 'kill' | 'restart'): Promise<void>
  /** Fires the Worker's `scheduled` once, as the minute's cron does. */
  cron(): Promise<void>
  /** Calls capture as the doorbell does. */
  ring(body?: string): Promise<Response>
  /** Loses or doubles doorbells: the stand-in for pg_net obeys. */
  doorbell(action: 'pause' | 'resume'): Promise<void>
  api(path: string, init?: RequestInit): Promise<Response>
  /** True once capture has let go of its shard and the outbox is empty. */
  quiet(): Promise<void>
  /** Resolves once both consumers have dealt with everything that is in the topic now: nothing that is under way can change a sink any more. */
  readToEnd(topic: string): Promise<void>
  close(): Promise<void>
}

export function openStack(): StackAccess {
  const info = inject('stack')
  const source = new pg.Pool({ connectionString: info.source.url, max: 12 })
  const analytics = new pg.Pool({ connectionString: info.analytics.url, max: 4 })
  // A part that a test stops takes its idle connections with it; the pools open new ones.
  for (const pool of [source, analytics]) pool.on('error', () => {})
  const bearer = (token: string) => ({ authorization: `Bearer ${token}`, 'content-type': 'application/json' })
  const post = async (url: string, token: string, body = '{}') => {
    const response = await fetch(url, { method: 'POST', headers: bearer(token), body })
    if (!response.ok) throw new Error(`POST ${new URL(url).pathname}: ${response.status} ${await response.text()}`)
  }
  const kafka = new Kafka({ clientId: 'afluente-test', brokers: [...info.kafka.brokers], logLevel: logLevel.NOTHING })
  return {
    info,
    home: inject('home'),
    source,
    analytics,
    kafka,
    search: async (index, query = { match_all: {} }) => {
      await fetch(`${info.elasticsearch.url}/${index}/_refresh`, { method: 'POST' })
      const response = await fetch(`${info.elasticsearch.url}/${index}/_search`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ size: 10_000, query }),
      })
      if (!response.ok) throw new Error(`search of ${index}: ${response.status}`)
      const { hits } = (await response.json()) as { hits: { hits: { _source: Record<string, unknown> }[] } }
      return hits.hits.map((hit) => hit._source)
    },
    part: (name, action) => post(`${info.control.url}/parts/${name}/${action}`, info.control.token),
    cron: () => post(`${info.control.url}/cron`, info.control.token),
    ring: (body = '{}') => fetch(`${info.supabase.url}/functions/v1/capture`, { method: 'POST', headers: bearer(info.webhookSecret), body }),
    doorbell: (action) => post(`${info.supabase.url}/_net/${action}`, info.supabase.serviceRoleKey),
    api: (path, init = {}) => fetch(`${info.worker.url}${path}`, { ...init, headers: bearer(info.worker.token) }),
    quiet: async () => {
      await eventually('capture has let go and the outbox is empty', async () => {
        const { rows } = await source.query<{ quiet: boolean }>(
          `select not exists (select from afluente.outbox) and not exists (select from afluente.shards where leased_until > clock_timestamp()) as quiet`,
        )
        return rows[0]?.quiet === true
      })
    },
    readToEnd: async (topic) => {
      const admin = kafka.admin()
      await admin.connect()
      const ends = await admin.fetchTopicOffsets(topic).finally(() => admin.disconnect())
      const behind = ends.filter(({ high }) => high !== '0').map(({ high, partition }) => ({ partition, high }))
      await eventually(`both consumers have read ${topic} to its end`, async () => {
        const { rows } = await analytics.query<{ n: number }>(
          `select count(*)::int as n from ops.consumer_progress p, json_to_recordset($2) as e("partition" int, high bigint)
           where p.topic = $1 and p."partition" = e."partition" and p.next_offset >= e.high`,
          [topic, JSON.stringify(behind)],
        )
        expect(rows[0]?.n).toBe(2 * behind.length)
        return true
      })
    },
    close: async () => {
      await Promise.all([source.end(), analytics.end()])
    },
  }
}
