import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { guards } from '../../mutants/guards.ts'
import { sabotaged } from '../../mutants/sabotage.ts'

describe('each guard of `npm run mutants`', () => {
  it.each(guards)('$name: its line stands where it is looked for, and its tests are there', (guard) => {
    expect(sabotaged(readFileSync(guard.file, 'utf8'), guard)).not.toBe(readFileSync(guard.file, 'utf8'))
    for (const file of guard.tests.slice(1)) expect(() => readFileSync(file)).not.toThrow(/ENOENT/)
  })

  it('has a name of its own', () => {
    expect(new Set(guards.map(({ name }) => name)).size).toBe(guards.length)
  })
})

it('a line that is gone, or stands there twice, is no mutant', () => {
  const [guard] = guards
  if (guard === undefined) throw new Error('there are no guards')
  expect(() => sabotaged('', guard)).toThrow('stands 0 times')
  expect(() => sabotaged(`${guard.line}${guard.line}`, guard)).toThrow('stands 2 times')
})
