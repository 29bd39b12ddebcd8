import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import { postgresShadows } from '../../../shared/adapters/postgres/shadows.ts'
import { decode, type Event } from '../../../shared/events/envelope.ts'
import { recordOf } from '../../../shared/events/kept-event.ts'
import { leads } from '../../../shared/tables/leads.ts'
import { eventually } from '../../support/poll.ts'
import { leadEvent, nextVersion, truncateEvent } from '../sink/subject.ts'
import { NAMES, open, options, postgres, TABLE } from './postgres-world.ts'

const named = (events: readonly Event[]) => events.map(({ key, version }) => ({ key, version }))

describe('replays from bronze in Postgres', () => {
  test('give each event as it came: id, key, op, times to the microsecond, trace, place, and images byte for byte', async () => {
    const { ask, replays, write } = await open()
    const events = [
      leadEvent({ name: 'Zoë "quoted" \\ \u2028', columns: { estimated_value: 12.5, tags: ['a', 'b'] } }),
      leadEvent({ op: 'delete' }),
      leadEvent({ op: 'read', name: '1e400' }),
      truncateEvent(),
    ]
    await write(...events)
    const job = await ask()
    if (job === null) throw new Error('there is no job')
    const page = await replays.page(job, 10, options)
    const again = page.events.map((event) => decode(recordOf(event)))
    const plain = (event: Event) => ({ ...event, record: null, occurredAt: event.occurredAt.replace('+00:00', 'Z') })
    expect(again.map((one) => (one.ok ? plain(one.event) : one))).toEqual(events.map(plain))
    expect(page.events.map(({ topic, partition, offset }) => ({ topic, partition, offset }))).toEqual(
      events.map(({ record: { topic, partition, offset } }) => ({ topic, partition, offset })),
    )
  })

  test('bring no row back whose delete bronze knows, in the range or not, though its tombstone is purged', async () => {
    const { ask, client, pass, replays, rows, write } = await open()
    const [gone, back] = [leadEvent(), leadEvent()]
    const idOf = ({ key }: Event) => JSON.parse(key)[0] as string
    await write(gone, back)
    const asked = await ask()
    await write(leadEvent({ id: idOf(gone), op: 'delete' }), leadEvent({ id: idOf(back), op: 'delete' }), leadEvent({ id: idOf(back), name: 'again' }))
    await client.query('delete from silver.leads where _deleted_at is not null')
    await pass()
    expect(asked).toMatchObject({ total: 2 })
    expect(await replays.find('1', options)).toMatchObject({ state: 'done', done: 2, accepted: 0, late: 2 })
    expect(await rows()).toEqual([expect.objectContaining({ id: idOf(back), name: 'again' })])
    await client.query('delete from silver.leads')
    await ask()
    await pass()
    expect(await replays.find('2', options)).toMatchObject({ state: 'done', done: 5, accepted: 3, late: 2 })
    expect((await rows()).map(({ name }) => name)).toEqual([null, 'again'])
  })

  test('bring rows that were lost back into silver, and change none that is there', async () => {
    const { ask, client, pass, replays, rows, write } = await open()
    const [kept, lost] = [leadEvent(), leadEvent()]
    await write(kept, lost, leadEvent({ id: JSON.parse(kept.key)[0] as string, name: 'newer' }))
    const before = await rows()
    await client.query('delete from silver.leads where _version = $1', [lost.version])
    await ask()
    await pass()
    expect(await rows()).toEqual(before)
    expect(await replays.find('1', options)).toMatchObject({ state: 'done', total: 3, done: 3, accepted: 1, duplicate: 1, late: 1, failed: 0 })
    expect((await client.query(`select actor, action, subject from ops.audit`)).rows).toEqual([{ actor: 'operator', action: 'replay.start', subject: 'test' }])
  })

  test('settle a page once, whoever sends it twice, and nothing under an old epoch', async () => {
    const { ask, replays, take, write } = await open()
    await write(leadEvent(), leadEvent())
    const job = await ask()
    if (job === null) throw new Error('there is no job')
    const page = await replays.page(job, 1, options)
    const place = { consumer: 'test', topic: 'afluente.public.leads.shadow', partition: 0 }
    const fence = { ...place, epoch: await take() }
    const report = { accepted: 1, duplicate: 0, late: 0 }
    const settlement = { job: job.id, fence, position: page.position, report, failures: [], countsDead: false }
    await replays.settle(settlement, options)
    await replays.settle(settlement, options)
    expect(await replays.find(job.id, options)).toMatchObject({ done: 1, accepted: 1 })
    await take()
    await expect(replays.settle({ ...settlement, position: `${page.position}x` }, options)).rejects.toMatchObject({ kind: 'fenced' })
    expect(await replays.find(job.id, options)).toMatchObject({ done: 1, accepted: 1 })
    expect((await replays.page(job, 10, options)).events).toHaveLength(1)
  })

  test('bury an event that silver refuses at the place of its record, whatever the fence is', async () => {
    const { ask, client, pass, write } = await open()
    const bad = leadEvent({ name: 'poison' })
    await write(bad, leadEvent())
    await client.query(`delete from silver.leads; alter table silver.leads add constraint no_poison check (name <> 'poison')`)
    await ask()
    await pass()
    const { rows } = await client.query(`select consumer, topic, "partition", "offset"::text, event_id from ops.dead_letter`)
    const { offset, partition, topic } = bad.record
    expect(rows).toEqual([{ consumer: 'test', topic, partition, offset, event_id: bad.id }])
    const { rows: counts } = await client.query(`select consumed::int, accepted::int, dead::int from ops.consumer_progress where topic like '%.replay'`)
    expect(counts).toEqual([{ consumed: 2, accepted: 1, dead: 1 }])
  })
})

describe('a shadow of a table', () => {
  const made = async () => {
    const world = await open()
    const events = [leadEvent({ name: 'a' }), leadEvent({ name: 'b' }), leadEvent({ name: 'c' })]
    await world.write(...events)
    return { ...world, events }
  }
  const report = async ({ replays }: Pick<Awaited<ReturnType<typeof open>>, 'replays'>) => (await replays.find('1', options))?.report

  test('is filled from bronze; what differs is told with its key, and no value of it', async () => {
    const world = await made()
    const { ask, client, events, pass, rows } = world
    const [edited, removed] = events
    await client.query(`update silver.leads set name = 'by hand', score = 7, _synced_at = _synced_at - interval '1 hour' where _version = $1`, [
      edited?.version,
    ])
    await client.query('delete from silver.leads where _version = $1', [removed?.version])
    await client.query(`insert into silver.leads (id, name, _version, _synced_at) values ($1, 'of nowhere', 5, now() - interval '1 hour')`, [randomUUID()])
    await ask('shadow')
    await pass()
    expect(named(events)).toEqual((await rows(NAMES.shadow)).map(({ id, version }) => ({ key: `["${id}"]`, version: Number(version) })))
    expect(await report(world)).toMatchObject({
      differences: {
        live: 3,
        shadow: 3,
        onlyLive: 1,
        onlyShadow: 1,
        different: 1,
        newer: 0,
        samples: {
          onlyShadow: [{ key: removed?.key, liveVersion: null, shadowVersion: removed?.version }],
          different: [{ key: edited?.key, columns: { name: { live: 'text of 7', shadow: 'text of 1' }, score: { live: 'number', shadow: null } } }],
        },
      },
    })
    expect(JSON.stringify(await report(world))).not.toContain('by hand')
  })

  test('is compared in blocks of keys, however many: nothing is left out or counted twice', async () => {
    const { client, db, shadows } = await made()
    await shadows.make(leads, options)
    await client.query(`delete from silver.leads;
      insert into silver.leads (id, name, score, _version, _synced_at) select md5('both' || i)::uuid, 'a', i % 2, i, '2020-01-01' from generate_series(1, 20) as i;
      insert into silver.leads (id, name, _version, _synced_at) select md5('live' || i)::uuid, 'a', i, '2020-01-01' from generate_series(1, 7) as i;
      insert into silver.leads (id, _version, _deleted_at, _synced_at) select md5('gone' || i)::uuid, i, '2020-01-01', '2020-01-01' from generate_series(1, 3) as i;
      insert into silver.leads__shadow select * from silver.leads where name is null or score is not null;
      update silver.leads__shadow set score = 5 where score = 1;
      insert into silver.leads__shadow (id, name, _version, _synced_at) select ('ffffffff-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'a', i, '2020-01-01' from generate_series(1, 9) as i`)
    const compared = async (rowsAtOnce: number) => {
      const told: number[] = []
      const of = { table: leads, names: NAMES, since: new Date().toISOString(), told: async (rows: number) => void told.push(rows) }
      return { told, found: await postgresShadows({ db, tables: [leads], rowsAtOnce }).compare(of, options) }
    }
    const whole = await compared(1_000)
    expect(whole.found).toMatchObject({ live: 27, shadow: 29, onlyLive: 7, onlyShadow: 9, different: 10, newer: 0 })
    expect(Object.values(whole.found.samples).map((some) => some.length)).toEqual([5, 5, 5])
    for (const rows of [1, 2, 5, 28, 30, 39]) {
      const { found, told } = await compared(rows)
      expect({ ...found, samples: null }).toEqual({ ...whole.found, samples: null })
      expect(Object.values(found.samples).map((some) => some.length)).toEqual([5, 5, 5])
      if (rows < 28) expect(told.length).toBeGreaterThanOrEqual(30 / rows)
    }
  })

  test('is not told as different for what came meanwhile', async () => {
    const world = await made()
    const { ask, client, events, pass } = world
    await ask('shadow')
    await client.query(`update silver.leads set name = 'later', _version = _version + 1000, _synced_at = clock_timestamp() where _version = $1`, [
      events[0]?.version,
    ])
    await pass()
    expect(await report(world)).toMatchObject({ differences: { different: 0, onlyLive: 0, newer: 1 } })
  })

  test('obeys the floor, also where it was raised after it was filled', async () => {
    const { ask, client, control, events, pass, rows, swap, write } = await made()
    await ask('shadow')
    await pass()
    const floor = truncateEvent()
    const place = { consumer: 'test', topic: 'afluente.public.leads', partition: 0 }
    const fence = { ...place, epoch: await control.take({ ...place, owner: 'other' }, options) }
    await control.raiseFloor({ table: TABLE, version: floor.version, occurredAt: floor.occurredAt }, fence, options)
    await client.query('delete from silver.leads where _version = $1', [events[0]?.version])
    await expect(write(leadEvent())).rejects.toMatchObject({ kind: 'fenced' })
    await swap()
    await pass()
    expect(await rows()).toEqual([])
  })

  test('takes the live one’s place with its views, grants, policies and triggers, once', async () => {
    const { ask, client, events, pass, replays, rows, shadows, swap, take, write } = await made()
    await ask('shadow')
    await pass()
    const role = `reader_${randomUUID().replaceAll('-', '')}`
    await client.query(`create role ${role}; grant usage on schema silver, bi to ${role}; grant select on bi.leads to ${role}; grant select on silver.leads to ${role} with grant option;
      alter table silver.leads enable row level security; create policy not_b on silver.leads for select to ${role} using (name <> 'b');
      create view public.names as select id, name from silver.leads; grant select on public.names to ${role};
      create function public.mark() returns trigger language plpgsql as $$ begin new.company := 'marked'; return new; end $$;
      create trigger mark before insert on silver.leads for each row execute function public.mark()`)
    await write(leadEvent({ id: JSON.parse(events[0]?.key ?? '')[0] as string, name: 'newer' }), leadEvent({ name: 'd' }))
    const before = await rows()
    const oid = async () => (await client.query<{ oid: string }>(`select 'silver.leads'::regclass::oid::text as oid`)).rows[0]?.oid
    const was = await oid()
    await swap()
    await pass()
    expect(await replays.find('2', options)).toMatchObject({ state: 'done', problem: null, steps: 2 })
    expect(await oid()).not.toBe(was)
    expect(await rows()).toEqual(before)
    expect((await client.query('select name from public.names order by name')).rows).toEqual(
      before.map(({ name }) => ({ name })).toSorted((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1)),
    )
    await client.query(`set role ${role}`)
    expect((await client.query<{ name: string }>('select name from bi.leads order by name')).rows.map(({ name }) => name)).toEqual(['c', 'd', 'newer'])
    await client.query('reset role')
    await write(leadEvent({ name: 'after' }))
    expect((await client.query(`select company from silver.leads where name = 'after'`)).rows).toEqual([{ company: 'marked' }])
    // Its answer was lost: the same swap again does nothing.
    const swapped = await oid()
    const fence = { consumer: 'test', topic: 'afluente.public.leads.shadow', partition: 0, epoch: await take() }
    expect(await shadows.swap({ table: leads, names: NAMES, job: '2', fence, from: '0' }, options)).toEqual({ status: 'swapped', copied: 0 })
    expect(await oid()).toBe(swapped)
    expect((await replays.shadows(options))[0]).toMatchObject({ ...NAMES, state: 'former' })
    await client.query(`drop owned by ${role}; drop role ${role}`)
  })

  test('is not swapped where something hangs on the live one that can’t be handed over: the reason names it, and nothing is changed', async () => {
    const { ask, client, pass, replays, swap } = await made()
    await ask('shadow')
    await pass()
    await client.query('create materialized view public.copy as select id from silver.leads; create index by_name on silver.leads (name)')
    await swap()
    await pass()
    const job = await replays.find('2', options)
    expect(job).toMatchObject({ state: 'cancelled' })
    expect(job?.problem).toMatch(/the index silver\.by_name, which its shadow lacks, the materialized view public\.copy/)
    expect((await replays.shadows(options))[0]).toMatchObject({ state: 'ready' })
    await client.query('drop materialized view public.copy; create index on silver.leads__shadow (name)')
    await swap()
    await pass()
    expect(await replays.find('3', options)).toMatchObject({ state: 'done' })
  })

  test('is swapped while somebody writes without a pause, and no write is lost', async () => {
    const { ask, client, pass, rows, swap, write, replays } = await made()
    await ask('shadow')
    await pass()
    const ids = Array.from({ length: 20 }, () => randomUUID())
    const written = new Map<string, number>()
    let over = false
    const writing = (async () => {
      for (let at = 0; !over; at += 1) {
        const id = ids[at % ids.length] ?? ''
        const version = nextVersion()
        await write(leadEvent({ id, version, op: 'update' }))
        written.set(id, version)
      }
    })()
    for (let round = 0; round < 5; round += 1) {
      await swap()
      await pass()
    }
    over = true
    await writing
    expect((await replays.list(5, options)).map(({ state }) => state)).toEqual(['done', 'done', 'done', 'done', 'done'])
    const stands = new Map((await rows()).map(({ id, version }) => [id, Number(version)]))
    expect([...written].filter(([id, version]) => stands.get(id) !== version)).toEqual([])
    await lost(client)
  })

  test('takes along what was written since it was last followed', async () => {
    const { ask, client, events, pass, rows, shadows, swap, take } = await made()
    await ask('shadow')
    await pass()
    await client.query(`update silver.leads set name = 'new', _version = _version + 1000 where _version = $1`, [events.at(-1)?.version])
    const job = await swap()
    const fence = { consumer: 'test', topic: 'afluente.public.leads.shadow', partition: 0, epoch: await take() }
    await shadows.swap({ table: leads, names: NAMES, job: job?.id ?? '', fence, from: '0' }, options)
    expect((await rows()).map(({ name }) => name)).toEqual(['a', 'b', 'new'])
  })

  test('takes along what was under way when the last round began, though it looks at little then', async () => {
    const { ask, client, events, follow, pass, rows, swapFrom, url } = await made()
    await ask('shadow')
    await pass()
    const writer = await postgres.client(url)
    await writer.query('begin')
    await writer.query(`update silver.leads set name = 'late', _version = _version + 1000 where _version = $1`, [events.at(-1)?.version])
    // Others come and go meanwhile.
    await client.query(`update silver.leads set score = 1 where _version = $1`, [events[0]?.version])
    const place = await follow(await follow(null))
    await writer.query('commit')
    expect(await swapFrom(place)).toEqual({ status: 'swapped', copied: 1 })
    expect((await rows()).map(({ name }) => name)).toEqual(['a', 'b', 'late'])
  })

  test.each([
    ['before a step, and a round after it', 2, true],
    ['just when the last step begins', 2, false],
  ])('takes along what lies elsewhere since the table was written anew while it was followed: %s', async (_, at, again) => {
    const { client, db, follow, ids, shadows, swapFrom } = await made()
    await shadows.make(leads, options)
    await client.query(
      `insert into silver.leads (id, name, company, _version) select gen_random_uuid(), 'many', repeat('x', 700), i from generate_series(1, 200) as i`,
    )
    // Whoever was open before, an autovacuum of another test say, would have all of it looked at.
    await eventually('nobody older than those rows is open', async () => {
      const { rows } = await client.query<{ none: boolean }>(
        'select age(pg_snapshot_xmin(pg_current_snapshot())::xid) < min(age(xmin)) as none from silver.leads',
      )
      return rows[0]?.none === true
    })
    let steps = 0
    const anew = async () => {
      const pages = async () => (await client.query<{ n: number }>(`select pg_relation_size('silver.leads')::int / 8192 as n`)).rows[0]?.n ?? 0
      const before = await pages()
      await client.query('delete from silver.leads where _version <= 80')
      // Somebody who still sees the deleted rows, an autovacuum that analyzes say, keeps them and all others in their places.
      await eventually('the rows lie elsewhere', async () => {
        await client.query('vacuum full silver.leads')
        return (await pages()) < before - 5
      })
    }
    const query: typeof db.query = async (asked, of) => {
      if (asked.text.includes('follow_shadow') && ++steps === at && !again) await anew()
      return db.query(asked, of)
    }
    const two = postgresShadows({ db: { query }, tables: [leads], blocksAtOnce: 12 })
    const first = await two.follow({ table: leads, names: NAMES, from: null }, options)
    if (again) await anew()
    const second = await two.follow({ table: leads, names: NAMES, from: first.next }, options)
    const place = again ? await follow(second.next) : second.next
    const before = await ids()
    await swapFrom(place)
    expect([first.ended, before.length]).toEqual([false, 120])
    expect((await ids()).filter((id) => before.includes(id))).toEqual(before)
  })

  test('waits for a write that is under way, and takes it along', async () => {
    const { ask, client, events, pass, rows, swap, waiting } = await made()
    await ask('shadow')
    await pass()
    await client.query('begin')
    await client.query(`update silver.leads set name = 'late', _version = _version + 1000 where _version = $1`, [events.at(-1)?.version])
    await swap()
    const passed = pass()
    await waiting(1)
    await client.query('commit')
    await passed
    expect((await rows()).map(({ name }) => name)).toEqual(['a', 'b', 'late'])
  })

  test.each(['before it is followed', 'after'])('keeps what it has newer than the live one: %s', async (when) => {
    const { ask, client, events, follow, pass, rows, swapFrom } = await made()
    await ask('shadow')
    await pass()
    const older = () => client.query(`update silver.leads set name = 'old', _version = _version - 1000 where _version = $1`, [events[0]?.version])
    if (when !== 'after') await older()
    const place = await follow(null)
    if (when === 'after') await older()
    await swapFrom(place)
    expect((await rows()).map(({ name }) => name)).toEqual(['a', 'b', 'c'])
  })

  test('is left alone by a swap under an old epoch', async () => {
    const { ask, pass, shadows, swap, take } = await made()
    await ask('shadow')
    await pass()
    const job = await swap()
    const fence = { consumer: 'test', topic: 'afluente.public.leads.shadow', partition: 0, epoch: await take() }
    await take()
    await expect(shadows.swap({ table: leads, names: NAMES, job: job?.id ?? '', fence, from: '0' }, options)).rejects.toMatchObject({ kind: 'fenced' })
  })

  test('is swapped once for two who ask at once, and not forgotten by whoever drops it just then', async () => {
    const { ask, client, pass, replays, swap, waiting } = await made()
    await ask('shadow')
    await pass()
    await client.query('begin; select from ops.shadow for update')
    const first = swap()
    await waiting(1)
    const second = swap()
    await waiting(2)
    const dropped = replays.forget({ consumer: 'test', table: TABLE, actor: 'operator' }, options)
    await waiting(3)
    await client.query('commit')
    expect(await Promise.all([first, second, dropped])).toEqual([expect.objectContaining({ id: '2' }), null, false])
  })

  test('is begun once for two who ask at once', async () => {
    const { ask, client, replays, waiting } = await made()
    await client.query(`begin; insert into ops.shadow (consumer, source_table, job) values ('test', '${TABLE}', 0)`)
    const asked = ask('shadow')
    await waiting(1)
    await client.query('commit')
    expect(await asked).toBeNull()
    expect(await replays.list(5, options)).toEqual([])
  })

  test('is removed and forgotten; another can be made then', async () => {
    const { ask, client, pass, replays, shadows } = await made()
    await ask('shadow')
    expect(await replays.forget({ consumer: 'test', table: TABLE, actor: 'operator' }, options)).toBe(false)
    await pass()
    await shadows.drop({ table: leads, names: NAMES }, options)
    expect(await replays.forget({ consumer: 'test', table: TABLE, actor: 'operator' }, options)).toBe(true)
    expect((await client.query(`select to_regclass('silver.leads__shadow') as there`)).rows).toEqual([{ there: null }])
    expect(await ask('shadow')).toMatchObject({ id: '2' })
  })
})

/** No event of bronze is newer than its row. */
async function lost(client: pg.Client): Promise<void> {
  const { rows } = await client.query(
    `select e.key from (select key, max(version) as version from bronze.events group by key) as e left join silver.leads as l on jsonb_build_array(l.id)::text = e.key where l._version is distinct from e.version`,
  )
  expect(rows).toEqual([])
}
