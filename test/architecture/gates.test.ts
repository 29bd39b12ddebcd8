import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { filesOf, root } from '../support/repository.ts'

const bin = (name: string) => join(root, 'node_modules/.bin', name)
const sources = filesOf('shared/*.ts', 'functions/*.ts', 'infra/*.ts', 'test/*.ts', 'vitest.config.ts')
/** Deno checks what only Deno can: its own globals. */
const checkedByDeno = (file: string) => /^functions\/\w+\/edge\.ts$|^infra\/local\/edge\/|^test\/edge\//.test(file)

test('every TypeScript file is checked by one of the compilers', () => {
  const projects = ['core', 'worker', 'test', 'workers'].map((name) => {
    const listed = execFileSync(bin('tsc'), ['-p', `tsconfig.${name}.json`, '--listFilesOnly'], { cwd: root, encoding: 'utf8' })
    return {
      name,
      files: listed
        .split('\n')
        .map((path) => relative(root, path))
        .filter((path) => !path.startsWith('node_modules')),
    }
  })
  for (const { name, files } of projects) expect(files.length, name).toBeGreaterThan(name === 'workers' ? 1 : 30)
  const seen = new Set(projects.flatMap(({ files }) => files))
  expect(sources.filter((file) => !seen.has(file) && !checkedByDeno(file))).toEqual([])
})

test('the core is compiled without the types of any runtime', () => {
  const core = execFileSync(bin('tsc'), ['-p', 'tsconfig.core.json', '--listFilesOnly'], { cwd: root, encoding: 'utf8' })
  expect(core).toContain('shared/engine/define.ts')
  expect(core).not.toMatch(/node_modules\/(?:@types\/node|@cloudflare\/workers-types)\//)
})

test('the linter looks at every source file', () => {
  const listed = execFileSync(bin('oxlint'), ['--debug=files'], { cwd: root, encoding: 'utf8' })
  const linted = new Set(listed.match(/[\w./-]+\.ts\b/g)?.map((path) => relative(root, join(root, path))))
  expect(sources.filter((file) => !linted.has(file))).toEqual([])
})

test('the formatter looks at every source file: one that is not as it writes it is found, wherever it lies', () => {
  const folder = mkdtempSync(join(tmpdir(), 'afluente-format-'))
  try {
    const files = ['shared/engine/a.ts', 'functions/api/b.ts', 'infra/local/c.mjs', 'test/unit/d.ts', 'e.json']
    for (const file of files) {
      mkdirSync(join(folder, dirname(file)), { recursive: true })
      writeFileSync(join(folder, file), file.endsWith('json') ? '{"a":   1}' : 'export const a   = "1";\n')
    }
    cpSync(join(root, '.oxfmtrc.json'), join(folder, '.oxfmtrc.json'))
    const { stdout } = spawnSync(bin('oxfmt'), ['--list-different', '.'], { cwd: folder, encoding: 'utf8' })
    expect(
      stdout
        .split('\n')
        .filter((line) => line !== '')
        .toSorted(),
    ).toEqual(files.toSorted())
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('the search for dead code looks at the whole project: without its entry points nearly all of it is dead', () => {
  const folder = mkdtempSync(join(tmpdir(), 'afluente-knip-'))
  try {
    const config = JSON.parse(readFileSync(join(root, 'knip.json'), 'utf8')) as object
    writeFileSync(join(folder, 'knip.json'), JSON.stringify({ ...config, entry: ['shared/pipeline.ts'], vitest: false, wrangler: false }))
    const { stdout } = spawnSync(bin('knip'), ['--config', join(folder, 'knip.json'), '--include', 'files', '--no-progress', '--reporter', 'symbols'], {
      cwd: root,
      encoding: 'utf8',
    })
    const [, dead = '0'] = /Unused files \((\d+)\)/.exec(stdout) ?? []
    expect(Number(dead), stdout.slice(0, 500)).toBeGreaterThan(100)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
