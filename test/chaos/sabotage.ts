/** Breaks the sinks by hand, behind the pipeline's back, in ways that the audit must find. */
import { indexNames } from './index-documents.ts'
import type { Finding } from './judge/finding.ts'
import type { World } from './world.ts'

export interface Sabotage {
  readonly name: string
  /** What a finding must be and say. */
  readonly expected: { readonly promise: Finding['promise']; readonly kind: Finding['kind']; readonly says: RegExp }
  readonly run: (world: World) => Promise<void>
}

/** No trigger sees it: what the audit finds, it finds in what is there. */
async function unseen(world: World, text: string): Promise<void> {
  const client = await world.analytics.connect()
  try {
    await client.query('begin')
    await client.query('set local session_replication_role = replica')
    const { rowCount } = await client.query(text)
    if (rowCount !== 1) throw new Error(`a sabotage met ${rowCount} rows: ${text}`)
    await client.query('commit')
  } finally {
    client.release()
  }
}

/** The nth living row, always another one for each sabotage. */
const victim = (table: 'leads' | 'chat_sessions', nth: number): string =>
  `(select id from silver.${table} where _deleted_at is null order by id limit 1 offset ${nth})`

async function onDocument(
  world: World,
  nth: number,
  change: (document: { readonly _id: string; readonly _version: number; readonly _source: object }) => object,
): Promise<void> {
  const url = `${world.info.elasticsearch.url}/${indexNames.leads}`
  const ask = async (path: string, init: RequestInit = {}): Promise<unknown> => {
    const response = await fetch(`${url}${path}`, { ...init, headers: { 'content-type': 'application/json' } })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return response.json()
  }
  const query = { version: true, size: 1, from: nth, sort: [{ 'afluente.key': 'asc' }], query: { term: { 'afluente.deleted': false } } }
  const found = (await ask('/_search', { method: 'POST', body: JSON.stringify(query) })) as {
    hits: { hits: readonly { _id: string; _version: number; _source: object }[] }
  }
  const [document] = found.hits.hits
  if (document === undefined) throw new Error('there is no document to sabotage')
  const { path, ...init } = change(document) as { path: string } & RequestInit
  await ask(path, init)
}

const external = (id: string, version: number): string => `/_doc/${encodeURIComponent(id)}?version=${version}&version_type=external_gte&refresh=true`

export const sabotages: readonly Sabotage[] = [
  {
    name: 'a row of silver deleted',
    expected: { promise: 'I9', kind: 'lost', says: /^silver\.leads .* is missing/ },
    run: (world) => unseen(world, `delete from silver.leads where id = ${victim('leads', 0)}`),
  },
  {
    name: 'a row of silver set back to an older version',
    expected: { promise: 'I3', kind: 'stale', says: /^silver\.leads .* the latest is/ },
    run: (world) => unseen(world, `update silver.leads set _version = _version - 1 where id = ${victim('leads', 1)}`),
  },
  {
    name: 'a column of silver changed under the same version',
    expected: { promise: 'I9', kind: 'stale', says: /^silver\.chat_sessions .* differs from the source in message_count$/ },
    run: (world) => unseen(world, `update silver.chat_sessions set message_count = coalesce(message_count, 0) + 1 where id = ${victim('chat_sessions', 0)}`),
  },
  {
    name: 'a deleted row of silver brought back',
    expected: { promise: 'I9', kind: 'stale', says: /^silver\.leads .* is alive, and gone in the source/ },
    run: (world) =>
      unseen(world, 'update silver.leads set _deleted_at = null where id = (select id from silver.leads where _deleted_at is not null order by id limit 1)'),
  },
  {
    name: 'a row of silver written again, as by a second application',
    expected: { promise: 'I3', kind: 'stale', says: /^silver\.leads .* went from version (\d+) to \1$/ },
    run: async (world) => void (await world.analytics.query(`update silver.leads set _synced_at = now() where id = ${victim('leads', 2)}`)),
  },
  {
    name: 'an event of bronze written by who does not hold its partition',
    expected: { promise: 'I8', kind: 'broken', says: /^bronze: .* was written beside the fence$/ },
    // Deletes are never refused, so none is kept for a letter.
    run: (world) =>
      unseen(
        world,
        `update bronze.events set received_at = received_at where event_id =
          (select event_id from bronze.events where op = 'delete' and source_table = 'public.leads' order by version limit 1)`,
      ),
  },
  {
    name: 'an event of bronze deleted',
    expected: { promise: 'I1', kind: 'lost', says: /is in bronze 0 times of 1$/ },
    run: (world) =>
      unseen(
        world,
        `delete from bronze.events where event_id = (select event_id from bronze.events where op = 'update' and source_table = 'public.leads' order by version limit 1)`,
      ),
  },
  {
    name: 'an event of bronze doubled under another id',
    expected: { promise: 'I2', kind: 'doubled', says: /is in bronze 2 times instead of 1$/ },
    run: (world) =>
      unseen(
        world,
        `insert into bronze.events (event_id, source, source_table, key, version, op, after, kafka_topic, kafka_partition, kafka_offset)
         select event_id || '-again', source, source_table, key, version + 1, op, after, kafka_topic, kafka_partition, kafka_offset
         from bronze.events where op = 'update' and source_table = 'public.leads' order by version desc limit 1`,
      ),
  },
  {
    name: 'a row that was sent again with what it had been before',
    expected: { promise: 'I4', kind: 'stale', says: /was read as change/ },
    run: (world) =>
      unseen(
        world,
        `insert into bronze.events (event_id, source, source_table, key, version, op, after, kafka_topic, kafka_partition, kafka_offset)
         select e.event_id || '-read', e.source, e.source_table, e.key, (select max(n.version) + 1 from bronze.events n where (n.source_table, n.key) = (e.source_table, e.key)),
           'read', e.after, e.kafka_topic, e.kafka_partition, e.kafka_offset
         from bronze.events e where e.op = 'update' and e.source_table = 'public.leads' order by e.version limit 1 offset 1`,
      ),
  },
  {
    name: 'two events of a row with their versions changed round',
    expected: { promise: 'I4', kind: 'broken', says: /committed as .* but by version/ },
    run: async (world) => {
      const { rows } = await world.analytics.query<{ a: string; b: string; va: string; vb: string }>(
        `select a.event_id as a, b.event_id as b, a.version as va, b.version as vb from bronze.events a join bronze.events b using (source_table, key)
         where a.op = 'update' and b.op = 'update' and a.version < b.version and source_table = 'public.leads' order by a.version desc limit 1 offset 3`,
      )
      const [pair] = rows
      if (pair === undefined) throw new Error('there are no two updates of a row')
      await unseen(world, `update bronze.events set version = ${pair.vb} where event_id = '${pair.a}'`)
      await unseen(world, `update bronze.events set version = ${pair.va} where event_id = '${pair.b}'`)
    },
  },
  {
    name: 'a document deleted',
    expected: { promise: 'I9', kind: 'lost', says: /^the document of leads .* is missing/ },
    run: (world) => onDocument(world, 3, ({ _id }) => ({ path: `/_doc/${encodeURIComponent(_id)}?refresh=true`, method: 'DELETE' })),
  },
  {
    name: 'a document doubled under another id',
    expected: { promise: 'I2', kind: 'doubled', says: /has a further document, copy$/ },
    run: (world) => onDocument(world, 4, ({ _source, _version }) => ({ path: external('copy', _version), method: 'PUT', body: JSON.stringify(_source) })),
  },
  {
    name: 'a document with older content under its version',
    expected: { promise: 'I9', kind: 'stale', says: /^the document of leads .* differs from the source in name$/ },
    run: (world) =>
      onDocument(world, 7, ({ _id, _source, _version }) => ({
        path: external(_id, _version),
        method: 'PUT',
        body: JSON.stringify({ ..._source, name: 'as it was' }),
      })),
  },
  {
    name: 'an offset set back',
    expected: { promise: 'I7', kind: 'stale', says: /settled up to \d+, then/ },
    run: async (world) =>
      void (await world.analytics.query(
        `update ops.consumer_progress set next_offset = next_offset - 1 where (consumer, topic, "partition") =
          (select consumer, topic, "partition" from ops.consumer_progress where next_offset > 0 order by 1, 2, 3 limit 1)`,
      )),
  },
  {
    name: 'an event counted as accepted twice',
    expected: { promise: 'I6', kind: 'broken', says: /^postgres, .* accepted and \d+ late of \d+ events$/ },
    run: (world) =>
      unseen(
        world,
        `update ops.consumer_progress set accepted = accepted + 1, consumed = consumed + 1 where (consumer, topic, "partition") =
          (select consumer, topic, "partition" from ops.consumer_progress where consumer = 'postgres' and consumed > 0 order by 1, 2, 3 limit 1)`,
      ),
  },
  {
    name: 'a write under an epoch that is over',
    expected: { promise: 'I8', kind: 'broken', says: /^elasticsearch, .* written under epoch .* while \d+ was in force$/ },
    run: async (world) =>
      void (await world.analytics.query(
        `update ops.consumer_progress set updated_at = now() where (consumer, topic, "partition") =
          (select consumer, topic, "partition" from ops.consumer_progress where consumer = 'elasticsearch' order by 1, 2 desc, 3 desc limit 1)`,
      )),
  },
]
