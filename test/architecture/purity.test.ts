import { describe, expect, test } from 'vitest'
import { filesOf, textOf } from '../support/repository.ts'

/** Time, chance, ids and the world are arguments: none of these words may stand in the folders that run the same everywhere and every time. */
const IMPURE =
  /new Date\(\)|\b(?:Date\.now|Math\.random|performance\.now|crypto\.(?:randomUUID|getRandomValues)|AbortSignal\.timeout|setTimeout|setInterval|setImmediate|queueMicrotask|fetch|WebSocket|process|Deno|Bun|console|globalThis|localStorage)\b/

function impureWordsIn(source: string): readonly string[] {
  const code = source.replaceAll(/\/\*[^]*?\*\/|(?<=^|\s)\/\/.*$/gm, '').replaceAll(/'(?:\\.|[^'\\\n])*'/g, "''")
  return code.split('\n').flatMap((line) => IMPURE.exec(line)?.[0] ?? [])
}

const pure = filesOf(
  'shared/tables/*.ts',
  'shared/events/*.ts',
  'shared/mappings/*.ts',
  'shared/steps/*.ts',
  'shared/windows/*.ts',
  'shared/rules/*.ts',
  'shared/engine/*.ts',
  'shared/ports/*.ts',
  'shared/pipeline.ts',
  'shared/config.ts',
)

test('the check has seen the files', () => {
  expect(pure.length).toBeGreaterThan(40)
})

test('the pure folders, the engine and the ports take time, chance and the world as arguments', () => {
  const faults = pure.flatMap((file) => impureWordsIn(textOf(file)).map((word) => `${file} uses ${word}: make it an argument, or a port of the deps.`))
  expect(faults).toEqual([])
})

describe('the check finds', () => {
  test.each([
    'const now = Date.now()',
    'const at = new Date()',
    'Math.random()',
    'await fetch(url)',
    'const id = crypto.randomUUID()',
    'setTimeout(f, 1)',
    'process.env',
    'console.log(1)',
  ])('%s', (source) => {
    expect(impureWordsIn(source)).toHaveLength(1)
  })

  test('nothing in comments, texts and other words', () => {
    expect(impureWordsIn(`// Date.now()\n/** fetch */\nconst a = 'process this'\nconst processed = new Date(0)\ndeps.now()`)).toEqual([])
  })
})
