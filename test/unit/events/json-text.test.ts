import fc from 'fast-check'
import { expect, test } from 'vitest'
import { beginningOf, hasMembers, membersOf, onOneLine } from '../../../shared/events/json-text.ts'
import { jsonText, stringText } from '../../support/arbitraries.ts'

const member = fc.tuple(stringText, jsonText, fc.constantFrom('', ' ', '\n\t'))
const objectOf = (members: readonly (readonly [string, string, string])[]) =>
  `{${members.map(([name, value, space]) => `${space}${name}${space}:${space}${value}${space}`).join(',')}}`

// The names are read one by one here: JSON.parse of V8 13.6 (Node 24) reads {"":1,"\n":2} as {"":1,"\\":2}.
test('the members of any JSON object are its names and the texts of its values, the last of a name winning', () => {
  fc.assert(
    fc.property(fc.array(member, { maxLength: 6 }), (members) => {
      expect(membersOf(objectOf(members))).toEqual(new Map(members.map(([name, value]) => [JSON.parse(name), value])))
    }),
    { numRuns: 500 },
  )
})

test('they are what JSON.parse reads', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 2 }), fc.jsonValue()), fc.constantFrom(undefined, 1, '\t'), (row, spacing) => {
      const parsed = [...(membersOf(JSON.stringify(row, null, spacing)) ?? [])].map(([name, value]) => [name, JSON.parse(value)])
      expect(parsed).toEqual(Object.entries(JSON.parse(JSON.stringify(row)) as object))
    }),
  )
})

test('a member keeps its text: no digit, escape or space inside it changes', () => {
  fc.assert(
    fc.property(jsonText, (value) => {
      expect(membersOf(`{"a":1,"it": ${value} ,"z":[]}`)?.get('it')).toBe(value)
    }),
  )
})

test('where a name stands twice, the last wins, also when it is written with escapes', () => {
  expect(membersOf(String.raw`{"a":1,"\u0061":2}`)).toEqual(new Map([['a', '2']]))
})

test('what is not one JSON object has no members', () => {
  for (const text of [
    '',
    ' ',
    'null',
    '[]',
    '"{}"',
    '1',
    '{',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '{,}',
    '{a:1}',
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{"a":x}',
    '{"a":nullx}',
    '{"a":1.}',
    '{}{}',
    '{"a":1}x',
    '{"a":"b}',
    String.raw`{"a\q":1}`,
    String.raw`{"a":"\"}`,
  ]) {
    expect(membersOf(text), text).toBeNull()
  }
})

test('any text gives members or null, and never throws; whatever JSON.parse takes as an object has members', () => {
  const noise = fc.array(fc.constantFrom('{', '}', '[', ']', '"', '\\', ':', ',', ' ', 'a', '1', '-', '.', 'e', 'null', 'true')).map((parts) => parts.join(''))
  fc.assert(
    fc.property(
      fc.oneof(
        noise,
        noise.map((inner) => `{"a":${inner}}`),
        fc.string({ unit: 'binary' }),
      ),
      (text) => {
        const members = membersOf(text)
        if (isObject(text)) expect(members).not.toBeNull()
      },
    ),
    { numRuns: 2_000 },
  )
})

test('on one line a JSON text means the same and has no line break', () => {
  fc.assert(
    fc.property(fc.array(member, { maxLength: 6 }), (members) => {
      const line = onOneLine(objectOf(members))
      expect(line).not.toMatch(/[\n\r]/)
      expect(line.replaceAll(/\s/g, '')).toBe(objectOf(members).replaceAll(/\s/g, ''))
      expect(membersOf(line)?.size).toBe(membersOf(objectOf(members))?.size)
    }),
  )
})

test('a long run of backslashes and quotes takes time in step with its length', () => {
  const text = `{"a":"${'\\\\'.repeat(200_000)}${'\\"'.repeat(200_000)}"}`
  const began = performance.now()
  expect(membersOf(text)?.get('a')).toHaveLength(800_002)
  expect(performance.now() - began).toBeLessThan(2_000)
})

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

test('an object printed without spaces has exactly the members it has, and no others, whatever its values hold', () => {
  const rows = fc.uniqueArray(fc.tuple(fc.string({ unit: 'binary' }), jsonText), { minLength: 1, maxLength: 6, selector: ([name]) => name })
  const printed = (row: readonly (readonly [string, string])[]) => `{${row.map(([name, value]) => beginningOf(name) + value.trim()).join(',')}}`
  fc.assert(
    fc.property(rows, fc.nat(), (row, at) => {
      const names = row.map(([name]) => beginningOf(name))
      const without = row.filter((_, index) => index !== at % row.length)
      expect(hasMembers(printed(row), names)).toBe(true)
      expect(hasMembers(printed(without), names)).toBe(false)
      if (without.length > 0)
        expect(
          hasMembers(
            printed(row),
            without.map(([name]) => beginningOf(name)),
          ),
        ).toBe(false)
    }),
    { numRuns: 500 },
  )
})

test('a name inside a nested value or a text is no member', () => {
  const names = ['a', 'b', 'c'].map(beginningOf)
  for (const text of [
    '{"a":{"b":1},"c":2}',
    '{"a":[{"b":1}],"c":2}',
    String.raw`{"a":",\"b\":1","c":2}`,
    '{"a":1,"b":{"c":2}}',
    '{"a":1,"b":2,"c":3',
    '',
    '{}',
  ])
    expect(hasMembers(text, names), text).toBe(false)
})
