/** One database in which one random schema after the other lives, is written by several sessions, and is compared with its stream. */
import { compare } from './model.ts'
import { playAtOnce, playInTurns } from './play.ts'
import { randomFrom, type Random } from './random.ts'
import { createReaders, type Readers } from './readers.ts'
import { randomSchema, type Schema, type Table } from './schema.ts'
import { randomScript, type Step } from './script.ts'
import { SCHEMA } from './kinds.ts'
import type { TestPostgres } from '../postgres.ts'
import { openSource, type Source } from '../source.ts'

export interface Figures {
  readonly tables: number
  readonly statements: number
  /** Of them, those that Postgres refused. */
  readonly refused: number
  readonly events: number
}

/** A fault in Afluente instead of the real thing, to show that it would be found. */
export interface Mutant {
  /** Before any session writes. */
  readonly inDatabase?: (source: Source) => Promise<void>
  /** After a table was captured. */
  readonly inTable?: (source: Source, table: Table) => Promise<void>
}

export interface World {
  /** Throws a `FuzzFailure` when anything is not as it must be. */
  run(seed: number): Promise<Figures>
  close(): Promise<void>
}

/** What went wrong, and all that is needed to see it again by hand. */
export class FuzzFailure extends Error {
  override readonly name = 'FuzzFailure'
  readonly seed: number
  readonly script: string

  constructor(seed: number, script: string, cause: unknown) {
    super(`Seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.seed = seed
    this.script = script
  }
}

/** What could not even be noted stands in the log alone. */
const lostFailures = `
  select line from regexp_split_to_table(pg_read_file(current_setting('data_directory') || '/../log'), '\n') line
  where line like '%was not captured%'`

const WRITERS = [false, true, false, true] as const
const STATEMENTS = 40
/** A connection keeps the plans of functions that are gone, and looks through them at each change of a table. */
const SCHEMAS_A_CONNECTION = 5
const SMALL_TRUNCATE = 3

/** A partition that goes marks its table, though nothing was in it, and so does whoever writes it before a sweep has seen that. Who writes a partition directly reads its rows back through the whole, which locks made by others can forbid: that marks the table too, and its end is then open. */
const expectedOfPartitions = /^(?:55000: (?:partitions|a partition was)|55P03|40P01)/

/** Every failure that was noted, also those that were added up meanwhile. */
const keepFailures = `
  create schema afluente_fuzz;
  create table afluente_fuzz.failures (source_table text, failure text);
  create function afluente_fuzz.keep() returns trigger language plpgsql security definer as $$
    begin insert into afluente_fuzz.failures values (new.source_table, new.failure); return null; end $$;
  create trigger keep after insert on afluente.failures for each row execute function afluente_fuzz.keep();
  alter table afluente.failures enable always trigger keep`

export async function openWorld(postgres: TestPostgres, mutant: Mutant = {}): Promise<World> {
  const source = await openSource(postgres)
  const admin = await source.connect('superuser')
  const name = (await admin.value('select current_database()')) ?? ''
  await admin.run(`create extension if not exists citext schema extensions;
    alter database ${name} set deadlock_timeout = '20ms'; alter database ${name} set statement_timeout = '5s';
    grant create on database ${name} to project_owner;
    ${keepFailures}`)
  const truncateAlways = await admin.value(`select pg_get_functiondef('afluente.capture_truncate'::regproc)`)
  await mutant.inDatabase?.(source)
  const connectAll = () => Promise.all(WRITERS.map((superuser) => source.connect(superuser ? 'superuser' : 'owner')))
  let sessions = await connectAll()
  let played = 0
  const clock = await source.connect()
  const reader = await source.connect()
  await reader.run('set role service_role')
  // As the triggers print.
  await admin.run(`set timezone = 'UTC'; set search_path = ''; set intervalstyle = 'postgres'; set datestyle = 'ISO, YMD'`)

  /** So that a handful of rows is many, now and then: a floor then, and no deletes. */
  const lowerFloor = async (low: boolean) => {
    const definition = truncateAlways ?? ''
    const lowered = definition.replaceAll('100001', String(SMALL_TRUNCATE + 1)).replaceAll('100000', String(SMALL_TRUNCATE))
    if (lowered === definition) throw new Error('afluente.capture_truncate has no number to lower')
    await source.run(low ? lowered : definition)
  }

  const setUp = async (schema: Schema, random: Random): Promise<{ readers: Readers; shards: number }> => {
    await source.run(`create schema ${SCHEMA}`)
    await source.run(schema.ddl.join(';\n'))
    for (const [at, call] of schema.capture.entries()) {
      await source.run(call)
      const table = schema.tables[at]
      if (table !== undefined) await mutant.inTable?.(source, table)
    }
    const shards = random.pick([1, 4, 8])
    await clock.run(`select afluente.set_shards(${shards})`)
    if (random.chance(0.3)) await lowerFloor(true)
    return { shards, readers: createReaders({ session: reader, clock, random: random.fork(), shards }) }
  }

  const tearDown = async () => {
    await Promise.all(sessions.map((session) => session.run('rollback').catch(() => undefined)))
    for (const { gid } of await admin.run('select gid from pg_prepared_xacts where database = current_database()'))
      await admin.run(`rollback prepared '${gid}'`)
    await source.run(`select afluente.release_table(table_oid) from afluente.captured_tables where schema_name = '${SCHEMA}'`)
    await admin.run(`set client_min_messages = warning; drop schema if exists ${SCHEMA} cascade`)
    await admin.run('delete from afluente.outbox; delete from afluente.failures; delete from afluente_fuzz.failures')
    await lowerFloor(false)
    played += 1
    if (played % SCHEMAS_A_CONNECTION === 0) {
      await Promise.all(sessions.map((session) => session.close()))
      sessions = await connectAll()
    } else await Promise.all(sessions.map((session) => session.run('discard all')))
  }

  const check = async (schema: Schema, readers: Readers) => {
    for (const { gid } of await admin.run('select gid from pg_prepared_xacts where database = current_database() order by gid')) {
      await admin.run(`commit prepared '${gid}'`)
    }
    // A change of the number of shards that was cut short in its last moment is mended by a sweep.
    await source.run('select afluente.sweep()')
    await readers.drain()
    const stuck = await source.outbox()
    if (stuck.length > 0) throw new Error(`${stuck.length} changes stay in the outbox: ${JSON.stringify(stuck[0])}`)
    const failures = await admin.run('select source_table, failure from afluente_fuzz.failures where failure is not null')
    const ofPartitions = (table: string | null) => schema.tables.some(({ plainName, partitions }) => plainName === table && partitions.length > 0)
    const real = failures.filter(({ source_table, failure }) => !(ofPartitions(source_table ?? null) && expectedOfPartitions.test(failure ?? '')))
    if (real.length > 0) throw new Error(`A trigger failed: ${JSON.stringify(real)}`)
    const marked = new Set(failures.filter(({ failure }) => failure?.startsWith('55000') !== true).map(({ source_table }) => source_table))
    const comparable = schema.tables.filter(({ plainName }) => !marked.has(plainName))
    const committed = new Set((await admin.run(`select stamp from ${SCHEMA}.stamps`)).map(({ stamp }) => stamp ?? ''))
    await compare(admin, comparable, readers.log, committed)
  }

  return {
    run: async (seed) => {
      const random = randomFrom(seed)
      const schema = randomSchema(random)
      const lines = [`-- seed ${seed}`, `create schema ${SCHEMA};`, ...schema.ddl.map((sql) => `${sql};`), ...schema.capture.map((sql) => `${sql};`)]
      const note = (line: string) => lines.push(line)
      let stamps = 0
      let prepared = 0
      const script = (statements: number): Step[] =>
        randomScript({
          random,
          tables: schema.tables,
          sessions: WRITERS.slice(0, 2 + random.below(3)).map((superuser) => ({ superuser })),
          statements,
          stamp: () => `s${(stamps += 1)}`,
          prepared: () => `${name} ${seed} ${(prepared += 1)}`,
        })
      const scripts = [script(STATEMENTS), script(STATEMENTS)]
      let log: Readers['log'] = new Map()
      try {
        const { readers, shards } = await setUp(schema, random)
        log = readers.log
        note(`-- ${shards} shards`)
        const deps = { sessions, readers, random: random.fork(), note }
        for (const [at, steps] of scripts.entries()) {
          note(at === 0 ? '-- in turns' : '-- at once')
          await (at === 0 ? playInTurns : playAtOnce)(deps, steps)
          await check(schema, readers)
        }
        const done = lines.filter((line) => line.startsWith('/*'))
        const refused = done.filter((line) => !line.endsWith('-- done'))
        return { tables: schema.tables.length, statements: done.length, refused: refused.length, events: readers.log.size }
      } catch (error) {
        for (const event of [...log.values()].toSorted((a, b) => a.version - b.version)) note(`-- ${JSON.stringify(event)}`)
        for (const { line } of await admin.run(lostFailures)) note(`-- the server's log: ${line ?? ''}`)
        throw new FuzzFailure(seed, lines.join('\n'), error)
      } finally {
        await tearDown()
      }
    },
    close: () => source.close(),
  }
}
