/** The seeds are rows that were there first: a backfill sends them, once. */
import { describe, expect, it } from 'vitest'
import { seedOnce } from '../../../infra/local/seed.ts'
import { backlog, freshSource } from '../../support/source.ts'

const source = freshSource()

const offered = () => source.run(`select source_table, state from afluente.backfills order by 1`)

describe('seeding', () => {
  it('captures nothing and offers the tables’ rows to a backfill; from then on changes are captured', async () => {
    expect(await seedOnce(source.database.url)).toBe(true)
    expect(Number(await source.value('select count(*) from public.leads'))).toBeGreaterThan(10)
    expect(await source.outbox()).toEqual([])
    expect(await offered()).toEqual([
      { source_table: 'public.chat_sessions', state: 'offered' },
      { source_table: 'public.leads', state: 'offered' },
    ])
    await source.run(`insert into public.leads (name) values ('Ana')`)
    expect((await source.outbox()).map(({ op }) => op)).toEqual(['insert'])
    const { failures, tables } = await backlog(source)
    expect([failures, tables.map(({ problem, reconcileSince }) => [problem, reconcileSince])]).toEqual([0, [[null, null], [null, null]]]) // prettier-ignore
  })

  it('happens once: what was done with the rows since stays', async () => {
    await seedOnce(source.database.url)
    await source.run('delete from public.leads; delete from afluente.backfills')
    await source.emptyOutbox()
    expect(await seedOnce(source.database.url)).toBe(false)
    expect(await source.value('select count(*) from public.leads')).toBe('0')
    expect(await offered()).toEqual([])
  })
})
