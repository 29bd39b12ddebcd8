/** What a floor must not lose while batches are under way, as checks that a sink without its guard fails. */
import { expect } from 'vitest'
import type pg from 'pg'
import { eventually } from '../../support/poll.ts'
import { idOf } from './checks.ts'
import { hold, leadEvent, type SinkSubject, truncateEvent } from './subject.ts'

export interface Watched {
  readonly subject: SinkSubject
  /** A connection of nobody's, in the same database. */
  readonly client: () => Promise<pg.Client>
}

/** However late an event from before a truncate comes, it brings nothing back. */
export async function assertLateStaysDead({ subject }: Pick<Watched, 'subject'>): Promise<void> {
  const [known, unknown] = [leadEvent({ name: 'known' }), leadEvent({ name: 'unknown' })]
  const held = await hold(subject)
  await held.raise(truncateEvent())
  expect(await held.write(known, unknown)).toMatchObject({ accepted: 0, late: 2 })
  for (const { key } of [known, unknown]) expect(await subject.row(key)).toBeUndefined()
}

/** A batch is under way, its rows not yet to be seen, when the floor is raised and swept: they are dead in the end. */
export async function assertBatchUnderWayIsSwept({ subject, client }: Watched): Promise<void> {
  const first = leadEvent({ name: 'before' })
  const truncate = truncateEvent()
  const stuck = leadEvent()
  const writer = await hold(subject)
  await writer.write(stuck)
  const blocker = await client()
  await blocker.query('begin')
  await blocker.query('select from silver.leads where id = $1 for update', [idOf(stuck)])
  const writing = writer.write(first, leadEvent({ id: idOf(stuck), op: 'update' }))
  await waiting(await client(), 1)
  const raiser = await hold(subject)
  const raising = raiser.raise(truncate)
  await Promise.race([raising, waiting(await client(), 2)])
  await blocker.query('commit')
  await Promise.all([writing, raising])
  expect(await subject.row(first.key)).toEqual({ version: truncate.version, deleted: true, name: null })
}

/** A floor is being raised when a batch from before it begins: the batch waits, and then knows it. */
export async function assertRaiseUnderWayIsSeen({ subject, client }: Watched): Promise<void> {
  const late = leadEvent({ name: 'before' })
  const held = await hold(subject)
  const raiser = await client()
  await raiser.query('begin')
  await raiser.query(`update ops.floor set version = $1 where source_table = 'public.leads'`, [truncateEvent().version])
  const writing = held.write(late)
  await Promise.race([writing, waiting(await client(), 1)])
  await raiser.query('commit')
  expect(await writing).toMatchObject({ late: 1 })
  expect(await subject.row(late.key)).toBeUndefined()
}

/** So many of the product's statements wait for a lock. */
async function waiting(watcher: pg.Client, count: number): Promise<void> {
  await eventually(`${count} statement(s) wait for a lock`, async () => {
    const { rowCount } = await watcher.query(
      `select from pg_stat_activity where datname = current_database() and application_name = 'afluente' and wait_event_type = 'Lock'`,
    )
    return (rowCount ?? 0) >= count
  })
}
