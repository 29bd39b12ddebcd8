import { describe, expect, test } from 'vitest'
import { bigintArray, textArray } from '../../../shared/adapters/postgres/binary-arrays.ts'

describe('arrays in binary form', () => {
  test('text is written as UTF-8 with its length, NULL as -1', () => {
    const parts = ['00000001', '00000001', '00000019', '00000002', '00000001', '00000002', 'c3a9', 'ffffffff']
    expect(textArray(['é', null]).toString('hex')).toBe(parts.join(''))
  })

  test('numbers are written in 64 bits, exactly', () => {
    expect(bigintArray(['9223372036854775807', -1]).subarray(20).toString('hex')).toBe('000000087fffffffffffffff00000008ffffffffffffffff')
  })

  test('an unpaired surrogate becomes the replacement character, and the lengths still fit', () => {
    expect(textArray(['\ud800']).subarray(20).toString('hex')).toBe('00000003efbfbd')
  })
})
