/** What becomes of rows: cleaned, rejected, read again when they are mended, counted in a dry run, and taken out. */
import { describe, expect, test } from 'vitest'
import { postgresEtlSource } from '../../../shared/adapters/postgres/etl-source.ts'
import { cleanedPassage, judgeType, passageOf } from '../../../shared/adapters/postgres/etl-columns.ts'
import { sourceDb } from '../../../shared/adapters/postgres/source-db.ts'
import { checkEtlSource } from '../../../shared/engine/etl-check.ts'
import { createEtlStep } from '../../../shared/engine/etl-run.ts'
import { definitionHash } from '../../../shared/engine/etl-definition.ts'
import { silverType } from '../../../shared/mappings/column-types.ts'
import { columnCleanerOf, isRefusal } from '../../../shared/steps/clean.ts'
import type { EtlColumn } from '../../../shared/tables/etl-job.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { itemsJob, ITEMS, openWorld } from './world.ts'

const postgres = realPostgres()
const { signal } = new AbortController()

describe('rows that', () => {
  test('will never fit become letters, and don’t stop the page; mended, they come and the letter is resolved', async () => {
    const { copy, run, reconcile, silver, source, truth } = await openWorld(postgres)
    await source.query(`insert into items (id, name, n) select i, 'n', case when i in (3, 14) then -5 else i end from generate_series(1, 25) as i`)
    expect(await run()).toMatchObject({ status: 'success', extracted: 25, inserted: 23, rejected: 2 })
    const letters = async () =>
      (
        await silver.query(
          `select consumer, table_name, event_id, key, error_class, message, attempts, state, payload::json -> 'after' ->> 'n' as n from ops.dead_letter order by id`,
        )
      ).rows
    const letter = {
      consumer: 'etl.items',
      table_name: 'silver.items_copy',
      error_class: 'out-of-range',
      message: 'n: it is not between 0 and 1000000.',
      state: 'open',
      n: '-5',
    }
    expect(await letters()).toEqual([
      { ...letter, event_id: 'items:3', key: '["3"]', attempts: 1 },
      { ...letter, event_id: 'items:14', key: '["14"]', attempts: 1 },
    ])
    expect((await copy()).length).toBe(23)
    // Rejected once more, it is the same letter, and no row that has gone.
    expect(await reconcile()).toMatchObject({ rejected: 2, deleted: 0, extracted: 2 })
    expect((await letters())[0]).toMatchObject({ attempts: 2, state: 'open' })
    await source.query('update items set n = 5, updated_at = clock_timestamp() at time zone $1 where n < 0', ['UTC'])
    await run()
    expect((await letters()).map(({ state }) => state as unknown)).toEqual(['resolved', 'resolved'])
    expect(await copy()).toEqual(await truth())
  })

  test('are only counted in a dry run: neither rows, letters nor a watermark', async () => {
    const { control, copy, run, silver, source } = await openWorld(postgres)
    await source.query(`insert into items (id, n) select i, case when i = 3 then -5 else i end from generate_series(1, 25) as i`)
    expect(await run({ dryRun: true })).toMatchObject({ status: 'success', inserted: 24, rejected: 1, watermarkEnd: null })
    expect(await copy()).toEqual([])
    expect((await silver.query('select from ops.dead_letter')).rowCount).toBe(0)
    await run()
    await source.query('delete from items where id = 1')
    expect(await run({ dryRun: true, loadType: 'full' })).toMatchObject({ unchanged: 23, deleted: 1 })
    expect(await run({ dryRun: true, loadType: 'reconcile' })).toMatchObject({ deleted: 1 })
    const { rows: days } = await silver.query('select load_type, runs, rows_inserted, rows_rejected, rows_deleted from ops.vw_etl_stats')
    expect(days).toEqual([{ load_type: 'full', runs: '1', rows_inserted: '24', rows_rejected: '1', rows_deleted: '0' }])
    expect((await copy()).length).toBe(24)
    expect((await control.states(['items'], { signal }))[0]?.lastSuccess?.dryRun).toBe(false)
  })

  test('lie in the span of a backfill are read, and no others', async () => {
    const { run, source } = await openWorld(postgres)
    await source.query(`insert into items (id, updated_at) select i, timestamp '2026-11-01' + i * interval '1 hour' from generate_series(1, 40) as i`)
    expect(await run({ loadType: 'backfill', from: '2026-11-01T05:00:00Z', to: '2026-11-01T10:00:00Z' })).toMatchObject({ inserted: 6, watermarkEnd: null })
    expect(await run({ loadType: 'backfill', from: '2026-11-01T05:00:00-03:00', to: null })).toMatchObject({ extracted: 33, inserted: 30, unchanged: 3 })
  })

  test('were taken out stand no more, where the job removes; and stay, where it ignores', async () => {
    for (const deletes of ['remove', 'ignore'] as const) {
      const { run, reconcile, silver, source } = await openWorld(postgres, { job: { ...itemsJob, deletes } })
      await source.query('insert into items (id) select generate_series(1, 25)')
      await run()
      await source.query('delete from items where id in (1, 12, 25)')
      expect(await run({ loadType: 'full' })).toMatchObject({ deleted: deletes === 'remove' ? 3 : 0 })
      await reconcile()
      expect((await silver.query('select count(*)::int as n, count(_deleted_at)::int as marked from silver.items_copy')).rows).toEqual([
        { n: deletes === 'remove' ? 22 : 25, marked: 0 },
      ])
    }
  })

  test('are there are never missed by a reader while a full load goes over them', async () => {
    const { deps, finish, run, silver, source, start } = await openWorld(postgres)
    await source.query('insert into items (id) select generate_series(1, 40)')
    await run()
    await source.query(`update items set name = 'new'; delete from items where id = 40; insert into items (id) values (0)`)
    const { store } = deps()
    const seen: number[] = []
    const watched = {
      ...store,
      write: async (...args: Parameters<typeof store.write>) => {
        const written = await store.write(...args)
        seen.push(Number((await silver.query('select count(*) as n from silver.items_copy where _deleted_at is null')).rows[0]?.['n']))
        return written
      },
    }
    await finish(await start({ loadType: 'full' }), { store: watched })
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(40)
    expect(seen.length).toBeGreaterThan(3)
  })

  test('were made by another definition are known by its hash, and made anew by a full load', async () => {
    const world = await openWorld(postgres)
    const { control, finish, run, source, start } = world
    await source.query(`insert into items (id, name, updated_at) select i, 'x', '2026-11-01' from generate_series(1, 12) as i`)
    await run()
    const stored = async () => (await control.states(['items'], { signal }))[0]?.definitionHash
    expect(await stored()).toBe(await definitionHash(itemsJob))
    const changed = { ...itemsJob, columns: { ...itemsJob.columns, name: { type: 'text' as const } } }
    await finish(await start(), { jobs: { items: changed } })
    expect(await stored()).not.toBe(await definitionHash(changed))
    expect(await finish(await start({ loadType: 'full' }), { jobs: { items: changed } })).toMatchObject({ updated: 12 })
    expect(await stored()).toBe(await definitionHash(changed))
  })
})

describe('a full load', () => {
  test('that a deploy met on its way fills its table by the definition that it began under: the other one offers a backfill', async () => {
    const { control, deps, finish, source, start } = await openWorld(postgres)
    await source.query('insert into items (id) select generate_series(1, 25)')
    const run = await start()
    const changed = { ...itemsJob, columns: { ...itemsJob.columns, name: { type: 'text' as const } } }
    expect((await createEtlStep(deps())({ run: run.id, owner: 'before', budgetMs: 0, signal })).status).toBe('more')
    expect(await finish(run, { jobs: { items: changed } })).toMatchObject({ status: 'success', inserted: 25 })
    expect((await control.states(['items'], { signal }))[0]?.definitionHash).toBe(await definitionHash(itemsJob))
  })
})

describe('the way of a column', () => {
  const cases: readonly (readonly [type: string, spec: EtlColumn, values: readonly string[]])[] = [
    ['integer', { type: 'bigint' }, ['-5', '0', '2147483647']],
    ['bigint', { type: 'integer', between: [0, 10] }, ['0', '10', '11', '-1', '9223372036854775807']],
    ['smallint', { type: 'integer', between: [0, 10] }, ['0', '10', '11']],
    [
      'double precision',
      { type: 'double precision', clean: ['nan-to-null', 'infinity-to-null'] },
      ['1.5', 'NaN', 'Infinity', '-Infinity', '-0', '1e-300', '0.1'],
    ],
    ['double precision', { type: 'double precision' }, ['NaN', 'Infinity', '0.1']],
    ['real', { type: 'double precision' }, ['0.1', '3e38']],
    ['numeric', { type: 'numeric' }, ['1.50', '12345678901234567890.123456789', '-0.00']],
    ['numeric', { type: 'bigint' }, ['1.00', '1.5', '99999999999999999999']],
    [
      'timestamp',
      { type: 'timestamptz', clean: ['infinity-to-null', 'utc'] },
      ['2026-11-01 10:00:00.000001', 'infinity', '-infinity', '0044-03-15 12:00:00 BC', '294276-12-31 23:59:59.999999'],
    ],
    ['timestamp', { type: 'timestamptz', clean: ['utc'] }, ['2026-11-01 10:00:00.000001', '1999-12-31 23:59:59.999999', 'infinity', '-infinity']],
    ['timestamptz', { type: 'timestamptz', clean: ['infinity-to-null', 'utc'] }, ['2026-11-01 10:00:00.000001-03', 'infinity']],
    ['timestamptz', { type: 'timestamp' }, ['2026-11-01 10:00:00-03']],
    ['date', { type: 'date' }, ['2026-11-01', '5874897-12-31', '0001-01-01 BC']],
    ['boolean', { type: 'boolean' }, ['t', 'f']],
    ['integer', { type: 'boolean' }, ['0', '1', '2']],
    ['integer', { type: 'text', words: ['open', 'closed'] }, ['0', '1', '7', '-1']],
    ['text', { type: 'text', clean: ['trim', 'blank-to-null'] }, [' a ', '', '   ', '\u00a0b\u2003', 'é', '\ufeffc', 'Plain', 'Ana Lúcia\n', '漢字 ']],
    ['text', { type: 'text' }, [' a ', '']],
    ['varchar', { type: 'text', clean: ['trim', 'blank-to-null', 'email'] }, [' ANA@Example.COM ', ' ']],
    ['varchar', { type: 'text', clean: ['phone'] }, ['+55 (11) 9-9999', '0055 11', 'none']],
    ['text', { type: 'integer', clean: ['trim'] }, [' 5 ', '5.0', 'x']],
    [
      'text',
      { type: 'timestamptz', clean: ['utc'] },
      [
        '2026-11-01T10:00:00',
        '2026-11-01 10:00:00+02',
        'soon',
        '2026-13-45',
        '2026-02-29 10:00',
        '2024-02-29 24:00',
        '2026-11-01 25:00',
        '2026-11-01 10:00+99',
      ],
    ],
    ['text', { type: 'timestamp' }, ['294277-01-01', '4714-11-24 BC', '4714-11-23 BC', '0000-01-01', '0005-02-29 BC', '0004-02-29 BC']],
    ['text', { type: 'time' }, ['10:00', '24:00:00', '24:00:01', 'noon']],
    ['text', { type: 'double precision' }, ['1e308', '1e309', '1e-400', '0e9', '.5', '5.', '.', 'inf']],
    ['numeric', { type: 'real' }, ['1.5', `1${'0'.repeat(40)}`]],
    ['text', { type: 'numeric(4,2)' }, ['1e131071', '1e131072', '1e-16383', '1e-16384']],
    ['text', { type: 'jsonb' }, ['{"a": 1}', '{a: 1}', '"\\u0000"', '"\\\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '']],
    ['json', { type: 'jsonb' }, ['["\\u0000"]']],
    ['integer[]', { type: 'bigint[]' }, ['{1,NULL}']],
    ['jsonb', { type: 'jsonb' }, ['{"a": 1.00, "b": [1, "é\\"\\\\"]}', 'null']],
    ['json', { type: 'jsonb' }, ['{"a":  1}']],
    ['text[]', { type: 'text[]' }, ['{}', '{a,"b c",NULL,"d\\"e"}', '{{a,b},{c,d}}']],
    ['uuid', { type: 'uuid' }, ['00000000-0000-0000-0000-00000000000a']],
  ]

  test('gives what the cleaning step gives, value by value', async () => {
    const names = cases.map((_, at) => `v${at}`)
    const columns: Record<string, EtlColumn> = { id: { type: 'bigint' }, updated_at: { type: 'timestamptz', clean: ['utc'] } }
    for (const [at, [, spec]] of cases.entries()) columns[`v${at}`] = spec
    // A page for each row, so that none takes another one with it onto the careful way.
    const job = { ...itemsJob, columns, pageRows: 1 }
    const schema = `${ITEMS}; alter table items ${cases.map(([type], at) => `add v${at} ${type}`).join(', ')}`
    const { run, silver, source } = await openWorld(postgres, { job, schema })
    let id = 0
    for (const [at, [type, , values]] of cases.entries())
      for (const value of values) await source.query(`insert into items (id, v${at}) values ($1, $2::text::${type})`, [(id += 1), value])
    await source.query('set timezone = utc')
    await silver.query('set timezone = utc')
    const texts = (client: typeof source, table: string) =>
      client.query<Record<string, string | null>>(
        `select id::text as id, ${names.map((name) => `${name}::text as ${name}`).join(', ')} from ${table} order by items.id`.replaceAll(
          'items.id',
          `${table}.id`,
        ),
      )
    const { rows: raw } = await texts(source, 'items')
    const { rejected } = await run()
    const expected: Record<string, string | null>[] = []
    for (const row of raw) {
      const cleaned: Record<string, string | null> = { id: row['id'] ?? null }
      let isGood = true
      for (const [at, [, spec]] of cases.entries()) {
        const value = columnCleanerOf(spec)(row[`v${at}`] ?? null)
        if (isRefusal(value)) isGood = false
        else
          cleaned[`v${at}`] = (await silver.query<{ v: string | null }>(`select ($1::text::${silverType(spec.type)})::text as v`, [value])).rows[0]?.v ?? null
      }
      if (isGood) expected.push(cleaned)
    }
    expect((await texts(silver, 'silver.items_copy')).rows).toEqual(expected)
    expect(rejected).toBe(raw.length - expected.length)
    expect(rejected).toBeGreaterThan(5)
  })

  test('is the cheap one where that changes nothing, so that speed is not lost unnoticed', () => {
    expect(passageOf('c', { type: 'bigint' }, 'integer')).toMatchObject({ select: 'c', cleaned: false })
    expect(passageOf('c', { type: 'timestamptz', clean: ['utc', 'infinity-to-null'] }, 'timestamp without time zone')).toMatchObject({
      select: 'c',
      odd: 'not isfinite(c)',
    })
    expect(passageOf('c', { type: 'jsonb' }, 'jsonb')).toMatchObject({ select: 'c', cleaned: false })
    expect(passageOf('c', { type: 'text', clean: ['trim', 'phone'] }, 'text')).toEqual(cleanedPassage('c'))
  })

  test('opens a column of text for every space that trimming takes away, and not for names', async () => {
    const { source } = await openWorld(postgres)
    const { opens } = passageOf('c', { type: 'text', clean: ['trim', 'blank-to-null'] }, 'text')
    const opened = async (values: readonly string[]) =>
      (await source.query<{ c: string }>(`select c from unnest($1::text[]) as c where ${opens}`, [values])).rows.map(({ c }) => c)
    const spaces = Array.from({ length: 65_535 }, (_, at) => String.fromCharCode(at + 1)).filter((text) => text.trim() === '')
    expect(spaces.length).toBeGreaterThan(20)
    const values = ['', ...spaces.flatMap((space) => [space, `${space}a`, `a${space}`])]
    expect(await opened(values)).toEqual(values)
    expect(await opened(['a', 'Ana Lúcia', 'É', 'Иван', '+55 11', 'x y z!'])).toEqual([])
  })
})

describe('a job of a query', () => {
  const query = `select id, name, n, price, seen_at, updated_at from items where n is distinct from 13 -- an unlucky number`
  const job = { ...itemsJob, source: { database: 'chatwoot' as const, query } }

  test('loads what it gives, follows it, and finds what is gone from it', async () => {
    const { copy, reconcile, run, source } = await openWorld(postgres, { job })
    await source.query(`insert into items (id, name, n) select i, 'item ' || i, i from generate_series(1, 40) i`)
    expect(await run()).toMatchObject({ status: 'success', inserted: 39 })
    await source.query(`update items set n = 100, updated_at = clock_timestamp() at time zone 'UTC' where id in (13, 14)`)
    await source.query(`update items set n = 13 where id = 20`)
    expect(await run()).toMatchObject({ status: 'success', inserted: 1, updated: 1 })
    expect(await reconcile()).toMatchObject({ status: 'success', deleted: 1 })
    expect(await copy()).toHaveLength(39)
    expect(await run({ loadType: 'full' })).toMatchObject({ status: 'success', inserted: 0, updated: 0, deleted: 0 })
  })

  test('is compared with the job’s columns, also where it gives no row', async () => {
    const { sourceUrl } = await openWorld(postgres, { job })
    const db = sourceDb({ connectionString: sourceUrl })
    postgres.closing(() => db.close())
    const check = (text: string) =>
      checkEtlSource('items', { ...job, source: { ...job.source, query: text } }, postgresEtlSource({ db }), judgeType, { signal })
    expect(await check(query)).toEqual({ faults: [], warnings: [] })
    const [fault] = (await check(query.replace('price', 'false as price').replace(', n,', ','))).faults
    for (const part of ['n (integer) is missing', 'price is boolean', 'its query: id bigint', 'Nothing was read']) expect(fault).toContain(part)
    await expect(check('selekt 1')).rejects.toMatchObject({ kind: 'misconfigured', message: expect.stringContaining("The job's query can't be asked") })
    await expect(check('select 1 as id) as x; drop table items; select (1')).rejects.toMatchObject({ kind: 'misconfigured' })
  })
})

describe('a job’s source, checked before it runs', () => {
  test('without an index on the cursor, also behind a view, is told with the statement that makes it', async () => {
    const { source, sourceUrl } = await openWorld(postgres, {
      schema: ITEMS.replace(
        'create index on items (updated_at, id)',
        'create view seen_items as select id, name, n, price, seen_at, updated_at as changed_at from items',
      ),
    })
    const db = sourceDb({ connectionString: sourceUrl })
    postgres.closing(() => db.close())
    const { updated_at, ...others } = itemsJob.columns
    const job = {
      ...itemsJob,
      cursor: 'changed_at',
      columns: { ...others, changed_at: updated_at as EtlColumn },
      source: { database: 'chatwoot' as const, relation: 'public.seen_items' },
    }
    const check = () => checkEtlSource('items', job, postgresEtlSource({ db }), () => null, { signal })
    expect(await check()).toEqual({ faults: [], warnings: [expect.stringContaining('create index concurrently on "public"."items" ("updated_at");')] })
    await source.query('create index on items (updated_at)')
    expect(await check()).toEqual({ faults: [], warnings: [] })
  })
})
