/** Copies of a database: dumped and restored, made from a template, branched. What the copy writes wins over all that was delivered before. */
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { rebaseSource } from '../../../infra/deploy/rebase.ts'
import { type Clusters, dumpPrograms, makeRoles, makeSource, openClusters, type Server, using } from '../../support/cluster.ts'
import { copyByHand } from '../../support/copy-by-hand.ts'
import { asCapture, assertSecondLifeWins, modelSink, mutant, type Place } from '../../support/second-life.ts'
import { backlog, type ClaimedRow, claim, held } from '../../support/source.ts'

const placeOf = (server: Server, database: string): Place => ({ url: server.url(database), ownerUrl: server.url(database, 'project_owner') })

let databases = 0
const newName = () => {
  databases += 1
  return `source_${databases}`
}

/** A source database of a test's own. */
async function newSource(server: Server): Promise<Place> {
  const name = newName()
  await makeSource(server, name)
  return placeOf(server, name)
}

async function copyByTemplate(server: Server, { url }: Place): Promise<Place> {
  const name = newName()
  await using(server.url('postgres'), (session) => session.run(`create database ${name} template ${new URL(url).pathname.slice(1)}`))
  return placeOf(server, name)
}

interface Way {
  readonly name: string
  readonly bin: string | undefined
  /** Of everything in the database now; what it resolves with puts it into another cluster. */
  readonly dump: (clusters: Clusters, from: Place) => Promise<(to: Server) => Promise<Place>>
}

const byHand: Way = {
  name: 'a dump as pg_dump makes it, made by hand',
  bin: process.env['TEST_POSTGRES_BIN'],
  dump: async (_clusters, from) => async (to) => {
    const copy = await newSource(to)
    await copyByHand(from.url, copy.url)
    return copy
  },
}

const programs = dumpPrograms()
const byProgram = (bin: string): Way => ({
  name: `pg_dump | psql, with the server and programs in ${bin}`,
  bin,
  dump: async (clusters, from) => {
    const name = newName()
    const file = join(clusters.folder, `${name}.sql`)
    clusters.run(join(bin, 'pg_dump'), ['--dbname', from.url, '--file', file])
    return async (to) => {
      await makeRoles(to)
      await using(to.url('postgres'), (session) => session.run(`create database ${name} template template0`))
      clusters.run(join(bin, 'psql'), ['--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--dbname', to.url(name), '--file', file])
      return placeOf(to, name)
    }
  },
})

describe.each(programs === undefined ? [byHand] : [byHand, byProgram(programs)])('$name', ({ bin, dump }) => {
  let clusters: Clusters
  let server: Server
  let elsewhere: Server
  let original: Place

  beforeAll(async () => {
    clusters = openClusters(bin)
    server = await clusters.start(clusters.initialise())
    elsewhere = await clusters.start(clusters.initialise())
  })
  afterAll(() => clusters.close())
  beforeEach(async () => {
    original = await newSource(server)
  })

  it('in another cluster is refused with the reason until a rebase; then what it writes wins, before the rebase and after it', async () => {
    await assertSecondLifeWins({
      original: () => original,
      copy: async () => {
        // What is made by hand has no file in between: it is copied from a database that stands still.
        const still = await copyByTemplate(server, original)
        const restore = await dump(clusters, still)
        return () => restore(elsewhere)
      },
      refusal: /into another cluster/,
    })
  })

  it('in the same cluster as well', async () => {
    await assertSecondLifeWins({
      original: () => original,
      copy: async () => {
        const still = await copyByTemplate(server, original)
        const restore = await dump(clusters, still)
        return () => restore(server)
      },
      refusal: /copy of another one/,
    })
  })

  const SECRET = 'S3CRET'
  /** Every kind of statement, each with a value that must not leave the database. */
  const statements = [
    `update public.people set name = name || '!', secret = '${SECRET} again'`,
    'update public.people set id = 33 where id = 3',
    'delete from public.people where id = 2',
    `insert into public.people values (4, 'Lia', '${SECRET}', 'tail')`,
    'truncate public.people',
    `insert into public.people values (5, 'Ivo', '${SECRET}', 'tail')`,
  ]
  const LEAKS = `select string_agg(op, ', ') from afluente.outbox o where row_to_json(o.*)::text like '%${SECRET}%'`

  /** A copy whose column of that number is another one: the dropped one before it is gone. */
  const renumbered = async () => {
    await using(original.ownerUrl, async (session) => {
      await session.run(`
        create table public.people (gone text, id int primary key, name text, secret text, tail text);
        alter table public.people drop column gone;
        select afluente.capture_table('public.people', exclude => array['secret'], with_before => true);
        insert into public.people select n, 'Ana', '${SECRET}', 'tail' from generate_series(1, 3) n`)
      expect(await session.value(`select attnum from pg_attribute where attrelid = 'public.people'::regclass and attname = 'secret'`)).toBe('4')
    })
    const copy = await (await dump(clusters, original))(elsewhere)
    const fourth = `select attname from pg_attribute where attrelid = 'public.people'::regclass and attnum = 4`
    expect(await using(copy.url, (session) => session.value(fourth))).toBe('tail')
    return copy
  }

  it('with columns numbered anew never lets an excluded column into the outbox, before the rebase or after it', async () => {
    const copy = await renumbered()
    await using(copy.ownerUrl, async (session) => {
      for (const statement of statements) await session.run(statement)
      expect(await session.value(LEAKS)).toBeNull()
      expect(await session.value('select count(failure) from afluente.failures')).toBe('0')

      await rebaseSource(copy.ownerUrl)
      expect(await session.value('select failures from afluente.captured_tables where table_name = $1', ['people'])).toBe('0')
      for (const statement of statements) await session.run(statement)
      await session.run(`insert into public.people values (6, 'Noa', '${SECRET}', 'tail')`)
      expect(await session.value(LEAKS)).toBeNull()
      const sink = modelSink()
      await sink.take(copy)
      const rows = await session.run('select id, name, tail from public.people')
      expect(sink.rows()).toEqual(Object.fromEntries(rows.map(({ id, name, tail }) => [`[${id}]`, JSON.stringify({ id: Number(id), name, tail })])))
    })
  })

  it('with columns numbered anew would let it out, did the trigger neither see that it is another table nor hide by name', async () => {
    const copy = await renumbered()
    await using(copy.ownerUrl, async (session) => {
      const name = await session.value(`select function_name from afluente.captured_tables where table_name = 'people'`)
      const definition = (await session.value(`select pg_get_functiondef('afluente.${name}'::regproc)`)) ?? ''
      const nameless = definition.replace(` || '{secret}'::text[]`, '')
      const blind = nameless.replace(/regclass <> \d+::oid/, 'regclass is null')
      expect([nameless === definition, blind === nameless]).toEqual([false, false])
      await session.run(blind)
      for (const statement of statements) await session.run(statement)
      expect(await session.value(LEAKS)).toContain('insert')
      await session.run(definition.replace(/regclass <> \d+::oid/, 'regclass is null'))
      await session.run('delete from afluente.outbox; update public.people set name = name')
      expect(await session.value(LEAKS)).toBeNull()
    })
  })
})

describe('within one cluster', () => {
  let clusters: Clusters
  let server: Server
  let original: Place

  beforeAll(async () => {
    clusters = openClusters()
    server = await clusters.start(clusters.initialise())
  })
  afterAll(() => clusters.close())
  beforeEach(async () => {
    original = await newSource(server)
  })

  /** The copy stands from the moment that it is taken. */
  const byTemplate = async () => {
    const copy = await copyByTemplate(server, original)
    return async () => copy
  }
  const scenario = (alter?: (copy: Place) => Promise<void>) =>
    assertSecondLifeWins({ original: () => original, copy: byTemplate, refusal: /a copy of another one/, ...(alter === undefined ? {} : { alter }) })

  it('a copy by CREATE DATABASE … TEMPLATE is refused until a rebase; then what it writes wins', async () => {
    await expect(scenario()).resolves.toBeDefined()
  })

  it('the database itself goes on while copies are made of it', async () => {
    await copyByTemplate(server, original)
    expect((await asCapture(original.url, (session) => claim(session, 'reader'))).status).toBe('held')
    expect(await rebaseSource(original.ownerUrl)).toEqual({ status: 'unchanged' })
  })

  it('a branch, with the migrations applied afresh and the data copied in, works from the start', async () => {
    const branch = await newSource(server)
    await using(branch.ownerUrl, (session) => session.run(`insert into public.leads (id, name) values ('00000000-0000-4000-8000-000000000001', 'copied')`))
    const { rows } = await asCapture(branch.url, (session) => held(session, 'reader'))
    expect(rows.map((row) => row[3])).toEqual(['["00000000-0000-4000-8000-000000000001"]'])
    expect(await rebaseSource(branch.ownerUrl)).toEqual({ status: 'unchanged' })
  })

  it('a rebase leaves the versions near the clock, however long changes have waited: the next restore is lifted above them too', async () => {
    await using(original.ownerUrl, (session) =>
      session.run(`
        create table public.things (id int primary key, name text);
        select afluente.capture_table('public.things');
        select setval('afluente.version', last_value - 86400000000) from afluente.version;
        insert into public.things values (1, 'a day ago');
        select setval('afluente.version', last_value + 86400000000) from afluente.version;
        insert into public.things values (2, 'now')`),
    )
    const copy = await copyByTemplate(server, original)
    const done = await rebaseSource(copy.ownerUrl)
    expect(done.status === 'rebased' && done.to - Date.now() * 1_000).toBeLessThan(60_000_000)
    const versions = await using(copy.url, (session) => session.run('select version, key from afluente.outbox order by version'))
    expect(versions.map(({ key }) => key)).toEqual(['[1]', '[2]'])
  })

  it('a column that was excluded and then renamed stays excluded through a rebase', async () => {
    await using(original.ownerUrl, (session) =>
      session.run(`
        create table public.people (id int primary key, secret text, name text);
        select afluente.capture_table('public.people', exclude => array['secret']);
        alter table public.people rename column secret to hidden`),
    )
    const copy = await copyByTemplate(server, original)
    await rebaseSource(copy.ownerUrl)
    await using(copy.ownerUrl, (session) => session.run(`insert into public.people values (1, 'S3CRET', 'Ana')`))
    const { rows } = await asCapture(copy.url, (session) => held(session, 'reader'))
    expect(rows.map((row: ClaimedRow) => row[6])).toEqual(['{"id":1,"name":"Ana"}'])
  })

  it('a table that can’t be captured any more holds up no rebase, and is told', async () => {
    await using(original.ownerUrl, (session) =>
      session.run(`
        create table public.keyless (id int primary key);
        select afluente.capture_table('public.keyless');
        alter table public.keyless drop constraint keyless_pkey`),
    )
    const copy = await copyByTemplate(server, original)
    expect(await rebaseSource(copy.ownerUrl)).toMatchObject({ status: 'rebased', tables: ['public.chat_sessions', 'public.keyless', 'public.leads'] })
    const { refused, tables } = await asCapture(copy.url, backlog)
    expect(refused).toBeNull()
    expect(tables.find(({ table }) => table === 'public.keyless')).toMatchObject({
      failures: 1,
      lastFailure: expect.stringContaining('has no primary key') as unknown,
    })
  })

  describe('without a guard', () => {
    it('a claim that doesn’t ask which database this is: a copy is served', async () => {
      await expect(scenario(mutant('afluente.claim', 'elsewhere := afluente.recognize();', ''))).rejects.toThrow('the claim was not refused')
    })

    it('an identity without the database: a copy is served', async () => {
      const blind = async (copy: Place) => {
        await mutant('afluente.recognize', 'known.database_oid =', 'known.database_oid <>')(copy)
        await mutant('afluente.moved', 'when known.database_oid <> d.oid', 'when false')(copy)
      }
      await expect(scenario(blind)).rejects.toThrow('the claim was not refused')
    })

    it('a rebase that doesn’t lift the sequence: the copy’s changes lose', async () => {
      await expect(scenario(mutant('afluente.clock_version', '(extract(epoch from clock_timestamp()) * 1000000)::bigint', '0::bigint'))).rejects.toThrow(
        'the sink ends',
      )
    })

    it('a rebase that doesn’t renumber what waits: what was written before it loses', async () => {
      await expect(scenario(mutant('afluente.rebase', /changes := afluente\.renumber\(.*\);/, 'perform afluente.lift(); changes := 0;'))).rejects.toThrow(
        'the sink ends [1] with {"id":1,"name":"lost"}, the table has {"id":1,"name":"before"}',
      )
    })

    it('a rebase that leaves the epochs: the holder of before may still acknowledge', async () => {
      await expect(scenario(mutant('afluente.rebase', 'perform afluente.raise_epochs();', ''))).rejects.toThrow('may acknowledge')
    })

    it('a rebase that marks nothing: what the sinks have too much is never found', async () => {
      await expect(
        scenario(mutant('afluente.rebase', 'set reconcile_since = coalesce(c.reconcile_since, clock_timestamp())', 'set reconcile_since = null')),
      ).rejects.toThrow('must be reconciled')
    })
  })
})
