import { describe, expect, test } from 'vitest'
import { bearerOf, isSameSecret } from '../../../shared/engine/secret.ts'

describe('a secret', () => {
  test('is the same as itself and as nothing else', async () => {
    expect(await isSameSecret('a long secret', 'a long secret')).toBe(true)
    for (const other of ['a long secreT', 'a long secret ', 'a long secre', '']) expect(await isSameSecret(other, 'a long secret'), other).toBe(false)
  })

  test('that is not set lets nobody in, not even whoever sends nothing', async () => {
    expect(await isSameSecret('', '')).toBe(false)
    expect(await isSameSecret(undefined, '')).toBe(false)
    expect(await isSameSecret(undefined, 'a long secret')).toBe(false)
  })

  test('stands behind Bearer, whole', () => {
    expect(bearerOf('Bearer abc')).toBe('abc')
    expect(bearerOf('bearer  abc ')).toBe('abc')
    for (const header of ['abc', 'Basic abc', 'Bearer a b', 'Bearer ', null, undefined]) expect(bearerOf(header)).toBeUndefined()
  })
})
