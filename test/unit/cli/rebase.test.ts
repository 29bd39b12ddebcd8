import { describe, expect, test } from 'vitest'
import { rebase } from '../../../infra/cli/rebase.ts'
import { runVerb } from '../../../infra/cli/run.ts'
import { rebasedLines } from '../../../infra/deploy/rebase.ts'
import { describe as tell } from '../../../infra/local/fault.ts'

async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const out: string[] = []
  const err: string[] = []
  const exit = await runVerb(
    { rebase },
    { args, env: { AFLUENTE_HOME: '/nowhere/at/all', ...env }, out: (line) => out.push(line), err: (line) => err.push(line), describe: tell },
  )
  return { exit, out: out.join('\n'), err: err.join('\n') }
}

describe('npx afluente rebase', () => {
  test('helps when asked, and takes nothing but --json', async () => {
    expect(await run(['rebase', '--help'])).toMatchObject({ exit: 0, out: expect.stringContaining('SOURCE_DATABASE_URL') as unknown })
    for (const args of [['--force'], ['leads'], ['--json=maybe']]) expect(await run(['rebase', ...args]), args.join()).toMatchObject({ exit: 2, out: '' })
  })

  test('without a source says how to name one', async () => {
    expect(await run(['rebase'])).toMatchObject({ exit: 1, err: expect.stringMatching(/SOURCE_DATABASE_URL is not set.*npm start/) as unknown })
    expect(await run(['rebase'], { SOURCE_DATABASE_URL: ' ' })).toMatchObject({ exit: 1, err: expect.stringContaining('is not set') as unknown })
  })
})

describe('what a rebase did, in words', () => {
  const done = { status: 'rebased' as const, reason: 'this database is a copy of another one', from: 1, to: 2, changes: 3, tables: ['public.leads'] }

  test('says why, what became of the versions, and which tables are marked', () => {
    expect(rebasedLines(done)).toEqual([
      expect.stringContaining('this database is a copy of another one'),
      'versions lifted from 1 to 2; 3 change(s) that waited got new ones',
      expect.stringMatching(/^marked for reconciliation.*public\.leads$/),
    ])
  })

  test('says so when nothing waited or nothing is captured, and nothing when nothing was done', () => {
    expect(rebasedLines({ ...done, changes: 0, tables: [] })).toEqual([
      expect.any(String),
      'versions lifted from 1 to 2; no change was waiting',
      'no table is captured',
    ])
    expect(rebasedLines({ status: 'unchanged' })).toEqual([])
  })
})
