/** What a reconcile reads of source and silver on a real Postgres: equal where the rows are, whatever the settings of sessions are. */
import { beforeAll, describe, expect, test } from 'vitest'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { postgresSink } from '../../../shared/adapters/postgres/sink.ts'
import { silverContents } from '../../../shared/adapters/postgres/silver-contents.ts'
import { sourceContents } from '../../../shared/adapters/postgres/source-contents.ts'
import { sourceDb } from '../../../shared/adapters/postgres/source-db.ts'
import { checkOf } from '../../../shared/mappings/document.ts'
import type { SourceContents } from '../../../shared/ports/reconcile.ts'
import type { SourceTable } from '../../../shared/tables/table.ts'
import { everything, everythingRows, everythingSql } from '../sink/everything.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { batchOf, eventOf } from '../sink/elasticsearch-events.ts'

const signal = new AbortController().signal
const postgres = realPostgres()
const all = { from: 0, to: null }

const things: SourceTable = { schema: 'public', name: 'Odd "things"', key: ['region', 'id'], columns: { region: 'text', id: 'integer', name: 'text' } }

type Client = Awaited<ReturnType<typeof postgres.client>>

/** A database that is source and silver at once, with settings that print everything otherwise. */
async function open(tables: readonly SourceTable[]) {
  const url = await postgres.analytics(tables)
  const client = await postgres.client(url)
  const name = new URL(url).pathname.slice(1)
  for (const setting of [
    "timezone = 'America/Sao_Paulo'",
    "datestyle = 'SQL, DMY'",
    "intervalstyle = 'iso_8601'",
    'extra_float_digits = -10',
    "bytea_output = 'escape'",
  ])
    await client.query(`alter database ${name} set ${setting}`)
  const db = postgres.pool(url)
  const source = sourceContents({ db: sourceDb({ connectionString: url }) })
  return { url, client, db, source, silver: silverContents({ db }) }
}

async function fillSilver({
  client,
  db,
  tables,
}: {
  readonly client: Client
  readonly db: ReturnType<typeof postgres.pool>
  readonly tables: readonly SourceTable[]
}) {
  const control = postgresControl({ db })
  const sink = postgresSink({ db, tables, bronze: false, silver: true })
  const epoch = await control.take({ consumer: 'elasticsearch', topic: 'afluente.public.everything', partition: 0, owner: 'o' }, { signal })
  await client.query(`set timezone = 'UTC'; set datestyle = 'ISO'; set extra_float_digits = 1; set bytea_output = 'hex'; set intervalstyle = 'postgres'`)
  const { rows } = await client.query<{ key: string; image: string }>(
    'select jsonb_build_array(a_row.id)::text as key, row_to_json(a_row)::text as image from public.everything a_row',
  )
  const events = rows.map(({ image, key }, nth) => ({ ...eventOf(everything, 'x', nth + 1, image), key }))
  await sink.write(batchOf(everything, events, epoch), { signal })
}

describe('every kind of row', () => {
  let world: Awaited<ReturnType<typeof open>>
  beforeAll(async () => {
    world = await open([everything])
    const { client, db } = world
    await client.query(everythingSql)
    for (const values of Object.values(everythingRows)) await client.query(`insert into public.everything values (${values})`)
    await client.query(
      `insert into public.everything (id, j, jb, texts) values (20, ' {"a" : 1} ', 'null', '[5:6]={x,y}'), (21, 'null', '{}', '{}'), (22, E'\\n[1, 2]\\t', '{"n": 1.50}', '{null,"null"}')`,
    )
    await fillSilver({ client, db, tables: [everything] })
  })

  test('has the same content in source and in silver', async () => {
    const { client, silver, source } = world
    const { rows } = await client.query<{ key: string }>('select jsonb_build_array(id)::text as key from public.everything order by id')
    const keys = rows.map(({ key }) => key)
    const told = new Map((await silver.find(everything, keys, { signal })).map(({ content, key }) => [key, content]))
    const there = await source.find(everything, keys, { signal })
    expect(there.map(({ key }) => key).toSorted()).toEqual(keys.toSorted())
    for (const { content, key } of there) expect([key, told.get(key)]).toEqual([key, content])
    const [one] = await source.sums(everything, [], all, { signal })
    const [other] = await silver.sums(everything, [], all, { signal })
    expect(other).toMatchObject({ range: 0, rows: keys.length, content: one?.content })
  })

  test('has another content when any of its columns has another value', async () => {
    const { client, silver } = world
    const others: Readonly<Record<string, string>> = {
      boolean: 'not coalesce(%, true)', uuid: 'gen_random_uuid()', bytea: "'\\x07'", inet: "'10.9.9.9'", json: `'{"other":1}'`, jsonb: `'{"other":1}'`, date: "'2001-01-01'", time: "'01:01'", timestamp: "'2001-01-01'", timestamptz: "'2001-01-01'", interval: "'7 days'",
    } // prettier-ignore
    const contentOf = async () => (await silver.find(everything, ['[2]'], { signal }))[0]?.content
    const before = await contentOf()
    for (const [name, type] of Object.entries(everything.columns).filter(([column]) => column !== 'id')) {
      const column = `"${name.replaceAll('"', '""')}"`
      const value = type.endsWith('[]')
        ? `array[null]::${type === 'enum[]' ? 'text[]' : type}`
        : (others[type] ?? (/numeric|real|double|int/.test(type) ? `% + 1` : `'other'`))
      await client.query(`begin; update silver.everything set ${column} = ${value.replace('%', column)} where id = 2`)
      await client.query('commit')
      const after = await contentOf()
      expect([name, after === before]).toEqual([name, false])
      await client.query(
        `update silver.everything set ${column} = (select ${type === 'enum' ? `${column}::text` : type === 'enum[]' ? `${column}::text[]` : column} from public.everything where id = 2) where id = 2`,
      )
      expect([name, await contentOf()]).toEqual([name, before])
    }
  })
})

test('rows that have exchanged a value have another sum', async () => {
  const { client, db, silver } = await open([everything])
  await client.query(everythingSql)
  await client.query(`insert into public.everything (id, u, t, local, moment)
    select n, lpad(n::text, 32, '0')::uuid, n::text, timestamp '2026-01-01' + n * interval '1 day', timestamptz '2026-01-01Z' + n * interval '1 day' from generate_series(1, 9) n`)
  await fillSilver({ client, db, tables: [everything] })
  const sumOf = async () => (await silver.sums(everything, [], all, { signal })).map(({ content }) => content)
  const before = await sumOf()
  const exchange = (column: string) =>
    client.query(`update silver.everything r set ${column} = o.${column} from silver.everything o where r.id in (1, 2) and o.id = 3 - r.id`)
  for (const column of ['u', 't', 'local', 'moment']) {
    await exchange(column)
    expect([column, (await sumOf())[0] === before[0]]).toEqual([column, false])
    await exchange(column)
    expect([column, await sumOf()]).toEqual([column, before])
  }
})

describe('ranges of keys', () => {
  const boundaries = ['["b", 10]', '["b", 2]', '["é'] as const

  async function filled() {
    const world = await open([things])
    await world.client.query(`
      create table public."Odd ""things""" (id int, region text collate "C", name text, primary key (region, id)) partition by list (region);
      create table public.things_b partition of public."Odd ""things""" for values in ('b');
      create table public.things_rest partition of public."Odd ""things""" default;
      insert into public."Odd ""things""" select n, r, r || n from generate_series(1, 300) n, unnest(array['a', 'b', 'é', 'z', '😀']) r;
      insert into silver."Odd ""things""" (region, id, name, _version) select region, id, name, 1000 + id from public."Odd ""things"""`)
    return world
  }

  test('are of the same rows on both sides, in the order of bytes, however the table is cut into stretches', async () => {
    const { client, silver, source } = await filled()
    const { rows } = await client.query<{ n: string }>(
      `select count(*) as n from public."Odd ""things""" where jsonb_build_array(region, id)::text collate "C" < '["b", 2]'`,
    )
    const whole = await source.sums(things, boundaries, all, { signal })
    expect(whole.reduce((sum, one) => sum + one.rows, 0)).toBe(1_500)
    expect(whole.filter(({ range }) => range < 2).reduce((sum, one) => sum + one.rows, 0)).toBe(Number(rows[0]?.n))
    const add = (sums: readonly { range: number; rows: number; content: bigint }[]) =>
      [...Map.groupBy(sums, ({ range }) => range)]
        .map(([range, of]) => ({ range, rows: of.reduce((n, one) => n + one.rows, 0), content: of.reduce((n, one) => n + one.content, 0n) }))
        .toSorted((a, b) => a.range - b.range)
    const parts = await Promise.all(
      [
        { from: 0, to: 1 },
        { from: 1, to: 3 },
        { from: 3, to: null },
      ].map((pages) => source.sums(things, boundaries, pages, { signal })),
    )
    expect(add(parts.flat())).toEqual(add(whole))
    expect(add(await silver.sums(things, boundaries, all, { signal })).map(({ content, range, rows: n }) => ({ content, range, rows: n }))).toEqual(add(whole))
    expect(await source.pages(things, { signal })).toBeGreaterThan(0)
  })

  test('have the sums of the checks that documents have, of the living alone', async () => {
    const { client, silver } = await filled()
    await client.query(`update silver."Odd ""things""" set _deleted_at = now() where region <> 'z' or id > 3`)
    const [only] = await silver.sums(things, [], all, { signal })
    const checks = [1, 2, 3].map((id) => BigInt(checkOf(`["z", ${id}]`, 1000 + id)))
    expect(only).toMatchObject({ rows: 3, check: checks.reduce((sum, one) => sum + one, 0n) })
    expect(
      (await silver.find(things, ['["z", 1]', '["a", 1]', '["nowhere", 1]'], { signal })).toSorted((a, b) => a.version - b.version || (a.key < b.key ? -1 : 1)),
    ).toEqual([
      { key: '["a", 1]', content: null, version: 1001 },
      { key: '["z", 1]', content: expect.any(BigInt) as unknown, version: 1001 },
    ])
  })

  test('are opened alone', async () => {
    const { silver, source } = await filled()
    const [opened, copies] = [await source.open(things, boundaries, [1], all, { signal }), await silver.open(things, boundaries, [1], all, { signal })]
    expect(opened.map(({ key }) => key).toSorted()).toEqual(copies.map(({ key }) => key).toSorted())
    expect(opened.length).toBeGreaterThan(50)
    for (const { key } of opened) expect(key >= '["b", 10]' && key < '["b", 2]').toBe(true)
  })

  test('begin with beginnings of keys that cut the table into parts of about the same size', async () => {
    const { client, source } = await open([things])
    await client.query(`create table public."Odd ""things""" (id int, region text, name text, primary key (region, id));
      insert into public."Odd ""things""" select n, repeat('ação ', 30) || (n % 2), 'x' from generate_series(1, 5000) n`)
    const long = await source.sample(things, { signal })
    expect(long.length).toBe(1)
    for (const boundary of long) expect(new TextEncoder().encode(boundary).length).toBeLessThanOrEqual(60)
    await client.query(`update public."Odd ""things""" set region = id`)
    const short = await source.sample(things, { signal })
    expect(short.length).toBeGreaterThan(10)
    const sums = await source.sums(things, short, all, { signal })
    expect(Math.max(...sums.map(({ rows }) => rows))).toBeLessThan(1_000)
  })
})

describe('what may not be read as it is, is told', () => {
  const readBy = async (sql: string): Promise<SourceContents> => {
    const { client, url } = await open([things])
    const role = `reader_${Math.random().toString(36).slice(2)}`
    await client.query(`create table public."Odd ""things""" (id int, region text, name text, primary key (region, id)); insert into public."Odd ""things""" values (1, 'a', 'x');
      create role ${role} login; ${sql.replaceAll('ROLE', role)}`)
    const own = new URL(url)
    own.username = role
    return sourceContents({ db: sourceDb({ connectionString: own.href }) })
  }

  test('rows that a policy hides from the role, which would look like rows that are gone', async () => {
    const contents = await readBy(`grant select on public."Odd ""things""" to ROLE; alter table public."Odd ""things""" enable row level security`)
    await expect(contents.sums(things, [], all, { signal })).rejects.toMatchObject({
      kind: 'misconfigured',
      message: expect.stringContaining('bypassrls') as unknown,
    })
    const trusted = await readBy(
      `grant select on public."Odd ""things""" to ROLE; alter table public."Odd ""things""" enable row level security; alter role ROLE bypassrls`,
    )
    expect(await trusted.sums(things, [], all, { signal })).toMatchObject([{ rows: 1 }])
  })

  test('a column that the source has not', async () => {
    const contents = await readBy(`grant select on public."Odd ""things""" to ROLE`)
    const wider = { ...things, columns: { ...things.columns, colour: 'text' as const } }
    await expect(contents.sums(wider, [], all, { signal })).rejects.toMatchObject({
      kind: 'misconfigured',
      message: expect.stringContaining('colour') as unknown,
    })
  })

  test('a key that its type can’t hold', async () => {
    const contents = await readBy(`grant select on public."Odd ""things""" to ROLE`)
    await expect(contents.find(things, ['["a", "x"]'], { signal })).rejects.toMatchObject({ kind: 'refused' })
  })
})
