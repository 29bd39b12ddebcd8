import { describe, expect, test } from 'vitest'
import { bigintArray, textArray } from '../../../shared/adapters/postgres/binary-arrays.ts'

describe('arrays in binary form', () => {
  test('text is written as UTF-8 with its length, NULL as -1', () => {
    const bytes = textArray(['é', null])
    expect([...bytes]).toEqual([
      ...[0, 0, 0, 1],
      ...[0, 0, 0, 1],
      ...[0, 0, 0, 25],
      ...[0, 0, 0, 2],
      ...[0, 0, 0, 1],
      ...[0, 0, 0, 2, 0xc3, 0xa9],
      ...[255, 255, 255, 255],
    ])
  })

  test('numbers are written in 64 bits, exactly', () => {
    expect(bigintArray(['9223372036854775807', -1]).subarray(20).toString('hex')).toBe('000000087fffffffffffffff' + '00000008ffffffffffffffff')
  })

  test('an unpaired surrogate becomes the replacement character, and the lengths still fit', () => {
    expect(textArray(['\ud800']).subarray(20).toString('hex')).toBe('00000003efbfbd')
  })
})
