import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { comparedLine, compareFigures, type Figure } from '../../bench/figures.ts'
import { layOut, treeOf } from '../../bench/trees.ts'

const rate = (value: number): Figure => ({ name: 'end to end', unit: 'rows/s', value })
const cpu = (value: number): Figure => ({ name: 'CPU', unit: 'µs of CPU a row', value })

describe('the figures of two versions', () => {
  test('are compared round by round: the median of the ratios, with the least and the most', () => {
    const pairs = [
      { plain: [rate(1_000)], captured: [rate(1_100)] },
      { plain: [rate(2_000)], captured: [rate(1_900)] },
      { plain: [rate(3_000)], captured: [rate(3_600)] },
    ]
    const [found] = compareFigures(pairs)
    expect(found).toEqual({
      name: 'end to end',
      unit: 'rows/s',
      better: 'more',
      rounds: 3,
      baseMedian: 2_000,
      otherMedian: 1_900,
      ratio: 1.1,
      ratioLeast: 0.95,
      ratioMost: 1.2,
      betterIn: 2,
    })
    expect(found && comparedLine(found)).toBe('end to end: 2000 → 1900 rows/s (more is better), 1.1 times (0.95 to 1.2), better in 2 of 3 rounds')
  })

  test('of CPU and of time are better when they are less', () => {
    const [found] = compareFigures([{ plain: [cpu(200)], captured: [cpu(100)] }])
    expect(found).toMatchObject({ better: 'less', ratio: 0.5, betterIn: 1 })
    expect(found && comparedLine(found)).toMatch(/better in every round$/)
    expect(compareFigures([{ plain: [cpu(100)], captured: [cpu(100)] }]).map(comparedLine)[0]).toMatch(/better in no round$/)
  })

  test('that one side of a round lacks leave that round out, and what nobody has is not shown', () => {
    const pairs = [
      { plain: [rate(1_000), cpu(0)], captured: [rate(2_000), cpu(10)] },
      { plain: [rate(1_000)], captured: [] },
    ]
    expect(compareFigures(pairs)).toMatchObject([{ name: 'end to end', rounds: 1, ratio: 2 }])
  })

  test('of a few ticks of the clock are not shown', () => {
    expect(compareFigures([{ plain: [cpu(1)], captured: [cpu(2.9)] }])).toEqual([])
    expect(compareFigures([{ plain: [cpu(1)], captured: [cpu(3)] }])).toHaveLength(1)
  })
})

describe('versions to measure', () => {
  const root = mkdtempSync(join(tmpdir(), 'afluente-trees-'))
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'commit.gpgsign=false', ...args], { cwd: root, encoding: 'utf8' }).trim()
  const write = (file: string, text: string, mode = 0o644) => {
    mkdirSync(join(root, file, '..'), { recursive: true })
    writeFileSync(join(root, file), text, { mode })
  }
  beforeAll(() => {
    git('init', '--quiet')
    write('readme', 'without a stack')
    git('add', '-A')
    git('commit', '--quiet', '-m', 'one')
    write('infra/local/main.mjs', 'first', 0o755)
    write('package-lock.json', '{}')
    write('.gitignore', 'node_modules/\n')
    write('gone', 'here')
    git('add', '-A')
    git('commit', '--quiet', '-m', 'two')
    write('infra/local/main.mjs', 'changed')
    write('new file', 'not yet committed')
    write('node_modules/kept', 'a package')
    rmSync(join(root, 'gone'))
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  test('a commit is laid out as it was committed, and git keeps no note of it', async () => {
    const before = git('status', '--porcelain')
    const tree = await treeOf('HEAD', root)
    expect(tree).toEqual({ name: git('rev-parse', '--short', 'HEAD'), commit: git('rev-parse', 'HEAD') })
    const folder = join(root, 'node_modules', 'commit')
    await layOut(tree, folder, root)
    expect(readFileSync(join(folder, 'infra/local/main.mjs'), 'utf8')).toBe('first')
    expect(statSync(join(folder, 'infra/local/main.mjs')).mode & 0o111).not.toBe(0)
    expect(existsSync(join(folder, 'new file'))).toBe(false)
    expect(existsSync(join(folder, 'gone'))).toBe(true)
    expect(git('status', '--porcelain')).toBe(before)
    expect(git('worktree', 'list').split('\n')).toHaveLength(1)
  })

  test('the working tree is laid out as it stands, with what is not committed and without what is ignored', async () => {
    const tree = await treeOf(undefined, root)
    expect(tree).toEqual({ name: `${git('rev-parse', '--short', 'HEAD')}+`, commit: undefined })
    const folder = join(root, 'node_modules', 'tree')
    await layOut(tree, folder, root)
    expect(readFileSync(join(folder, 'infra/local/main.mjs'), 'utf8')).toBe('changed')
    expect(readFileSync(join(folder, 'new file'), 'utf8')).toBe('not yet committed')
    expect(existsSync(join(folder, 'gone'))).toBe(false)
  })

  test('packages are shared only where package-lock.json is the same', async () => {
    const same = join(root, 'node_modules', 'same')
    await layOut(await treeOf('HEAD', root), same, root)
    expect(lstatSync(join(same, 'node_modules')).isSymbolicLink()).toBe(true)
    write('package-lock.json', '{"other": true}')
    const other = join(root, 'node_modules', 'other')
    await layOut(await treeOf('HEAD', root), other, root)
    expect(existsSync(join(other, 'node_modules'))).toBe(false)
    write('package-lock.json', '{}')
  })

  test.each([
    ['nowhere', /^'nowhere' is no commit here/],
    ['--output=x', /^'--output=x' is no commit here/],
    ['HEAD~1', /has no stack that could be measured: infra\/local\/main\.mjs is not in it/],
  ])('%s is wrong use, in words', async (ref, words) => {
    await expect(treeOf(ref, root)).rejects.toMatchObject({ name: 'NoSuchTree', message: expect.stringMatching(words), advice: expect.any(String) })
  })

  test('outside a repository there is nothing to compare with', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'afluente-trees-'))
    await expect(treeOf('HEAD', empty)).rejects.toMatchObject({ name: 'NoSuchTree', message: expect.stringContaining('is not a git repository') })
    rmSync(empty, { recursive: true })
  })
})
