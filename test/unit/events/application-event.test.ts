import { CloudEvent } from 'cloudevents'
import { describe, expect, test } from 'vitest'
import { APPLICATION_TOPIC, applicationEventFaults, differencesOf, replacementOf } from '../../../shared/events/application-event.ts'

const good = { id: 'e1', tipo: 'compra', valor: 10, usuario: 'u', ocorrido_em: '2026-11-22T18:00:00-03:00', payload: { total: 10 }, extra: true }

describe('an application event', () => {
  test('may have members that nobody knows, and lack those that need not be there', () => {
    expect(applicationEventFaults(JSON.stringify(good))).toEqual([])
    expect(applicationEventFaults('{"id":"e","tipo":"t","ocorrido_em":"2026-11-22T18:00:00Z"}')).toEqual([])
  })

  test('is told every fault at once, by member and without its values', () => {
    const faults = applicationEventFaults(JSON.stringify({ ...good, tipo: '', valor: 'secret', ocorrido_em: 'secret' }))
    expect(faults.map((fault) => fault.split(':')[0])).toEqual(['tipo', 'valor', 'ocorrido_em'])
    expect(faults.join()).not.toContain('secret')
  })
})

describe('an event in another’s place', () => {
  const headers = { ce_id: 'e1', ce_source: '/shop', ce_type: 'shop.sold', ce_time: '2026-11-22T18:00:00Z', traceparent: '00-a-b-01', afluente_error_code: 'x' }
  const record = { topic: APPLICATION_TOPIC, partition: 0, offset: '5', timestampMs: 0, key: 'e1', value: '{}', headers }

  test('is a CloudEvent of its own that names it, keeps its key, source and trace, and nothing of its failure', () => {
    const message = replacementOf(record, 'e1', '{"id":"e1"}', 'f'.repeat(64))
    expect(message).toMatchObject({ topic: APPLICATION_TOPIC, key: 'e1', value: '{"id":"e1"}' })
    expect(message.headers).toMatchObject({
      ce_id: `e1~${'f'.repeat(16)}`,
      ce_source: '/shop',
      ce_type: 'shop.sold',
      traceparent: '00-a-b-01',
      afluente_replaces: 'e1',
    })
    expect(message.headers).not.toHaveProperty('afluente_error_code')
    const attribute = (name: string) => message.headers[`ce_${name}`] ?? ''
    expect(new CloudEvent({ id: attribute('id'), source: attribute('source'), type: attribute('type'), time: attribute('time') }).validate()).toBe(true)
  })

  test('of a record that named nothing is complete all the same', () => {
    const message = replacementOf({ ...record, key: null, headers: {} }, 'topic:0:5', '{}', '0123456789abcdef0')
    expect(message.key).toBe('topic:0:5~0123456789abcdef')
    expect(message.headers).toMatchObject({ ce_specversion: '1.0', ce_source: '/afluente/dead-letters', ce_type: 'afluente.event' })
  })
})

describe('the difference', () => {
  test('is told member by member, whatever the order they stand in', () => {
    expect(differencesOf('{"a":1,"b":{"c":2,"d":[1]},"e":{}}', '{"e":{},"b":{"d":[1,2],"c":2},"f":null}')).toEqual([
      { path: 'a', before: '1', after: null },
      { path: 'b.d', before: '[1]', after: '[1,2]' },
      { path: 'f', before: null, after: 'null' },
    ])
  })

  test('of what was no JSON, or nothing, is the whole', () => {
    expect(differencesOf('oops', '{"a":1}')).toEqual([{ path: '', before: '"oops"', after: null }, { path: 'a', before: null, after: '1' }]) // prettier-ignore
    expect(differencesOf(null, '1')).toEqual([{ path: '', before: null, after: '1' }])
    expect(differencesOf('{"a":1}', '{ "a": 1 }')).toEqual([])
  })
})
