import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { root } from '../support/repository.ts'

/** What the linter must find, and where: without this, a rule that was switched off would go unseen. */
const spoiled: Readonly<Record<string, readonly [file: string, source: string]>> = {
  'typescript(no-explicit-any)': ['shared/engine/any.ts', 'export const a = (b: any): unknown => b'],
  'typescript(no-non-null-assertion)': ['shared/engine/bang.ts', 'export const a = (b: string | null): string => b!'],
  'typescript(consistent-type-assertions)': ['functions/api/assertion.ts', 'export const a = (b: unknown): string => b as string'],
  'typescript(no-floating-promises)': ['shared/engine/floating.ts', 'export function a(b: () => Promise<void>): void {\n  b()\n}'],
  'eslint(no-console)': ['functions/api/console.ts', `export const a = (): void => console.log('x')`],
  'import(no-default-export)': ['shared/engine/default.ts', 'export default 1'],
  'vitest(no-focused-tests)': ['test/unit/focused.test.ts', `import { expect, test } from 'vitest'\ntest.only('a', () => expect(1).toBe(1))`],
  'vitest(no-disabled-tests)': ['test/unit/disabled.test.ts', `import { expect, test } from 'vitest'\ntest.skip('a', () => expect(1).toBe(1))`],
  'typescript(switch-exhaustiveness-check)': [
    'shared/engine/switch.ts',
    `export function a(b: 'x' | 'y'): number {\n  switch (b) {\n    case 'x':\n      return 1\n  }\n  return 2\n}`,
  ],
}

const fine = { 'shared/engine/fine.ts': `export const a = { b: 'c' } as const`, 'shared/adapters/log.ts': `export const a = (): void => console.log('x')` }

interface Diagnostic {
  readonly code: string
  readonly filename: string
}

describe('the linter', () => {
  let folder = ''
  let report: { diagnostics: Diagnostic[]; number_of_files: number } = { diagnostics: [], number_of_files: 0 }

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'afluente-lint-'))
    for (const file of ['.oxlintrc.json', 'tsconfig.json', 'tsconfig.base.json', 'package.json']) cpSync(join(root, file), join(folder, file))
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    for (const [file, source] of [...Object.values(spoiled), ...Object.entries(fine)]) {
      mkdirSync(join(folder, dirname(file)), { recursive: true })
      writeFileSync(join(folder, file), `${source}\n`)
    }
    report = JSON.parse(lint(folder)) as typeof report
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('has seen every file', () => {
    expect(report.number_of_files).toBe(Object.keys(spoiled).length + Object.keys(fine).length)
  })

  test.each(Object.entries(spoiled))('finds %s', (code, [file]) => {
    expect(report.diagnostics.filter((one) => one.filename === file).map((one) => one.code)).toContain(code)
  })

  test('lets what is fine pass', () => {
    expect(report.diagnostics.filter((one) => Object.hasOwn(fine, one.filename))).toEqual([])
  })
})

/** Exits with 1 when it finds anything, which is what it is asked for here. */
function lint(cwd: string): string {
  try {
    return execFileSync(process.execPath, [join(root, 'node_modules/oxlint/bin/oxlint'), '--type-aware', '--format', 'json'], {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}
