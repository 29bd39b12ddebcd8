import { afterEach, expect, test, vi } from 'vitest'
import { consoleLog } from '../../../shared/adapters/log.ts'

afterEach(() => vi.restoreAllMocks())

test('one JSON object a line, with time, level, event and fields', () => {
  const lines: string[] = []
  for (const level of ['log', 'warn', 'error'] as const) vi.spyOn(console, level).mockImplementation((line: string) => void lines.push(line))
  const log = consoleLog({ base: { function: 'capture' }, now: () => 0 })
  log.info('capture.ended', { shard: 0, note: 'two\nlines' })
  log.warn('capture.refused')
  log.error('capture.failed', { reason: undefined })
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { at: '1970-01-01T00:00:00.000Z', level: 'info', event: 'capture.ended', function: 'capture', shard: 0, note: 'two\nlines' },
    { at: '1970-01-01T00:00:00.000Z', level: 'warn', event: 'capture.refused', function: 'capture' },
    { at: '1970-01-01T00:00:00.000Z', level: 'error', event: 'capture.failed', function: 'capture' },
  ])
  expect(lines.every((line) => !line.includes('\n'))).toBe(true)
})
