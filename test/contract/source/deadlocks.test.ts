/** Writers meet each other exactly as often as without capture: a change is added to the outbox, and nothing is written in turns. */
import { beforeEach, describe, expect, it } from 'vitest'
import { seededRandom } from '../../support/random.ts'
import { backlog, freshSource, type Session } from '../../support/source.ts'
import { assertEndsEqual } from '../../support/source-properties.ts'
import { assertOrderedWritersNeverDeadlock } from '../../support/writer-properties.ts'

const source = freshSource()

beforeEach(async () => {
  await (await source.connect('superuser')).run(`alter role project_owner set deadlock_timeout = '10ms'`)
  for (const table of ['bare', 'caught']) await source.run(`create table public.${table} (id int primary key, n int not null default 0)`)
  await source.run(`select afluente.capture_table('public.caught')`)
  for (const table of ['bare', 'caught']) await source.run(`insert into public.${table} select generate_series(1, 8)`)
})

const ROUNDS = 200

/** Which row each writer takes first, and which it wants then. Nobody wants what another wants, so who waits for whom is known. */
type Round = readonly { readonly first: number; readonly second: number }[]

function rounds(seed: number): readonly Round[] {
  const random = seededRandom(seed)
  const shuffled = () =>
    Array.from({ length: 8 }, (_, at) => ({ id: at + 1, at: random() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ id }) => id)
  return Array.from({ length: ROUNDS }, () => {
    const writers = 2 + Math.floor(random() * 3)
    const firsts = shuffled().slice(0, writers)
    // Mostly rows that somebody holds.
    const wanted = [...firsts.toSorted(() => random() - 0.5), ...shuffled().filter((id) => !firsts.includes(id))]
    if (random() < 0.3) wanted.unshift(...wanted.splice(writers, 1))
    return firsts.map((first, at) => ({ first, second: wanted[at] ?? first }))
  })
}

/** As many as there are circles of writers that wait for each other: in each, one is told to give up. */
function expectedDeadlocks(round: Round): number {
  const next = new Map(round.filter(({ first, second }) => first !== second).map(({ first, second }) => [first, second]))
  const circles = [...next.keys()].map((start) => {
    const seen: number[] = []
    for (let at: number | undefined = start; at !== undefined && !seen.includes(at); at = next.get(at)) seen.push(at)
    return next.get(seen.at(-1) ?? 0) === start ? Math.min(...seen) : 0
  })
  return new Set(circles.filter((circle) => circle !== 0)).size
}

async function deadlocksOf(table: string, round: Round, sessions: readonly Session[]): Promise<number> {
  const write = (id: number) => `update public.${table} set n = n + 1 where id = ${id}`
  for (const [at, { first }] of round.entries()) await sessions[at]?.run(`begin; ${write(first)}`)
  const ends = await Promise.all(
    round.map(async ({ second }, at) => {
      try {
        await sessions[at]?.run(write(second))
        await sessions[at]?.run('commit')
        return 0
      } catch (error) {
        await sessions[at]?.run('rollback')
        expect(error).toMatchObject({ code: '40P01' })
        return 1
      }
    }),
  )
  return ends.reduce<number>((sum, end) => sum + end, 0)
}

describe('two to four writers on the same rows in different orders', () => {
  it(`deadlock as often with capture as without: in ${ROUNDS} rounds, in each the same`, async () => {
    const sessions = await Promise.all(Array.from({ length: 4 }, () => source.connect()))
    const all = rounds(20_261_122)
    const expected = all.map(expectedDeadlocks)
    for (const table of ['bare', 'caught']) {
      const counted = []
      for (const round of all) counted.push(await deadlocksOf(table, round, sessions))
      expect(counted, table).toEqual(expected)
    }
    expect(expected.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(ROUNDS / 4)
    await assertEndsEqual(source, 'public.caught', 'id')
    expect((await backlog(source)).failures).toBe(0)
  })
})

describe('writers who all take rows in one order', () => {
  it('never deadlock, over two captured tables', async () => {
    await assertOrderedWritersNeverDeadlock(source)
    for (const table of ['left_ones', 'right_ones']) await assertEndsEqual(source, `public.${table}`, 'id')
    expect((await backlog(source)).failures).toBe(0)
  })

  it('nor do they when every capture fails, or when capture works beside them', async () => {
    await source.run(`alter table afluente.outbox add constraint odd check (version % 2 = 0) not valid`)
    let working = true
    const capture = await source.connect()
    const captures = (async () => {
      while (working) {
        await capture.run(`select afluente.claim(0, 'capture'); select afluente.backlog()`)
        await capture.run(`delete from afluente.outbox where version in (select version from afluente.outbox order by version limit 100)`)
      }
    })()
    try {
      await assertOrderedWritersNeverDeadlock(source)
    } finally {
      working = false
      await captures
    }
    expect((await backlog(source)).failures).toBeGreaterThan(0)
  })
})
