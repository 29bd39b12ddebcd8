/** Everything the audit judges by, read from the databases, the index and the topics once all is at rest. */
import { leads } from '../../shared/tables/leads.ts'
import { chatSessions } from '../../shared/tables/chat_sessions.ts'
import type { ClaimReader } from './claims.ts'
import { type Flow, topics } from './flow.ts'
import { type Document, documentsOf } from './index-documents.ts'
import type { Refusal } from './letters.ts'
import type { World } from './world.ts'
import { type Note, tokenColumns, type Written } from './writers.ts'

export const tables = ['leads', 'chat_sessions'] as const
export type TableName = (typeof tables)[number]

/** A change that was committed, in the order of its row's changes. */
export type Recorded = Note

/** A row as text, the way `row_to_json` prints it. */
export interface SourceRow {
  readonly table: TableName
  readonly id: string
  readonly text: string
}

export interface SilverRow extends SourceRow {
  readonly version: number
  readonly deleted: boolean
}

export interface BronzeEvent {
  readonly eventId: string
  readonly table: TableName
  readonly id: string
  readonly version: number
  readonly alive: boolean
  /** A row as it stood, sent again by a backfill. */
  readonly read: boolean
  readonly token: string | null
  readonly image: string | null
  readonly topic: string
  readonly partition: number
  readonly receivedAtMs: number
  /** Of the transaction that wrote it. */
  readonly xid: string
  /** Of its key, as a refusal reckons it. */
  readonly quarter: number
}

export interface TopicRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly key: string
  readonly eventId: string
  readonly version: number
}

/** A row of silver was written: what the trigger saw. */
export interface Applied {
  readonly xid: string
  readonly table: TableName
  readonly id: string
  readonly op: string
  readonly eventId: string | null
  readonly version: number
  readonly oldVersion: number | null
}

/** A row of ops.consumer_progress was written: what the trigger saw. */
export interface Progressed {
  readonly xid: string
  readonly atMs: number
  readonly connection: number | null
  readonly op: string
  readonly consumer: string
  readonly topic: string
  readonly partition: number
  readonly epoch: number
  readonly oldEpoch: number | null
  readonly nextOffset: number
  readonly oldNextOffset: number | null
}

export interface Counters {
  readonly consumer: string
  readonly topic: string
  readonly partition: number
  readonly nextOffset: number
  readonly consumed: number
  readonly accepted: number
  readonly duplicate: number
  readonly late: number
  readonly dead: number
}

export interface Letter {
  readonly consumer: string
  readonly topic: string
  readonly eventId: string
  readonly message: string
  readonly state: string
  readonly attempts: number
}

export interface Evidence {
  readonly written: Pick<Written, 'committed' | 'aborted'>
  readonly recorded: readonly Recorded[]
  readonly source: readonly SourceRow[]
  readonly bronze: readonly BronzeEvent[]
  readonly bronzeChanged: readonly { readonly op: string; readonly eventId: string }[]
  readonly silver: readonly SilverRow[]
  readonly documents: Readonly<Record<TableName, readonly Document[]>>
  readonly records: readonly TopicRecord[]
  readonly applied: readonly Applied[]
  readonly progressed: readonly Progressed[]
  readonly counters: readonly Counters[]
  readonly claims: ClaimReader['statements']
  readonly letters: readonly Letter[]
  readonly refusals: readonly Refusal[]
  readonly wentBack: readonly string[]
  readonly flow: Flow
}

const definitions = { leads, chat_sessions: chatSessions } as const

export async function gather(world: World, given: Pick<Evidence, 'written' | 'wentBack' | 'flow' | 'refusals'>): Promise<Evidence> {
  const { source, analytics } = world
  const rowsOf = async <T extends object>(pool: World['source'], text: string): Promise<readonly T[]> => (await pool.query<T>(text)).rows
  const perTable = async <T>(read: (table: TableName) => Promise<readonly T[]>): Promise<readonly T[]> => (await Promise.all(tables.map(read))).flat()
  return {
    ...given,
    claims: world.claims,
    recorded: await rowsOf(source, 'select token, table_name as "table", id::text as id, alive from chaos.record order by n'),
    source: await perTable((table) => rowsOf(source, `select '${table}' as "table", id::text as id, row_to_json(r)::text as text from public.${table} r`)),
    bronze: await perTable((table) =>
      rowsOf(
        analytics,
        `select event_id as "eventId", '${table}' as "table", key::json ->> 0 as id, version::float8 as version, op <> 'delete' as alive, op = 'read' as read, after ->> '${tokenColumns[table]}' as token,
          after::text as image, kafka_topic as topic, kafka_partition as partition, extract(epoch from received_at)::float8 * 1000 as "receivedAtMs", xmin::text as xid,
          (abs(hashtext(key::json ->> 0)::bigint) % 4)::int as quarter
         from bronze.events where source_table = 'public.${table}' order by version, event_id`,
      ),
    ),
    bronzeChanged: await rowsOf(analytics, 'select op, event_id as "eventId" from chaos.bronze_changed order by n'),
    silver: await perTable((table) =>
      rowsOf(
        analytics,
        `select '${table}' as "table", s.id::text as id, row_to_json(r)::text as text, s._version::float8 as version, s._deleted_at is not null as deleted
         from silver.${table} s, lateral (select ${Object.keys(definitions[table].columns)
           .map((name) => `s."${name}"`)
           .join(', ')}) r`,
      ),
    ),
    documents: { leads: await documentsOf(world, 'leads'), chat_sessions: await documentsOf(world, 'chat_sessions') },
    records: await recordsOf(world, given.flow),
    applied: await rowsOf(
      analytics,
      `select xid::text as xid, table_name as "table", id::text as id, op, event_id as "eventId", version::float8 as version, old_version::float8 as "oldVersion" from chaos.applied order by n`,
    ),
    progressed: await rowsOf(
      analytics,
      `select xid::text as xid, extract(epoch from at)::float8 * 1000 as "atMs", connection, op, consumer, topic, "partition", epoch::float8 as epoch, old_epoch::float8 as "oldEpoch",
        next_offset::float8 as "nextOffset", old_next_offset::float8 as "oldNextOffset" from chaos.progress order by n`,
    ),
    counters: await rowsOf(
      analytics,
      `select consumer, topic, "partition", next_offset::float8 as "nextOffset", consumed::float8 as consumed, accepted::float8 as accepted, duplicate::float8 as duplicate,
        late::float8 as late, dead::float8 as dead from ops.consumer_progress`,
    ),
    letters: await rowsOf(analytics, 'select consumer, topic, event_id as "eventId", message, state, attempts from ops.dead_letter order by id'),
  }
}

/** Every record there is, read with a group of the audit's own. */
async function recordsOf({ kafka }: World, { ends }: Flow): Promise<readonly TopicRecord[]> {
  const records: TopicRecord[] = []
  const missing = new Map(ends.filter(({ offset }) => offset > 0n).map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]))
  if (missing.size === 0) return records
  const consumer = kafka.consumer({ groupId: `chaos-audit-${crypto.randomUUID()}`, sessionTimeout: 10_000 })
  const { promise: all, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error('the topics could not be read to their ends within a minute')), 60_000)
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [...topics], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch: { topic, partition, messages } }) => {
        for (const { offset, key, headers } of messages) {
          records.push({
            topic,
            partition,
            offset: BigInt(offset),
            key: String(key),
            eventId: String(headers?.['ce_id']),
            version: Number(String(headers?.['ce_sequence'])),
          })
        }
        const last = BigInt(messages.at(-1)?.offset ?? -1) + 1n
        if (last >= (missing.get(`${topic}/${partition}`) ?? 0n)) missing.delete(`${topic}/${partition}`)
        if (missing.size === 0) resolve()
      },
    })
    await all
  } finally {
    clearTimeout(timer)
    await consumer.disconnect()
  }
  return records.toSorted((a, b) => Number(a.offset - b.offset))
}
