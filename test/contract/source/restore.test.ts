/** Restores of a whole cluster, each a real one: what the restored database writes wins over all that was delivered before. */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Clusters, makeSource, openClusters, type Server, using } from '../../support/cluster.ts'
import { eventually } from '../../support/poll.ts'
import { asCapture, assertSecondLifeWins, modelSink, mutant, type Place, thingsOf } from '../../support/second-life.ts'
import { backlog, claim, held } from '../../support/source.ts'

const DATABASE = 'supabase'
const placeOf = (server: Server): Place => ({ url: server.url(DATABASE), ownerUrl: server.url(DATABASE, 'project_owner') })

let clusters: Clusters
/** A cluster that has stopped, with a source database and its archive: each test starts from a copy of it. */
let prepared: string
let archive: string
let server: Server

const archiving = () => ({ archive_mode: 'on', archive_command: `cp "%p" "${archive}/%f"` })

beforeAll(async () => {
  clusters = openClusters()
  prepared = clusters.initialise()
  const first = await clusters.start(prepared)
  await makeSource(first, DATABASE)
  await first.stop()
})
afterAll(() => clusters.close())

let life = 0
beforeEach(async () => {
  life += 1
  archive = join(clusters.folder, `archive-${life}`)
  clusters.run('mkdir', [archive])
  server = await clusters.start(copied(prepared, 'life'), archiving())
})
afterEach(() => server.stop('at once'))

function copied(data: string, name: string): string {
  const copy = join(clusters.folder, `${name}-${life}`)
  clusters.run('cp', ['-a', data, copy])
  return copy
}

/** A base backup while the server runs, as a tool takes it that has no programs of Postgres: over SQL, and a copy of the files. */
async function baseBackup(): Promise<string> {
  return await using(server.url('postgres'), async (session) => {
    await session.run(`select pg_backup_start('afluente', true)`)
    const backup = copied(server.data, 'backup')
    const [labels] = await session.run('select labelfile, spcmapfile from pg_backup_stop()')
    rmSync(join(backup, 'postmaster.pid'), { force: true })
    clusters.run('sh', ['-c', 'rm -rf "$1"/pg_wal/* && mkdir "$1/pg_wal/archive_status"', 'sh', backup])
    clusters.run('sh', ['-c', 'printf %s "$2" > "$1/backup_label"', 'sh', backup, labels?.['labelfile'] ?? ''])
    return backup
  })
}

/** Marks this moment, and sees to it that the archive holds everything up to it. */
async function restorePoint(name: string): Promise<void> {
  await using(server.url('postgres'), async (session) => {
    await session.run('select pg_create_restore_point($1)', [name])
    const segment = await session.value('select pg_walfile_name(pg_switch_wal())')
    await eventually('the log is archived', () => existsSync(join(archive, segment ?? '')))
  })
}

async function restoredTo(backup: string, point: string): Promise<Server> {
  clusters.run('touch', [join(backup, 'recovery.signal')])
  return await clusters.start(backup, {
    archive_mode: 'off',
    restore_command: `cp "${archive}/%f" "%p"`,
    recovery_target_name: point,
    recovery_target_action: 'promote',
  })
}

/** The log brings back what was written between the backup and the point. */
async function toAPoint(): Promise<() => Promise<Place>> {
  const backup = await baseBackup()
  await using(server.url(DATABASE, 'project_owner'), (session) => session.run(`insert into public.things values (5000, 'after the backup')`))
  await restorePoint('here')
  return async () => {
    await server.stop()
    server = await restoredTo(backup, 'here')
    return placeOf(server)
  }
}

async function toASnapshot(): Promise<() => Promise<Place>> {
  await server.stop()
  const snapshot = copied(server.data, 'snapshot')
  server = await clusters.start(server.data)
  return async () => {
    await server.stop()
    server = await clusters.start(snapshot)
    return placeOf(server)
  }
}

describe('a base backup restored to a point in time', () => {
  const scenario = { original: () => placeOf(server), copy: toAPoint, refusal: /restored to a point in time/ }

  it('is refused with the reason until a rebase; then what it writes wins, before the rebase and after it', async () => {
    const second = await assertSecondLifeWins(scenario)
    expect(await thingsOf(second)).toMatchObject({ '[5000]': '{"id":5000,"name":"after the backup"}', '[7]': '{"id":7,"name":"before"}' })
  })

  it('without a look at the timeline would be served', async () => {
    const blind = mutant('afluente.moved', 'when known.timeline <>', 'when false and known.timeline <>')
    await expect(assertSecondLifeWins({ ...scenario, alter: blind })).rejects.toThrow('the claim was not refused')
  })
})

describe('a snapshot of the files put back: the same cluster on the same timeline', () => {
  const scenario = { original: () => placeOf(server), copy: toASnapshot, refusal: null }

  it('is not to be told from a restart, so the first claim lifts the versions, of what was written since the start as well', async () => {
    await assertSecondLifeWins(scenario)
  })

  it('without new versions for what was written since the start would lose that', async () => {
    const lazy = mutant('afluente.recognize', /changes := afluente\.renumber\(.*\);/, 'perform afluente.lift(); changes := 0;')
    await expect(assertSecondLifeWins({ ...scenario, alter: lazy })).rejects.toThrow('the sink ends [1] with {"id":1,"name":"lost"}')
  })

  it('without a lift would lose what comes after the claim as well', async () => {
    const blind = mutant('afluente.clock_version', '(extract(epoch from clock_timestamp()) * 1000000)::bigint', '0::bigint')
    await expect(assertSecondLifeWins({ ...scenario, alter: blind })).rejects.toThrow('the sink ends [3] with {"id":3,"name":"lost"}')
  })
})

describe('a snapshot to which somebody writes while the first claim looks at it', () => {
  it('is served, with every table marked for reconciliation: that transaction may end below what was delivered', async () => {
    const sink = modelSink()
    const write = (sql: string) => using(placeOf(server).ownerUrl, (session) => session.run(sql))
    await write(`create table public.things (id int primary key, name text); select afluente.capture_table('public.things')`)
    await write(`insert into public.things values (1, 'first')`)
    await server.stop()
    const snapshot = copied(server.data, 'snapshot')
    server = await clusters.start(server.data)
    await write(`do $$ begin for n in 1..100 loop update public.things set name = 'lost'; end loop; end $$`)
    await sink.take(placeOf(server))
    await server.stop()
    server = await clusters.start(snapshot)
    const place = placeOf(server)
    await using(place.ownerUrl, async (user) => {
      await user.run(`begin; update public.things set name = 'open'`)
      expect((await asCapture(place.url, (session) => claim(session, 'reader', { lease: '1 millisecond' }))).status).toBe('held')
      await user.run('commit')
    })
    await sink.take(place)
    const { tables } = await asCapture(place.url, backlog)
    expect(tables.filter(({ reconcileSince }) => reconcileSince === null)).toEqual([])
  })
})

describe('a server that was only restarted', () => {
  const restarts: readonly ('cleanly' | 'at once')[] = ['cleanly', 'at once']
  it.each(restarts)('%s goes on by itself: nothing is refused, marked, lost or old', async (how) => {
    const place = placeOf(server)
    const sink = modelSink()
    await using(place.ownerUrl, (session) =>
      session.run(`
        create table public.things (id int primary key, name text);
        select afluente.capture_table('public.things');
        insert into public.things values (1, 'delivered')`),
    )
    await sink.take(place)
    await using(place.ownerUrl, (session) => session.run(`update public.things set name = 'waits'; insert into public.things values (2, 'waits')`))
    await server.stop(how)
    server = await clusters.start(server.data)
    const again = placeOf(server)
    await using(again.ownerUrl, (session) => session.run(`update public.things set name = 'since the start' where id = 2`))
    expect((await asCapture(again.url, (session) => claim(session, 'reader'))).status).toBe('held')
    const { refused, tables } = await asCapture(again.url, backlog)
    expect([refused, tables.filter(({ reconcileSince }) => reconcileSince !== null)]).toEqual([null, []])
    await using(again.ownerUrl, (session) => session.run(`update public.things set name = 'after the claim' where id = 1`))
    await asCapture(again.url, async (session) => session.run(`select afluente.release(0, $1)`, [(await held(session, 'reader')).epoch]))
    await sink.take(again)
    expect(sink.rows()).toEqual(await thingsOf(again))
  })

  it('makes no user wait for a claim that waits for the lease of before', async () => {
    await asCapture(placeOf(server).url, (session) => held(session, 'of before', { lease: '10 minutes' }))
    await server.stop()
    server = await clusters.start(server.data)
    const began = performance.now()
    const answer = await asCapture(placeOf(server).url, (session) => claim(session, 'reader', { wait: '5 seconds' }))
    expect([answer.status, performance.now() - began < 3_000]).toEqual(['busy', true])
    expect((await asCapture(placeOf(server).url, (session) => claim(session, 'of before', { lease: '10 minutes' }))).status).toBe('held')
  })
})
