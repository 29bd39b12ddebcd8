/** What random schemas and statements have found, each as small as it gets. */
import { expect, it } from 'vitest'
import { assertEndsEqual } from '../../support/source-properties.ts'
import { freshSource } from '../../support/source.ts'

const source = freshSource()

const items = `create table public.items (id int primary key, name text); select afluente.capture_table('public.items')`

it('a column whose name would end the quotes around the trigger’s text is a column like others', async () => {
  await source.run(`create table public.odd ("$capture$" int primary key, "$read$" text); select afluente.capture_table('public.odd')`)
  await source.run('insert into public.odd values (1)')
  expect((await source.outbox()).map(({ key }) => key)).toEqual(['[1]'])
})

it('a table with an excluded column keeps what json holds and no text can', async () => {
  await source.run(`create table public.docs (id int primary key, doc json, "hi\\de" text);
    select afluente.capture_table('public.docs', exclude => array['hi\\de'])`)
  const docs = ['{"a":"\\u0000"}', '["\\ud800", "\\\\u0000", "\\\\\\u0041", "\\n\\""]', '"\\u00e9"']
  for (const [id, doc] of docs.entries()) await source.run(`insert into public.docs values ($1, $2, 'hidden')`, [id, doc])
  expect((await source.outbox()).map(({ after }) => after)).toEqual(docs.map((doc, id) => `{"id":${id},"doc":${doc}}`))
  expect(await source.value(`select count(*) from afluente.failures`)).toBe('0')
})

it('an old snapshot that still sees a row which somebody else has deleted, and puts its key in again: the new row arrives last', async () => {
  await source.run(items)
  await source.run(`insert into public.items values (1, 'old')`)
  const [patient, other] = [await source.connect(), await source.connect()]
  await patient.run('begin isolation level repeatable read')
  await patient.run('select * from public.items')
  await other.run('delete from public.items')
  await patient.run(`insert into public.items values (1, 'new')`)
  await patient.run('commit')
  await assertEndsEqual(source, 'public.items', 'id')
  expect((await source.outbox()).map(({ op }) => op)).toEqual(['insert', 'delete', 'insert'])
})

it('a TRUNCATE under an old snapshot: rows that came after it are gone as well', async () => {
  await source.run(items)
  const [patient, other] = [await source.connect(), await source.connect()]
  await patient.run('begin isolation level repeatable read')
  await patient.run('select * from public.items')
  await other.run(`insert into public.items values (1, 'unseen')`)
  await patient.run('truncate public.items')
  await patient.run('commit')
  const last = (await source.outbox()).at(-1)
  expect([last?.op, last?.key]).toSatisfy(([op, key]: string[]) => op === 'truncate' || (op === 'delete' && key === '[1]'))
})

it('a TRUNCATE under a snapshot from before somebody else’s, twice', async () => {
  await source.run(items)
  const [patient, other] = [await source.connect(), await source.connect()]
  await patient.run('begin isolation level repeatable read; select 1')
  await other.run('truncate public.items')
  await patient.run(`truncate public.items; insert into public.items values (1, 'a'); truncate public.items; commit`)
  expect(await source.run('select * from afluente.failures')).toEqual([])
  expect((await source.outbox()).at(-1)?.op).toBe('truncate')
})

it('a SERIALIZABLE transaction whose conflict shows when its row is read back fails, as Postgres asks of it, and is tried again: no change is lost', async () => {
  await source.run(`${items}; create table public.notes (n int); insert into public.notes values (1); insert into public.items values (1, 'old')`)
  const [pivot, reader, other] = [await source.connect(), await source.connect(), await source.connect()]
  const begin = 'begin isolation level serializable'
  await reader.run(`${begin}; select * from public.notes; insert into public.notes values (2)`)
  await pivot.run(`${begin}; update public.notes set n = 3 where n = 1`)
  await other.run(`${begin}; delete from public.items; commit`)
  await expect(pivot.run(`insert into public.items values (1, 'new')`)).rejects.toThrow('could not serialize')
  await pivot.run(`rollback; ${begin}; insert into public.items values (1, 'again'); commit`)
  await reader.run('rollback')
  expect(await source.run('select * from afluente.failures')).toEqual([])
  await assertEndsEqual(source, 'public.items', 'id')
})

it('a partition that was detached a moment ago writes nothing into the table’s stream, where its keys may live on', async () => {
  await source.run(`create table public.log (id int primary key, name text) partition by range (id);
    create table public.old_log partition of public.log for values from (0) to (10); select afluente.capture_table('public.log');
    alter table public.log detach partition public.old_log;
    create table public.new_log partition of public.log for values from (0) to (10)`)
  const [user, other] = [await source.connect(), await source.connect()]
  await user.run(`begin; insert into public.log values (1, 'alive')`)
  await other.run(`insert into public.old_log values (1, 'gone'); update public.old_log set name = 'still'; delete from public.old_log;
    insert into public.old_log values (1, 'gone'); truncate public.old_log`)
  await user.run('commit')
  expect((await source.outbox()).map(({ op, key }) => [op, key])).toEqual([['insert', '[1]']])
  expect(new Set((await source.run('select failure from afluente.failures')).map((row) => row['failure']))).toEqual(
    new Set([
      '55000: a partition was written after it was detached, or the table was renamed',
      '55000: a partition was truncated after it was detached, or the table was renamed',
      '55000: rows came into a partition before a sweep had seen it',
    ]),
  )
})
