import { describe, expect, test } from 'vitest'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { postgresLetters } from '../../../shared/adapters/postgres/letters.ts'
import { postgresRedrives } from '../../../shared/adapters/postgres/redrives.ts'
import { letterStates } from '../../../shared/events/dead-letter.ts'
import type { DeadLetter } from '../../../shared/ports/sink.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { letterAt, lettersContract, signal } from './suite.ts'

const postgres = realPostgres()

lettersContract('postgres', {
  make: async () => {
    const db = postgres.pool(await postgres.analytics())
    const audit = async () => {
      const { rows } = await db.query({ text: 'select actor, action, subject, details from ops.audit order by id', values: [] }, { signal })
      return rows.map((row) => ({
        actor: String(row['actor']),
        action: String(row['action']),
        subject: String(row['subject']),
        details: JSON.parse(String(row['details'])) as unknown,
      }))
    }
    return { subject: { letters: postgresLetters({ db }), redrives: postgresRedrives({ db }), control: postgresControl({ db }), audit }, close: async () => {} }
  },
})

describe('dead letters in Postgres', () => {
  const open = async () => {
    const url = await postgres.analytics()
    const db = postgres.pool(url)
    const control = postgresControl({ db })
    const fence = { consumer: 'test', topic: 'afluente.public.leads', partition: 0 }
    const epoch = await control.take({ ...fence, owner: 'stream' }, { signal })
    const bury = (letters: readonly DeadLetter[]) => control.bury(letters, { ...fence, epoch }, '0', { signal })
    return { client: await postgres.client(url), bury, letters: postgresLetters({ db }), redrives: postgresRedrives({ db }) }
  }
  const large = (offset: number) => letterAt(offset, { value: 'x'.repeat(3 * 1024 * 1024) })

  test('the states that the table takes are those that the program knows, and none is discarded without a reason', async () => {
    const { bury, client } = await open()
    await bury([letterAt(1)])
    for (const state of letterStates) await client.query(`update ops.dead_letter set state = $1, reason = 'a test'`, [state])
    await expect(client.query(`update ops.dead_letter set state = 'lost'`)).rejects.toThrow('known_state')
    await expect(client.query(`update ops.dead_letter set state = 'discarded', reason = ''`)).rejects.toThrow('discarded_for_a_reason')
  })

  test('what a Worker is given at once is no more than it can hold; a letter that is larger goes alone', async () => {
    const { bury, letters, redrives } = await open()
    for (const offset of [1, 2, 3, 4]) await bury([large(offset)])
    const offsets = (found: readonly { readonly offset: string }[]) => found.map(({ offset }) => offset).join()
    const page = await letters.read({ filter: {}, limit: 10, after: null }, { signal })
    expect(offsets(page.letters)).toBe('4,3')
    expect(offsets((await letters.read({ filter: {}, limit: 10, after: page.next }, { signal })).letters)).toBe('2,1')
    const [job] = await redrives.start({ filter: {}, consumers: ['test'], actor: 'operator' }, { signal })
    if (job === undefined) throw new Error('there is no job')
    const first = await redrives.take(job, null, 10, { signal })
    expect(offsets(first)).toBe('1,2')
    expect(offsets(await redrives.take(job, first.at(-1)?.id ?? null, 10, { signal }))).toBe('3,4')
  })

  test('a job’s counts add up, or it is not written', async () => {
    const { bury, redrives, client } = await open()
    await bury([letterAt(1)])
    await redrives.start({ filter: {}, consumers: ['test'], actor: 'operator' }, { signal })
    await expect(client.query('update ops.redrive_job set done = done + 1')).rejects.toThrow('every_letter_counted_once')
  })

  test('a job whose filter this version does not know is not widened: it is a fault', async () => {
    const { bury, redrives, client } = await open()
    await bury([letterAt(1)])
    await redrives.start({ filter: {}, consumers: ['test'], actor: 'operator' }, { signal })
    await client.query(`update ops.redrive_job set filter = '{"colour": "red"}'`)
    await expect(redrives.running('test', { signal })).rejects.toMatchObject({ kind: 'misconfigured', code: 'unknown-filter' })
  })

  test('two redrives that begin at once never have the same letter', async () => {
    const { bury, redrives } = await open()
    await bury(Array.from({ length: 200 }, (_, at) => letterAt(at + 1)))
    const start = () => redrives.start({ filter: {}, consumers: ['test'], actor: 'operator' }, { signal })
    const jobs = [...(await start()), ...(await start())]
    const taken = await Promise.all(jobs.map((job) => redrives.take(job, null, 1_000, { signal })))
    expect(taken.flat()).toHaveLength(200)
    expect(new Set(taken.flat().map(({ id }) => id)).size).toBe(200)
  })
})
