/** Whatever writers and runs do between each other: one quiet run and one reconcile later, silver is the source. */
import fc from 'fast-check'
import type pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { realPostgres } from '../sink/postgres-server.ts'
import { itemsJob, openWorld, type World } from './world.ts'

const postgres = realPostgres()
const RUNS = Number(process.env['AFLUENTE_ETL_RUNS'] ?? 10)
const WRITERS = 3
const NOW = `clock_timestamp() at time zone 'UTC'`

type Op =
  | { readonly does: 'begin' | 'commit' | 'rollback'; readonly writer: number }
  /** behindMs: how far the writer's clock is behind; null: it leaves the cursor as it was. */
  | { readonly does: 'write'; readonly writer: number; readonly id: number; readonly n: number; readonly behindMs: number | null }
  | { readonly does: 'delete'; readonly writer: number; readonly id: number }
  | { readonly does: 'run'; readonly loadType: 'incremental' | 'full' | 'reconcile' }

const writer = fc.nat(WRITERS - 1)
const id = fc.integer({ min: 1, max: 12 })
const ops: fc.Arbitrary<Op> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('begin' as const, 'commit' as const, 'rollback' as const), writer }) },
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant('write' as const),
      writer,
      id,
      // Beyond 1 000 000 the row is rejected.
      n: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant(2_000_000)),
      behindMs: fc.option(fc.constantFrom(0, 3, 500, 60_000)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('delete' as const), writer, id }) },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('run' as const),
      loadType: fc.constantFrom('incremental' as const, 'incremental' as const, 'full' as const, 'reconcile' as const),
    }),
  },
)

describe('any interleaving of writers and runs', () => {
  let world: World
  let writers: pg.Client[]
  beforeAll(async () => {
    world = await openWorld(postgres, { job: { ...itemsJob, pageRows: 3, overlap: '1s', deletes: 'remove' } })
    writers = await Promise.all(Array.from({ length: WRITERS }, () => world.session()))
    // A row that somebody holds is left alone, so that no writer waits for another.
    for (const client of writers) await client.query(`set lock_timeout = '20ms'`)
  })

  const apply = async (op: Op): Promise<void> => {
    if (op.does === 'run') return void (await world.run({ loadType: op.loadType }))
    const client = writers[op.writer]
    if (client === undefined) return
    if (op.does === 'write') {
      const at = op.behindMs === null ? 'items.updated_at' : 'excluded.updated_at'
      await guarded(
        client,
        `insert into items (id, n, updated_at) values (${op.id}, ${op.n}, ${NOW} - interval '${op.behindMs ?? 0} milliseconds') on conflict (id) do update set n = excluded.n, updated_at = ${at}`,
      )
    } else if (op.does === 'delete') await guarded(client, `delete from items where id = ${op.id}`)
    else await client.query(op.does).catch(() => undefined)
  }

  test('then one quiet run and one reconcile: silver is the source', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(ops, { minLength: 5, maxLength: 30 }), async (script) => {
        for (const op of script) await apply(op)
        for (const client of writers) await client.query('commit')
        await world.run()
        await world.reconcile()
        const { rows: rejected } = await world.source.query<{ id: string }>('select id from items where n > 1000000 order by id')
        const isRejected = (line: string) => rejected.some((row) => line.startsWith(`${row.id}|`))
        const living = async (of: () => Promise<readonly string[]>) => (await of()).filter((line) => !isRejected(line))
        expect(await living(world.copy)).toEqual(await living(world.truth))
        const letters = await world.silver.query<{ event_id: string }>(`select event_id from ops.dead_letter where state = 'open' order by event_id`)
        const open = letters.rows.map(({ event_id }) => event_id.replace('items:', ''))
        expect(rejected.every((row) => open.includes(row.id))).toBe(true)
      }),
      { numRuns: RUNS },
    )
  })
})

/** In a transaction that goes on after it was refused. */
async function guarded(client: pg.Client, sql: string): Promise<void> {
  await client.query('savepoint before').catch(() => undefined)
  await client.query(sql).catch(() => client.query('rollback to savepoint before').catch(() => undefined))
}
