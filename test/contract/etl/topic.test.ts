/** What a job changes stands on its topic: at least once, in the order of each key, and never what did not change or was not committed. */
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { kafkaClient } from '../../../shared/adapters/kafka/connection.ts'
import { kafkaPublisher } from '../../../shared/adapters/kafka/publisher.ts'
import { memoryPublisher } from '../../../shared/adapters/memory/publisher.ts'
import { memoryTopics } from '../../../shared/adapters/memory/topics.ts'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import { createEtlStep } from '../../../shared/engine/etl-run.ts'
import { decode, type Event, type LogRecord } from '../../../shared/events/envelope.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'
import { kafkaServer } from '../publisher/kafka-server.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { itemsJob, openWorld, silent, type World } from './world.ts'

const postgres = realPostgres()
const kafka = kafkaServer()
const { signal } = new AbortController()
const TOPIC = 'afluente.etl.items'
const MAX_BYTES = 1_048_576
const FILL = `insert into items (id, name, n) select i, 'name ' || i, i from generate_series(1, 35) as i`

interface Published extends World {
  readonly publisher: Publisher
  readonly topics: (publisher?: Publisher) => ReturnType<World['deps']>['topics']
  /** Loads to the end with what is published kept in memory. */
  readonly load: (over?: Parameters<World['start']>[0]) => ReturnType<World['run']>
  readonly events: () => readonly Event[]
  readonly waiting: () => Promise<number>
}

async function published(over: Parameters<typeof openWorld>[1] = {}): Promise<Published> {
  const world = await openWorld(postgres, { job: { ...itemsJob, topic: TOPIC }, ...over })
  await world.source.query(FILL)
  const kept = memoryTopics({ clock: systemClock(), maxMessageBytes: MAX_BYTES })
  const publisher = memoryPublisher({ topics: kept })
  const topics: Published['topics'] = (to = publisher) => ({ publisher: to, ref: 'project', maxMessageBytes: MAX_BYTES })
  return {
    ...world,
    publisher,
    topics,
    load: async (of) => world.finish(await world.start(of), { topics: topics() }),
    events: () => kept.all(TOPIC).map(eventOf),
    waiting: async () => (await world.silver.query<{ n: number }>('select count(*)::int as n from ops.etl_outbox')).rows[0]?.n ?? -1,
  }
}

function eventOf(record: LogRecord): Event {
  const decoded = decode(record)
  if (!decoded.ok) throw new Error(`no event: ${decoded.why.message}`)
  return decoded.event
}

const brief = ({ after, before, key, op }: Event) => `${op} ${key} ${op === 'delete' ? before : JSON.parse(after ?? '{}').name}`
const expire = ({ silver }: World) => silver.query(`update ops.etl_job set leased_until = clock_timestamp() - interval '1 second'`)
const ascending = (versions: readonly number[]) => versions.every((version, at) => at === 0 || version > (versions[at - 1] ?? 0))

describe('a job with a topic publishes', () => {
  test('inserts, updates and deletes as a source table does, each once, and nothing that is unchanged', async () => {
    const world = await published()
    const { events, load, reconcile, silver, source, waiting } = world
    // However its sessions print.
    await silver.query(`do $$ begin execute format('alter database %I set timezone = ''America/Sao_Paulo''', current_database());
      execute format('alter database %I set datestyle = ''SQL, DMY''', current_database()); end $$`)
    await source.query(
      `update items set price = 12345678901234567890.10, seen_at = '2026-01-02 03:04:05.123456', updated_at = '2026-01-03 00:00:00' where id = 7`,
    )
    expect(await load()).toMatchObject({ status: 'success', inserted: 35 })
    const first = events()
    expect(first.map(({ key }) => key).toSorted()).toEqual(Array.from({ length: 35 }, (_, at) => `[${at + 1}]`).toSorted())
    const seventh = first.find(({ key }) => key === '[7]')
    expect(seventh).toMatchObject({ op: 'insert', table: 'silver.items_copy', source: '/supabase/project/silver/items_copy', before: null })
    expect(seventh?.after).toBe(
      '{"id":7,"name":"name 7","n":7,"price":12345678901234567890.10,"seen_at":"2026-01-02T03:04:05.123456+00:00","updated_at":"2026-01-03T00:00:00+00:00"}',
    )
    expect(Number(seventh?.version)).toBeGreaterThan(Date.parse('2026-01-01') * 1_000)
    expect(await load()).toMatchObject({ status: 'success', updated: 0, inserted: 0 })
    await load({ loadType: 'full' })
    expect(await load({ loadType: 'full', dryRun: true })).toMatchObject({ unchanged: 35 })
    expect(events()).toHaveLength(35)
    await source.query(`update items set name = 'new', updated_at = clock_timestamp() at time zone 'UTC' where id = 3; delete from items where id = 4`)
    await load({ loadType: 'full', dryRun: true })
    expect(events()).toHaveLength(35)
    await load({ loadType: 'full' })
    expect(
      events()
        .filter(({ id }) => !first.some((one) => one.id === id))
        .map(brief)
        .toSorted(),
    ).toEqual(['delete [4] {"id":4}', 'update [3] new'])
    await source.query(`insert into items (id, name) values (4, 'again'); update items set name = 'past the cursor' where id = 5`)
    await load()
    await world.finish(await world.start({ loadType: 'reconcile' }), { topics: world.topics() })
    await reconcile()
    for (const [key, ops] of [
      ['[4]', ['insert [4] name 4', 'delete [4] {"id":4}', 'insert [4] again']],
      ['[5]', ['insert [5] name 5', 'update [5] past the cursor']],
    ] as const) {
      const ofKey = events().filter((event) => event.key === key)
      expect(ofKey.map(brief)).toEqual(ops)
      expect(ascending(ofKey.map(({ version }) => version))).toBe(true)
    }
    expect(await waiting()).toBe(0)
  })

  test('removed rows as deletes', async () => {
    const { events, load, source } = await published({ job: { ...itemsJob, topic: TOPIC, deletes: 'remove' } })
    await load()
    await source.query('delete from items where id in (1, 35)')
    await load({ loadType: 'full' })
    expect(
      events()
        .filter(({ op }) => op === 'delete')
        .map(brief)
        .toSorted(),
    ).toEqual(['delete [1] {"id":1}', 'delete [35] {"id":35}'])
  })

  test('to a real Kafka, what its consumers can read', async () => {
    const world = await published()
    await kafka.makeTopic(TOPIC, MAX_BYTES)
    const publisher = kafkaPublisher({ kafka: kafkaClient(kafka.settings(), { clientId: 'etl', log: silent }) })
    expect(await world.finish(await world.start(), { topics: world.topics(publisher) })).toMatchObject({ status: 'success', inserted: 35 })
    await world.source.query(`update items set name = 'new', updated_at = clock_timestamp() at time zone 'UTC' where id <= 5`)
    expect(await world.finish(await world.start(), { topics: world.topics(publisher) })).toMatchObject({ updated: 5 })
    await publisher.close()
    const events = (await kafka.read(TOPIC, 40)).map(eventOf)
    expect(events.map(brief)).toHaveLength(40)
    for (const key of ['[1]', '[5]'])
      expect(events.filter((event) => event.key === key).map(brief)).toEqual([`insert ${key} name ${key.slice(1, -1)}`, `update ${key} new`])
  })
})

describe('a process that dies', () => {
  test("between a page's commit and its publishing: the next step publishes it, before anything newer of its keys", async () => {
    const world = await published()
    const { copy, deps, events, publisher, silver, source, start, topics, truth, waiting } = world
    const run = await start()
    let asked = 0
    const dying: Publisher = {
      ...publisher,
      publish: async (...args) => {
        asked += 1
        // The process has gone: nothing is sent, nothing answers, nothing is let go.
        return asked === 2 ? new Promise<never>(() => undefined) : publisher.publish(...args)
      },
    }
    void createEtlStep(deps({ topics: topics(dying) }))({ run: run.id, owner: 'dead', budgetMs: 60_000, signal })
    await expect.poll(() => asked, { timeout: 20_000 }).toBe(2)
    expect(events()).toHaveLength(10)
    expect(await waiting()).toBe(10)
    expect((await silver.query('select count(*)::int as n from silver.items_copy')).rows).toEqual([{ n: 20 }])
    await source.query(`update items set name = 'newer', updated_at = clock_timestamp() at time zone 'UTC' where id = 15`)
    await expire(world)
    expect(await world.finish(run, { topics: topics() })).toMatchObject({ status: 'success', attempt: 2 })
    await world.load()
    expect(await copy()).toEqual(await truth())
    expect(new Set(events().map(({ key }) => key)).size).toBe(35)
    const fifteenth = events().filter(({ key }) => key === '[15]')
    expect(fifteenth.map(brief)).toEqual(['insert [15] name 15', 'update [15] newer'])
    expect(ascending(fifteenth.map(({ version }) => version))).toBe(true)
    expect(await waiting()).toBe(0)
  })

  test('between publishing and forgetting: the same events again, under the same ids', async () => {
    const world = await published()
    const { deps, events, start, topics } = world
    const run = await start()
    const { store } = deps()
    let acknowledged = 0
    const dying = { ...store, published: () => ((acknowledged += 1), new Promise<never>(() => undefined)) }
    void createEtlStep(deps({ store: dying, topics: topics() }))({ run: run.id, owner: 'dead', budgetMs: 60_000, signal })
    await expect.poll(() => acknowledged, { timeout: 20_000 }).toBe(1)
    await expire(world)
    await world.finish(run, { topics: topics() })
    expect(events()).toHaveLength(45)
    expect(new Set(events().map(({ id }) => id)).size).toBe(35)
  })

  test('with a job whose topic was taken out of the definition meanwhile: what waited is published all the same', async () => {
    const world = await published()
    const { events, publisher, topics } = world
    const away: Publisher = { ...publisher, publish: () => Promise.reject(new AfluenteError('misconfigured', 'SASL', 'Kafka refuses.')) }
    expect(await world.finish(await world.start(), { topics: topics(away) })).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('Kafka refuses'),
    })
    expect(await world.waiting()).toBe(10)
    await world.finish(await world.start({ loadType: 'full' }), { jobs: { items: itemsJob }, topics: topics() })
    expect(events()).toHaveLength(10)
    expect(await world.waiting()).toBe(0)
  })
})

describe('while', () => {
  test('Kafka is away, one page waits and none is written; when it is back nothing is missing', async () => {
    const world = await published()
    const { deps, events, publisher, silver, start, topics } = world
    const run = await start()
    const away: Publisher = { ...publisher, publish: () => Promise.reject(new AfluenteError('unavailable', 'ECONNREFUSED', 'Kafka does not answer.')) }
    const step = createEtlStep(deps({ topics: topics(away), clock: { ...systemClock(), sleep: async () => undefined } }))
    for (const attempt of [2, 3])
      expect(await step({ run: run.id, owner: 'a', budgetMs: 60_000, signal })).toMatchObject({
        status: 'waiting',
        run: { attempt, inserted: 10, error: expect.stringContaining('Kafka does not answer') },
      })
    expect(
      (await silver.query('select (select count(*)::int from silver.items_copy) as rows, (select count(*)::int from ops.etl_outbox) as waiting')).rows,
    ).toEqual([{ rows: 10, waiting: 10 }])
    expect(await world.finish(run, { topics: topics() })).toMatchObject({ status: 'success', inserted: 35 })
    expect(events()).toHaveLength(35)
  })

  test('a page is rolled back, nothing of it is published, then or later', async () => {
    const { events, load, silver, waiting } = await published()
    await silver.query('alter table silver.items_copy add constraint never check (id <> 15)')
    expect(await load()).toMatchObject({ status: 'failed', inserted: 10 })
    expect(await waiting()).toBe(0)
    await load()
    expect(events().every(({ key }) => Number(key.slice(1, -1)) <= 10)).toBe(true)
    expect(events()).toHaveLength(10)
  })

  test('the clock steps back, or the versions were set back by a restore, versions of a key go on', async () => {
    const world = await published()
    const { events, load, silver, source } = world
    const change = async (name: string) => {
      await source.query(`update items set name = '${name}', updated_at = clock_timestamp() at time zone 'UTC' where id = 1`)
      await load()
    }
    await load()
    await silver.query('update ops.etl_version set version = 1')
    await change('restored')
    const { rows: ahead } = await silver.query<{ version: string }>('update ops.etl_version set version = version + 1000000000000 returning version::text')
    await change('ahead of the clock')
    await change('still')
    const first = events().filter(({ key }) => key === '[1]')
    expect(first.map(brief)).toEqual(['insert [1] name 1', 'update [1] restored', 'update [1] ahead of the clock', 'update [1] still'])
    expect(ascending(first.map(({ version }) => version))).toBe(true)
    expect(first[2]?.version).toBeGreaterThan(Number(ahead[0]?.version))
  })
})
