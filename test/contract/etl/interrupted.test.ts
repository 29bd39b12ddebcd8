/** Runs that are killed, doubled, woken up too late, cancelled, or whose source goes away. */
import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { postgresEtlSource } from '../../../shared/adapters/postgres/etl-source.ts'
import { sourceDb } from '../../../shared/adapters/postgres/source-db.ts'
import { createEtlStep } from '../../../shared/engine/etl-run.ts'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import type { EtlPage } from '../../../shared/ports/etl-source.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { itemsJob, openWorld, type World } from './world.ts'

const postgres = realPostgres()
const { signal } = new AbortController()
const FILL = `insert into items (id, name, n) select i, 'name ' || i, i from generate_series(1, 35) as i`

async function filled(over: Parameters<typeof openWorld>[1] = {}): Promise<World> {
  const world = await openWorld(postgres, over)
  await world.source.query(FILL)
  return world
}

/** Lets go of the lease as time would. */
const expire = ({ silver }: World) => silver.query(`update ops.etl_job set leased_until = clock_timestamp() - interval '1 second'`)

describe('a run that is', () => {
  test('killed in the middle of a page goes on where it was, and says that it was taken up again', async () => {
    const world = await filled()
    const { copy, deps, finish, silver, start, truth } = world
    const run = await start()
    const { store } = deps()
    let writes = 0
    const dying = {
      ...store,
      write: async (...args: Parameters<typeof store.write>) => {
        writes += 1
        // The process has gone, and its statement with it: nothing answers, nothing is let go.
        if (writes === 3) return new Promise<never>(() => undefined)
        return store.write(...args)
      },
    }
    void createEtlStep(deps({ store: dying }))({ run: run.id, owner: 'dead', budgetMs: 60_000, signal })
    await expect.poll(() => writes, { timeout: 20_000 }).toBe(3)
    expect((await silver.query('select count(*)::int as n from silver.items_copy')).rows).toEqual([{ n: 20 }])
    const busy = await createEtlStep(deps())({ run: run.id, owner: 'next', budgetMs: 60_000, signal })
    expect(busy.status).toBe('busy')
    await expire(world)
    expect(await finish(run)).toMatchObject({ status: 'success', extracted: 35, inserted: 35, pages: 4, attempt: 2 })
    expect(await copy()).toEqual(await truth())
  })

  test('a session that the server ends in the middle of a page', async () => {
    const world = await filled()
    const { copy, deps, finish, silver, start, truth } = world
    const run = await start()
    const { store } = deps()
    let writes = 0
    const cut = {
      ...store,
      write: async (...args: Parameters<typeof store.write>) => {
        writes += 1
        const writing = store.write(...args)
        // It may fail before it is looked at, below.
        writing.catch(() => undefined)
        if (writes === 2)
          await silver.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'afluente' and datname = current_database()`)
        return writing
      },
    }
    const end = await createEtlStep(deps({ store: cut }))({ run: run.id, owner: 'a', budgetMs: 60_000, signal })
    if (end.status === 'waiting') expect(end.run).toMatchObject({ status: 'running', attempt: 2 })
    const done = end.status === 'ended' ? end.run : await finish(run)
    expect(done).toMatchObject({ status: 'success', extracted: 35, inserted: 35 })
    expect(await copy()).toEqual(await truth())
  })

  test('a zombie after its lease: it writes nothing, not rows, counts or an end', async () => {
    const world = await filled()
    const { copy, deps, finish, source, start, truth } = world
    const run = await start()
    const { store } = deps()
    const woken = Promise.withResolvers<void>()
    let asleep = false
    const sleeping = {
      ...store,
      write: async (...args: Parameters<typeof store.write>) => {
        asleep = true
        await woken.promise
        return store.write(...args)
      },
    }
    const zombie = createEtlStep(deps({ store: sleeping }))({ run: run.id, owner: 'zombie', budgetMs: 60_000, signal })
    await expect.poll(() => asleep, { timeout: 20_000 }).toBe(true)
    await source.query(`update items set name = 'newer' where id = 1`)
    await expire(world)
    const ended = await finish(run)
    woken.resolve()
    expect((await zombie).status).toBe('busy')
    expect(await world.control.find(run.id, { signal })).toEqual(ended)
    expect(await copy()).toEqual(await truth())
  })

  test('worked on by two at once is worked on by one', async () => {
    const { copy, deps, start, truth, silver } = await filled()
    const run = await start()
    const step = createEtlStep(deps())
    const ends = await Promise.all(Array.from({ length: 4 }, () => step({ run: run.id, owner: randomUUID(), budgetMs: 60_000, signal })))
    expect(ends.map(({ status }) => status).filter((status) => status === 'ended').length).toBeGreaterThan(0)
    expect(ends.every(({ status }) => status === 'ended' || status === 'busy')).toBe(true)
    expect((await silver.query('select rows_extracted, rows_inserted from ops.etl_control')).rows).toEqual([{ rows_extracted: '35', rows_inserted: '35' }])
    expect(await copy()).toEqual(await truth())
  })

  test('cut into steps of one page each has the same end', async () => {
    const { copy, finish, reconcile, run, source, start, truth } = await filled()
    expect(await finish(await start(), {}, 0)).toMatchObject({ status: 'success', inserted: 35, pages: 4, attempt: 1 })
    await source.query('update items set n = 1 where id = 7')
    expect(await finish(await start({ loadType: 'reconcile' }), {}, 0)).toMatchObject({ updated: 1, seen: 35 })
    expect(await copy()).toEqual(await truth())
    await run()
    await reconcile()
  })

  test('cancelled ends before its next page, and its watermark stays', async () => {
    const { control, deps, start } = await filled()
    const run = await start()
    const step = createEtlStep(deps())
    expect((await step({ run: run.id, owner: 'a', budgetMs: 0, signal })).status).toBe('more')
    await control.cancel({ id: run.id, actor: 'operator' }, { signal })
    expect(await step({ run: run.id, owner: 'a', budgetMs: 60_000, signal })).toMatchObject({
      status: 'ended',
      run: { status: 'cancelled', pages: 1, watermarkEnd: null },
    })
  })

  test('interrupted by its signal lets go of its lease', async () => {
    const { deps, finish, start } = await filled()
    const run = await start()
    const ending = new AbortController()
    const { store } = deps()
    const interrupted = { ...store, write: async () => (ending.abort(new Error('ended')), Promise.reject(new Error('ended'))) }
    await expect(createEtlStep(deps({ store: interrupted }))({ run: run.id, owner: 'a', budgetMs: 60_000, signal: ending.signal })).rejects.toThrow('ended')
    expect(await finish(run)).toMatchObject({ status: 'success', attempt: 1 })
  })
})

describe('a source that', () => {
  test('can not be reached: tried again, later each time, and failed in the end; the watermark stays; no password is shown', async () => {
    const { control, deps, run: load, silver, start } = await filled()
    const { watermarkEnd } = await load()
    const away = sourceDb({ connectionString: 'postgres://reader:hunter2-secret@127.0.0.1:1/chatwoot', setting: 'CHATWOOT_DATABASE_URL' })
    const lines: string[] = []
    const note = (event: string, fields?: object) => void lines.push(JSON.stringify([event, fields]))
    const step = createEtlStep(deps({ sources: () => postgresEtlSource({ db: away }), log: { info: note, warn: note, error: note } }))
    const run = await start()
    const waits: number[] = []
    for (;;) {
      const end = await step({ run: run.id, owner: 'a', budgetMs: 1_000, signal })
      if (end.status !== 'waiting') {
        expect(end).toMatchObject({ status: 'ended', run: { status: 'failed', attempt: 6, watermarkEnd: null } })
        break
      }
      expect(end.run).toMatchObject({ status: 'running', error: expect.stringMatching(/unavailable.*CHATWOOT_DATABASE_URL/) })
      expect(end.run.retryAt).not.toBeNull()
      waits.push(end.retryMs)
    }
    await away.close()
    expect(waits).toEqual([750, 1_500, 3_000, 6_000, 12_000])
    expect((await control.states(['items'], { signal }))[0]).toMatchObject({ watermark: watermarkEnd, last: { status: 'failed' } })
    const { rows } = await silver.query('select to_json(c)::text as row from ops.etl_control as c')
    expect(JSON.stringify([rows, lines])).not.toContain('hunter2')
  })

  test('lost a column, or has it in another type: refused before a row is read, with both schemas', async () => {
    const { run, source, silver } = await filled()
    await source.query('alter table items drop column price; alter table items alter column n type boolean using true')
    const { error, extracted, status } = await run()
    expect({ extracted, status }).toEqual({ extracted: 0, status: 'failed' })
    for (const part of [
      'price (numeric) is missing',
      "n is boolean, and can't become integer",
      'defined: id bigint',
      'public.items: id bigint',
      'Nothing was read',
    ])
      expect(error).toContain(part)
    expect((await silver.query('select error_traceback from ops.etl_control')).rows[0]).toMatchObject({
      error_traceback: expect.stringContaining('etl-begin.ts'),
    })
  })

  test('has a time without a zone, and nobody says in which it is', async () => {
    const { run } = await filled({ job: { ...itemsJob, columns: { ...itemsJob.columns, updated_at: { type: 'timestamptz' } } } })
    expect((await run()).error).toContain("has no zone: add 'utc'")
  })

  test('is not there, or may not be read', async () => {
    const { run } = await filled({ job: { ...itemsJob, source: { database: 'chatwoot', relation: 'public.nothing' } } })
    expect(await run()).toMatchObject({ status: 'failed', error: expect.stringContaining('public.nothing is not in the database chatwoot') })
  })

  test('breaks under a page: the page is read again', async () => {
    const { copy, deps, finish, start, truth } = await filled()
    const run = await start()
    const { sources } = deps()
    let pages = 0
    const broken: typeof sources = (database) => {
      const inner = sources(database)
      const page = async (...args: Parameters<typeof inner.page>): Promise<EtlPage> => {
        pages += 1
        if (pages === 2) throw new AfluenteError('unavailable', '57P01', 'The server went down.')
        return inner.page(...args)
      }
      return { ...inner, page }
    }
    expect(await createEtlStep(deps({ sources: broken }))({ run: run.id, owner: 'a', budgetMs: 60_000, signal })).toMatchObject({
      status: 'waiting',
      run: { attempt: 2 },
    })
    expect(await finish(run)).toMatchObject({ status: 'success', inserted: 35, error: null })
    expect(await copy()).toEqual(await truth())
  })
})
