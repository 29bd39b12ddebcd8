/** The guards bite: each is taken out of the statement, and the check that is there for it fails. */
import { describe, expect, test } from 'vitest'
import { leads } from '../../../shared/tables/leads.ts'
import { eventually } from '../../support/poll.ts'
import { assertConvergence, assertFencing, idOf } from './checks.ts'
import { assertBatchUnderWayIsSwept, assertLateStaysDead, assertRaiseUnderWayIsSeen, type Watched } from './floor-checks.ts'
import { realPostgres } from './postgres-server.ts'
import { postgresSubject } from './postgres-subject.ts'
import { hold, leadEvent, signal, type SinkSubject } from './subject.ts'
import { tampered } from './tampered.ts'

const postgres = realPostgres()

/** A subject whose statement has something else in place of a guard; with the guard itself it is the real one. */
async function subjectWith(guard: string, naive: string): Promise<{ subject: SinkSubject; url: string }> {
  const url = await postgres.analytics()
  return { subject: postgresSubject({ db: tampered(postgres.pool(url), guard, naive), reader: postgres.pool(url) }), url }
}

describe('the version guard', () => {
  const guard = 'where excluded._version > t._version'

  test('is what keeps an older version from replacing a newer one', async () => {
    const { subject } = await subjectWith(guard, '')
    await expect(assertConvergence(subject, 60)).rejects.toThrow(/Property failed/)
  })

  test('and with it the same check passes', async () => {
    const { subject } = await subjectWith(guard, guard)
    await assertConvergence(subject, 60)
  })
})

describe('the epoch', () => {
  const guard = 'and epoch = $4'

  test('is what keeps an old holder from writing', async () => {
    const { subject } = await subjectWith(guard, 'and $4::bigint is not null')
    await expect(assertFencing(subject)).rejects.toThrow(/rejected|resolved/)
  })

  test('and with it the same check passes', async () => {
    const { subject } = await subjectWith(guard, guard)
    await assertFencing(subject)
  })
})

describe('the lock on the epoch', () => {
  const guard = 'for no key update'

  /** The take-over has happened but isn't committed when the old holder writes: it must wait for it and then be refused. */
  async function assertTakeOverUnderWay({ subject, url }: Awaited<ReturnType<typeof subjectWith>>): Promise<void> {
    const held = await hold(subject)
    const event = leadEvent({ name: 'before' })
    await held.write(event)
    const taker = await postgres.client(url)
    await taker.query('begin')
    await taker.query('update ops.consumer_progress set epoch = epoch + 1 where consumer = $1', [held.fence.consumer])
    const late = leadEvent({ id: idOf(event), op: 'update', name: 'after' })
    const writing = subject.sink.write({ table: leads, events: [late], fence: held.fence, nextOffset: '2' }, { signal })
    writing.catch(() => undefined)
    const watcher = await postgres.client(url)
    await eventually('the write waits for the take-over', async () => {
      const { rowCount } = await watcher.query(
        `select from pg_stat_activity where datname = current_database() and application_name = 'afluente' and wait_event_type = 'Lock'`,
      )
      return rowCount !== 0
    })
    await taker.query('commit')
    await expect(writing).rejects.toMatchObject({ kind: 'fenced' })
    expect(await subject.row(event.key)).toMatchObject({ name: 'before' })
  }

  test('is what keeps a paused writer from slipping past a take-over', async () => {
    await expect(assertTakeOverUnderWay(await subjectWith(guard, ''))).rejects.toThrow(/resolved/)
  })

  test('and with it the same check passes', async () => {
    await assertTakeOverUnderWay(await subjectWith(guard, guard))
  })
})

/** The same, with connections of nobody's. */
async function watchedWith(guard: string, naive: string): Promise<Watched> {
  const { subject, url } = await subjectWith(guard, naive)
  return { subject, client: () => postgres.client(url) }
}

describe('the floor', () => {
  const guard = 'and e.version > e.floor'

  test('is what keeps late events from before a truncate out', async () => {
    await expect(assertLateStaysDead(await watchedWith(guard, ''))).rejects.toThrow(/to match object/)
  })

  test('and with it the same check passes', async () => {
    await assertLateStaysDead(await watchedWith(guard, guard))
  })
})

describe('the lock on the floor', () => {
  const guard = 'for share of f'

  test('is what lets no row of a batch that is under way survive a sweep', async () => {
    await expect(assertBatchUnderWayIsSwept(await watchedWith(guard, ''))).rejects.toThrow(/deeply equal/)
  })

  test('is what tells a batch of a floor that is being raised', async () => {
    await expect(assertRaiseUnderWayIsSeen(await watchedWith(guard, ''))).rejects.toThrow(/to match object/)
  })

  test('and with it the same checks pass', async () => {
    const watched = await watchedWith(guard, guard)
    await assertBatchUnderWayIsSwept(watched)
    await assertRaiseUnderWayIsSeen(watched)
  })
})
