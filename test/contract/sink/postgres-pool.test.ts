import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { postgresPool } from '../../../shared/adapters/postgres/pool.ts'
import { startProxyBefore } from '../../chaos/proxy.ts'
import { eventually } from '../../support/poll.ts'
import { realPostgres } from './postgres-server.ts'
import { signal } from './subject.ts'

const postgres = realPostgres()

describe('the pool', () => {
  test('gives every value as the text Postgres printed', async () => {
    const db = postgres.pool(await postgres.emptyDatabase())
    const { rows } = await db.query(
      {
        text: `select 9007199254740993::bigint as b, 1.10::numeric as n, '2026-11-22 18:00:00.123456+00'::timestamptz at time zone 'UTC' as t, true as f, null as z, '{1,2}'::int[] as a`,
        values: [],
      },
      { signal },
    )
    expect(rows).toEqual([{ b: '9007199254740993', n: '1.10', t: '2026-11-22 18:00:00.123456', f: 't', z: null, a: '{1,2}' }])
  })

  test('a query that is aborted while it connects ends at once', async () => {
    const db = postgresPool({ connectionString: await postgres.emptyDatabase(), max: 1 })
    const abort = new AbortController()
    const began = Date.now()
    const slow = db.query({ text: 'select 1 as late from pg_sleep(30)', values: [] }, { signal: abort.signal })
    abort.abort(new Error('stop'))
    await expect(slow).rejects.toThrow('stop')
    expect((await db.query({ text: 'select 2 as n', values: [] }, { signal })).rows).toEqual([{ n: '2' }])
    expect(Date.now() - began).toBeLessThan(10_000)
    await db.close()
  })

  test('a query that runs is aborted as well', async () => {
    const url = await postgres.emptyDatabase()
    const db = postgresPool({ connectionString: url, max: 1 })
    const watcher = await postgres.client(url)
    const abort = new AbortController()
    const slow = db.query({ text: 'select 1 as late from pg_sleep(30)', values: [] }, { signal: abort.signal })
    await eventually(
      'the query runs',
      async () =>
        (
          await watcher.query(
            `select from pg_stat_activity where query like '%as late%' and state = 'active' and datname = current_database() and pid <> pg_backend_pid()`,
          )
        ).rowCount === 1,
    )
    abort.abort(new Error('stop'))
    await expect(slow).rejects.toThrow('stop')
    // On a connection of its own, while the other still sleeps.
    const began = Date.now()
    expect((await db.query({ text: 'select 2 as n', values: [] }, { signal })).rows).toEqual([{ n: '2' }])
    expect(Date.now() - began).toBeLessThan(15_000)
    await db.close()
  })

  test('nothing is asked for a signal that has been aborted before', async () => {
    const db = postgres.pool(await postgres.emptyDatabase())
    await expect(db.query({ text: 'select 1', values: [] }, { signal: AbortSignal.abort(new Error('stopped before')) })).rejects.toThrow('stopped before')
  })

  test('a statement that takes too long is ended by the server, and the connection serves on', async () => {
    const db = postgresPool({ connectionString: await postgres.emptyDatabase(), max: 1, statementTimeoutMs: 50 })
    await expect(db.query({ text: 'select pg_sleep(30)', values: [] }, { signal })).rejects.toMatchObject({ kind: 'unavailable', code: '57014' })
    expect((await db.query({ text: 'select 1 as n', values: [] }, { signal })).rows).toEqual([{ n: '1' }])
    await db.close()
  })

  test('a connection that is killed while it idles is reported, and the next query has a new one', async () => {
    const url = await postgres.emptyDatabase()
    const lost: string[] = []
    const db = postgresPool({ connectionString: url, max: 1, onIdleError: ({ code }) => lost.push(code) })
    await db.query({ text: 'select 1', values: [] }, { signal })
    const killer = await postgres.client(url)
    await killer.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'afluente' and datname = current_database()`)
    await eventually('the loss is reported', () => lost.length > 0)
    expect((await db.query({ text: 'select 1 as n', values: [] }, { signal })).rows).toEqual([{ n: '1' }])
    await db.close()
  })

  test('a session that the server ends under a query serves no other', async () => {
    const url = await postgres.emptyDatabase()
    const db = postgresPool({ connectionString: url, max: 1 })
    const ending = db.query({ text: 'select pg_terminate_backend(pg_backend_pid())', values: [] }, { signal })
    // Asked in the same moment in which the first is told, before the socket has ended.
    const next = ending.catch(async () => db.query({ text: 'select 1 as n', values: [] }, { signal }))
    await expect(ending).rejects.toMatchObject({ kind: 'unavailable', code: '57P01' })
    expect((await next).rows).toEqual([{ n: '1' }])
    await db.close()
  })

  test('a connection that breaks under a query ends that query alone: this process lives on, and the next query has a new one', async () => {
    const url = new URL(await postgres.emptyDatabase())
    const watcher = await postgres.client(url.href)
    const proxy = await startProxyBefore(Number(url.port))
    url.port = String(proxy.port)
    const db = postgresPool({ connectionString: url.href, max: 1 })
    await db.query({ text: 'select 1', values: [] }, { signal })
    const slow = db.query({ text: 'select pg_sleep(30)', values: [] }, { signal })
    const ended = slow.catch((error: unknown) => error)
    await eventually('the query runs', async () => {
      return (
        (
          await watcher.query(
            `select from pg_stat_activity where query like '%pg_sleep(30)%' and state = 'active' and datname = current_database() and pid <> pg_backend_pid()`,
          )
        ).rowCount === 1
      )
    })
    proxy.reset()
    expect(await ended).toMatchObject({ kind: 'unavailable' })
    expect((await db.query({ text: 'select 1 as n', values: [] }, { signal })).rows).toEqual([{ n: '1' }])
    await db.close()
    await proxy.close()
  })

  test('a server that is not there is unavailable, and nothing of the URL is told', async () => {
    const secret = randomUUID()
    const db = postgresPool({ connectionString: `postgres://me:${secret}@127.0.0.1:1/nowhere` })
    const fault = await db.query({ text: 'select 1', values: [] }, { signal }).catch((error: unknown) => error)
    expect(fault).toMatchObject({ kind: 'unavailable', code: 'ECONNREFUSED' })
    expect(String(fault)).not.toContain(secret)
    await db.close()
  })

  test('a database that lacks its tables is misconfigured, and says what to run', async () => {
    const db = postgres.pool(await postgres.emptyDatabase())
    await expect(db.query({ text: 'select 1 from ops.consumer_progress', values: [] }, { signal })).rejects.toMatchObject({
      kind: 'misconfigured',
      code: '42P01',
      message: expect.stringContaining('deploy'),
    })
  })
})
