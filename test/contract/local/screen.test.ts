import { expect, it } from 'vitest'
import { readingLine } from '../../../infra/local/gauge.ts'
import { rowWayLine } from '../../../infra/local/row-way.ts'
import { createScreen } from '../../../infra/local/terminal.ts'
import { fires } from '../../../infra/local/worker/crons.ts'

function screen(terminal: boolean) {
  let written = ''
  const made = createScreen({ write: (text) => (written += text), terminal, width: () => 80 })
  return { ...made, written: () => written }
}

it('shows plain lines without a terminal: finished steps only, nothing that moves', () => {
  const { report, status, written } = screen(false)
  report({ key: 'kafka', state: 'running', text: 'kafka starting, 1.0 s' })
  report({ key: 'kafka', state: 'done', text: 'kafka ready after 2.9 s' })
  status('12 events/s')
  expect(written()).toBe('  ✓ kafka ready after 2.9 s\n')
})

it('keeps running steps below finished ones on a terminal', () => {
  const { report, written } = screen(true)
  report({ key: 'kafka', state: 'running', text: 'kafka starting' })
  report({ key: 'postgres', state: 'done', text: 'postgres ready' })
  expect(written()).toBe('  · kafka starting\n\u001B[1A\u001B[J  ✓ postgres ready\n  · kafka starting\n')
})

it('tells a row’s way in plain words, and where it got stuck', () => {
  expect(rowWayLine({ kafka: 8.7, postgres: 15.2, elasticsearch: 22 })).toBe('committed 0 ms → Kafka 9 ms → Postgres 15 ms → Elasticsearch 22 ms')
  expect(rowWayLine({ kafka: 9, postgres: 15, elasticsearch: undefined })).toContain('Elasticsearch not yet')
})

it('tells the stream in one line', () => {
  expect(readingLine({ perSecond: 49.6, waiting: 3, p50Ms: 9.44, p99Ms: 41.2, dead: 0 })).toBe(
    '    50 events/s · 3 waiting · p50 9.4 ms · p99 41 ms · 0 dead letters',
  )
  expect(readingLine({ perSecond: 0, waiting: 0, p50Ms: undefined, p99Ms: undefined, dead: 1 })).toContain('p50 – · p99 – · 1 dead letters')
})

it.each([
  ['* * * * *', true],
  ['34 12 * * *', true],
  ['35 12 * * *', false],
  ['*/2 * * * *', true],
  ['*/5 * * * *', false],
  ['4/10 * * * *', true],
  ['30-40 * 22 11 *', true],
  ['1,34 * * * 1', true],
  ['* * * * 2-7', false],
])('the cron "%s" names Sunday, 22 November 2026, 12:34 UTC: %s', (cron, named) => {
  expect(fires(cron, new Date('2026-11-22T12:34:00Z'))).toBe(named)
})

it('refuses a cron that it can’t read', () => {
  expect(() => fires('@daily', new Date())).toThrow('has 1 fields')
  expect(() => fires('x * * * *', new Date())).toThrow('can\'t read "x"')
})
