import { expect, test } from 'vitest'
import { isAfluenteError } from '../../../shared/engine/errors.ts'
import { assertShape } from '../../../shared/engine/shape.ts'
import { decode, type Event, type LogRecord } from '../../../shared/events/envelope.ts'
import { people, recordOf, truncateOf } from './world.ts'

function eventsOf(...records: readonly LogRecord[]): readonly Event[] {
  return records.flatMap((record) => {
    const decoded = decode(record)
    return decoded.ok ? [decoded.event] : []
  })
}

test('a batch whose rows have every defined column passes, with more columns too', () => {
  expect(() => assertShape(people, eventsOf(recordOf(1, 1), recordOf(2, 2, { after: '{"id":2,"name":null,"nickname":"x"}' })))).not.toThrow()
})

test.each([
  ['the only row', [recordOf(1, 1, { after: '{"id":1,"full_name":"x"}' })]],
  ['the first', [recordOf(1, 1, { after: '{"id":1,"full_name":"x"}' }), recordOf(2, 2)]],
  ['the middle', [recordOf(1, 1), recordOf(2, 2), recordOf(3, 3, { after: '{"id":3,"full_name":"x"}' }), recordOf(4, 4), recordOf(5, 5)]],
  ['a row that names it within another column', [recordOf(1, 1), recordOf(2, 2, { after: '{"id":{"name":2},"full_name":"x"}' }), recordOf(3, 3)]],
  ['the last', [recordOf(1, 1), recordOf(2, 2, { after: '{"id":2,"full_name":"x"}' })]],
])('a column missing from %s is told with both lists', (_, records) => {
  const check = () => assertShape(people, eventsOf(...records))
  expect(check).toThrow('without name')
  expect(check).toThrow('Defined: id, name. Found: id, full_name.')
  try {
    check()
  } catch (error) {
    expect(isAfluenteError(error) && error.kind).toBe('misconfigured')
    expect(String(error)).not.toContain('"x"')
  }
})

test('a batch in which columns come, go and change places passes while all defined ones are there', () => {
  const images = ['{"id":1,"name":"x"}', '{"name":"x","id":2}', '{"id":3,"name":null,"nickname":"y"}', '{ "id" : 4, "name" : "z" }', '{"id":5,"name":"x"}']
  expect(() => assertShape(people, eventsOf(...images.map((after, at) => recordOf(at + 1, at + 1, { after }))))).not.toThrow()
})

test('deletes, truncates and images that are no JSON are not looked at', () => {
  const broken = recordOf(1, 1, { after: '{"id":}' })
  const deleted = { ...recordOf(2, 2), value: '{"op":"delete","before":{"id":2},"after":null}' }
  expect(() => assertShape(people, eventsOf(broken, deleted, truncateOf(3)))).not.toThrow()
})
