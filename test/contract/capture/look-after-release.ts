/** A row that is committed after the last look and before the shard is let go: the lease kept the bell from ringing for it. */
import { systemClock } from '../../../shared/adapters/clock.ts'
import { createBudget } from '../../../shared/engine/budget.ts'
import { captureShard, type Ending } from '../../../shared/engine/capture.ts'
import type { Source } from '../../support/source.ts'
import { createBroker } from './broker.ts'
import { limits, type Tampering } from './crew.ts'
import { sqlOutbox } from './sql-outbox.ts'

export interface SilencedRow {
  readonly ending: Ending
  /** Whether the bell rang for the row. */
  readonly rung: boolean
  readonly published: readonly (string | null)[]
  /** What is left in the outbox. */
  readonly left: number
}

/** One run of capture on row 1, with row 2 committed at that moment. */
export async function silencedRow(source: Source, tampering: Tampering['outbox'] = (outbox) => outbox): Promise<SilencedRow> {
  await source.run(`create table public.items (id int primary key); select afluente.capture_table('public.items')`)
  await source.run('insert into public.items values (1)')
  const { close, outbox } = sqlOutbox(source.database.url, 3)
  const broker = createBroker({ random: () => 0.5, slowMs: 0 })
  const clock = systemClock()
  const lastRung = () => source.value('select last_value from afluente.last_rung')
  let rung = false
  let committed = false
  const watched = tampering({
    ...outbox,
    release: async (...of) => {
      if (!committed) {
        committed = true
        const before = await lastRung()
        await source.run('insert into public.items values (2)')
        rung = (await lastRung()) !== before
      }
      return outbox.release(...of)
    },
  })
  const ending = await captureShard(
    { shard: 0, owner: 'one', successor: false, signal: new AbortController().signal, onLook: () => {} },
    {
      outbox: watched,
      publisher: broker.publisher,
      clock,
      log: { info: () => {}, warn: () => {}, error: () => {} },
      random: () => 0.5,
      budget: createBudget({
        clock,
        limits: { softWallMs: 1e9, hardWallMs: 1e9, softCpuMs: 1e9, hardCpuMs: 1e9 },
        cost: { start: 0, call: 0, row: 0, kibibyte: 0 },
      }),
      limits,
      ref: 'test',
      startSuccessor: () => Promise.reject(new Error('nobody to hand over to')),
    },
  )
  await close()
  return { ending, rung, published: broker.records.map(({ key }) => key), left: (await source.outbox()).length }
}
