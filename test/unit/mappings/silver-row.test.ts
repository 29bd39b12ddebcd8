import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readableImage } from '../../../shared/mappings/silver-row.ts'
import { jsonText } from '../../support/arbitraries.ts'

describe('an image for silver', () => {
  test('stays as it is where no column is json', () => {
    const image = '{ "a" : 1.10, "a":2 }'
    expect(readableImage(image, [])).toBe(image)
  })

  test('has its json columns as strings that hold their text', () => {
    expect(readableImage(String.raw`{"id":12345678901234567890,"j":{"z": 1, "a":"\u0000"}}`, ['j'])).toBe(
      String.raw`{"id":12345678901234567890,"j":"{\"z\": 1, \"a\":\"\\u0000\"}"}`,
    )
  })

  test('keeps an absent json column NULL', () => {
    expect(readableImage('{"id":1,"j":null}', ['j'])).toBe('{"id":1,"j":null}')
  })

  test('is left to Postgres to refuse when it is no object', () => {
    for (const image of ['[1]', '{"a":', 'nonsense']) expect(readableImage(image, ['a'])).toBe(image)
  })

  test('gives back any json text byte for byte, and holds no NUL that Postgres would unescape', () => {
    fc.assert(
      fc.property(jsonText, (value) => {
        const text = value.trim()
        fc.pre(text !== 'null')
        const { j } = JSON.parse(readableImage(`{"j":${value}}`, ['j'])) as { j: string }
        expect(j.trim()).toBe(text)
      }),
    )
  })
})
