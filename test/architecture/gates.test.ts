import { execFileSync } from 'node:child_process'
import { join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
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

describe('formatter and linter', () => {
  test('look at every source file', () => {
    const linted = new Set(
      execFileSync(bin('oxlint'), ['--debug=files'], { cwd: root, encoding: 'utf8' })
        .match(/[\w./-]+\.ts\b/g)
        ?.map((path) => relative(root, join(root, path))),
    )
    expect(sources.filter((file) => !linted.has(file))).toEqual([])
  })
})
