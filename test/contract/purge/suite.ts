/** The purge of a sink's tombstones, whole, on real control tables; only what Kafka and the source say is made up. */
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import type { Db } from '../../../shared/adapters/postgres/db.ts'
import { postgresPurges } from '../../../shared/adapters/postgres/purges.ts'
import type { AnyPipeline } from '../../../shared/engine/define.ts'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import { createPurge, type PurgeDeps } from '../../../shared/engine/purge.ts'
import type { PurgeHold, Purges, Tombstones } from '../../../shared/ports/purges.ts'
import { qualifiedName, type SourceTable } from '../../../shared/tables/table.ts'

export const NOW = Date.parse('2026-11-29T12:00:00Z')
const DAY = 86_400_000
export const options = { signal: new AbortController().signal }

/** `days` before now. */
export function ago(days: number): string {
  return new Date(NOW - days * DAY).toISOString()
}

export interface Subject {
  readonly consumer: string
  readonly pipeline: AnyPipeline
  readonly table: SourceTable
  readonly db: Db
  readonly client: pg.Client
  readonly tombstones: (purges: Purges) => Tombstones
  /** A row that the sink took as deleted so long ago. */
  readonly put: (key: string, days: number, of?: { readonly living?: boolean }) => Promise<void>
  /** The keys that are there, tombstones included, in order. */
  readonly keys: () => Promise<readonly string[]>
}

const empty = { rows: 0, oldestMs: null, leased: false, failures: 0, refused: null, keeps: 'images', tables: [] } as const

/** One run of the whole purge at NOW, with the world as it is made up. */
export async function purgeOnce(of: Subject, over: Partial<PurgeDeps> = {}): Promise<void> {
  const purges = postgresPurges({ db: of.db })
  const purge = createPurge({
    pipeline: of.pipeline,
    purges,
    tombstonesOf: () => of.tombstones(purges),
    control: postgresControl({ db: of.db }),
    ages: { since: async (_topic, untilMs) => untilMs },
    watermarks: { read: async () => [] },
    outbox: { backlog: async () => empty },
    owner: crypto.randomUUID(),
    clock: memoryClock({ start: NOW }),
    log: { info: () => {}, warn: () => {}, error: () => {} },
    ...over,
  })
  await purge(options)
}

/** What runs of tests before left of the purge. */
export async function forget(client: pg.Client): Promise<void> {
  for (const table of ['ops.purge', 'ops.dead_letter', 'ops.audit', 'ops.consumer_progress', 'ops.replay_job', 'ops.shadow', 'silver.leads'])
    await client.query(`delete from ${table}`)
}

export function purgeSuite(name: string, open: () => Promise<Subject>): void {
  const state = async ({ consumer, db }: Subject) => (await postgresPurges({ db }).states(options)).find((one) => one.consumer === consumer)
  const letter = async ({ client, consumer, pipeline }: Subject, letterState: string, publishedDaysAgo: number) =>
    client.query(
      `insert into ops.dead_letter (consumer, topic, "partition", "offset", event_id, error_class, message, fingerprint, state, reason, published_at)
      values ($1, $2, 0, 1, 'e', 'x', 'x', 'x', $3, 'because', $4)`,
      [consumer, pipeline.consumers[consumer]?.reads[0], letterState, ago(publishedDaysAgo)],
    )

  describe(`${name}: what is purged`, () => {
    test('tombstones beyond the retention and a day, counted and audited; younger ones and the living stay', async () => {
      const subject = await open()
      await subject.put('dead-young', 7.9)
      await subject.put('dead-old', 8.1)
      await subject.put('living-old', 30, { living: true })
      await purgeOnce(subject)
      expect(await subject.keys()).toEqual(['dead-young', 'living-old'])
      expect(await state(subject)).toMatchObject({ purged: 1, before: ago(8), heldBack: [] })
      const { rows } = await subject.client.query(`select actor, action, subject, details from ops.audit`)
      expect(rows).toEqual([
        {
          actor: 'purge',
          action: 'tombstones.purge',
          subject: qualifiedName(subject.table),
          details: { consumer: subject.consumer, rows: 1, before: ago(8) },
        },
      ])
    })

    test('a pass that is over comes again after an hour, not with the next minute', async () => {
      const subject = await open()
      await purgeOnce(subject)
      await subject.put('dead', 9)
      await purgeOnce(subject)
      expect(await subject.keys()).toEqual(['dead'])
      await subject.client.query(`update ops.purge set due_at = due_at - interval '1 hour'`)
      await purgeOnce(subject)
      expect(await subject.keys()).toEqual([])
    })

    test('two runs at once: one holds the table, and what is counted is what went', async () => {
      const subject = await open()
      for (const n of [1, 2, 3]) await subject.put(`dead-${n}`, 9)
      await Promise.all([purgeOnce(subject), purgeOnce(subject), purgeOnce(subject)])
      expect(await subject.keys()).toEqual([])
      expect(await state(subject)).toMatchObject({ purged: 3 })
    })

    test('one that died in its midst is gone on with after its lease, where it was; if it wakes up it is refused', async () => {
      const subject = await open()
      const purges = postgresPurges({ db: subject.db })
      await subject.put('dead', 9)
      const of = { consumer: subject.consumer, tables: [qualifiedName(subject.table)], owner: 'died', leaseMs: 60_000 }
      const [died] = await purges.take(of, options)
      expect(await purges.take({ ...of, owner: 'early' }, options)).toEqual([])
      await subject.client.query(`update ops.purge set leased_until = clock_timestamp(), "position" = 0`)
      await purgeOnce(subject)
      expect(await subject.keys()).toEqual([])
      await subject.put('dead too', 9)
      const zombie = subject.tombstones(purges).purge({ table: subject.table, hold: died as PurgeHold, from: null, before: ago(8) }, options)
      await expect(zombie).rejects.toMatchObject({ kind: 'fenced' })
      expect(await state(subject)).toMatchObject({ purged: 1 })
    })
  })

  describe(`${name}: what holds the purge back, and is said`, () => {
    const expectHeldBy = async (subject: Subject, over: Partial<PurgeDeps>, why: RegExp, before: string | null = null) => {
      await subject.put('dead', 9)
      await purgeOnce(subject, over)
      expect(await subject.keys()).toEqual(['dead'])
      expect(await state(subject)).toMatchObject({ before, heldBack: [expect.stringMatching(why)], purged: 0 })
    }
    const down = async () => {
      throw new AfluenteError('unavailable', 'down', 'It does not answer.')
    }

    test('Kafka still holds records from before it, whatever the definition says of retention', async () =>
      expectHeldBy(
        await open(),
        { ages: { since: async () => NOW - 9.5 * DAY } },
        /^Kafka still holds records of .* from 2026-11-20T00:00:00.000Z/,
        ago(9.5 + 1 / 24),
      ))

    test('only as far as it must: what is older than that goes', async () => {
      const subject = await open()
      await subject.put('older', 12)
      await subject.put('dead', 9)
      await purgeOnce(subject, { ages: { since: async () => NOW - 9.5 * DAY } })
      expect(await subject.keys()).toEqual(['dead'])
    })

    test('Kafka can not be asked', async () =>
      expectHeldBy(await open(), { ages: { since: down } }, /^it is not known what Kafka still holds: It does not answer/))

    test('a consumer has not settled what Kafka no longer holds: it may be in its memory', async () => {
      const subject = await open()
      const [topic = ''] = subject.pipeline.consumers[subject.consumer]?.reads ?? []
      await subject.client.query(`insert into ops.consumer_progress (consumer, topic, "partition", owner, epoch, next_offset) values ($1, $2, 1, 'o', 1, 4)`, [
        subject.consumer,
        topic,
      ])
      const read = async () => [{ topic, partition: 1, low: 5n, high: 9n }]
      await expectHeldBy(subject, { watermarks: { read } }, /has not settled .*, partition 1, from offset 4 on/)
    })

    test('a change waits in the outbox', async () =>
      expectHeldBy(
        await open(),
        { outbox: { backlog: async () => ({ ...empty, rows: 1, oldestMs: 9 * DAY }) } },
        /^a change has waited in the outbox since/,
        ago(9 + 1 / 24),
      ))

    test('capture stands still, as after a restore', async () =>
      expectHeldBy(await open(), { outbox: { backlog: async () => ({ ...empty, refused: 'this is a copy' }) } }, /^capture stands still, .*: this is a copy/))

    test('the source can not be asked', async () => expectHeldBy(await open(), { outbox: { backlog: down } }, /^it is not known what waits in the outbox/))

    for (const letterState of ['open', 'redriven'])
      test(`a dead letter is ${letterState}`, async () => {
        const subject = await open()
        await letter(subject, letterState, 9)
        await expectHeldBy(subject, {}, /^1 dead letter\(s\) of .* may be redriven, the oldest of 2026-11-20/, ago(9 + 1 / 24))
      })

    test('a replay runs', async () => {
      const subject = await open()
      const { client, consumer, table } = subject
      await client.query(`insert into ops.replay_job (kind, consumer, source_table, actor) values ('replay', $1, $2, 'me')`, [consumer, qualifiedName(table)])
      await expectHeldBy(subject, {}, /^1 replay\(s\) of the table run/)
    })

    test('a shadow stands', async () => {
      const subject = await open()
      const { client, consumer, table } = subject
      await client.query(`insert into ops.shadow (consumer, source_table, state, job) values ($1, $2, 'ready', 1)`, [consumer, qualifiedName(table)])
      await expectHeldBy(subject, {}, /^a shadow of the table stands/)
    })

    test('nothing of that, where letters and replays are over, young or of others, and the outbox is young', async () => {
      const subject = await open()
      await letter(subject, 'discarded', 20)
      await subject.client
        .query(`insert into ops.dead_letter (consumer, topic, "partition", "offset", event_id, error_class, message, fingerprint, state, published_at)
        select 'another', topic, 0, 2, 'e', 'x', 'x', 'x', 'open', published_at from ops.dead_letter union all
        select consumer, 'afluente.other', 0, 3, 'e', 'x', 'x', 'x', 'open', published_at from ops.dead_letter union all
        select consumer, topic, 0, 4, 'e', 'x', 'x', 'x', 'open', '${ago(2)}' from ops.dead_letter`)
      const of = [subject.consumer, qualifiedName(subject.table)]
      await subject.client.query(
        `insert into ops.replay_job (kind, consumer, source_table, actor, state) values ('replay', $1, $2, 'me', 'done'), ('replay', $1, 'other', 'me', 'running'), ('replay', 'another', $2, 'me', 'running')`,
        of,
      )
      await subject.client.query(`insert into ops.shadow (consumer, source_table, job) values ($1, 'other', 1), ('another', $2, 1)`, of)
      await subject.put('dead', 9)
      await purgeOnce(subject, { outbox: { backlog: async () => ({ ...empty, rows: 1, oldestMs: DAY }) } })
      expect(await subject.keys()).toEqual([])
      expect(await state(subject)).toMatchObject({ heldBack: [], purged: 1 })
    })
  })
}
