/** Rows that come by logical replication fire no statement's trigger. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { backlog, openSource, type Source } from '../../support/source.ts'

let postgres: TestPostgres
let [publisher, subscriber]: readonly [Source?, Source?] = []

beforeAll(async () => {
  postgres = await startPostgres()
  publisher = await openSource(postgres)
  subscriber = await openSource(postgres)
  await publisher.run('create table public.mirrored (id int primary key); create publication p for table public.mirrored')
  await subscriber.run('create table public.mirrored (id int primary key)')
})
afterAll(async () => {
  await (await subscriber?.connect('superuser'))?.run('alter subscription s disable; alter subscription s set (slot_name = none); drop subscription s')
  await Promise.all([publisher?.close(), subscriber?.close()])
  await postgres.stop()
})

it('a table that a subscription writes into is told of once it is captured, and refused before', async () => {
  if (publisher === undefined || subscriber === undefined) throw new Error('There are no databases')
  await subscriber.run(`select afluente.capture_table('public.mirrored')`)
  const superuser = await subscriber.connect('superuser')
  await superuser.run(
    `create subscription s connection '${publisher.database.url}' publication p with (create_slot = false, enabled = false, slot_name = 'none_such')`,
  )
  expect((await backlog(subscriber)).tables.find(({ table }) => table === 'public.mirrored')?.problem).toMatch(/^a subscription of logical replication/)
  await subscriber.run(`select afluente.release_table('public.mirrored')`)
  await expect(subscriber.run(`select afluente.capture_table('public.mirrored')`)).rejects.toThrow('rows come into public.mirrored by logical replication')
})
