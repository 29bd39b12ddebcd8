import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scheduleLines } from '../../../infra/deploy/schedules.ts'
import { isDue, isOverdue, nextFires, scheduleFaults } from '../../../shared/engine/etl-schedule.ts'
import { pipeline } from '../../../shared/pipeline.ts'

const SAO_PAULO = 'America/Sao_Paulo'
const NEW_YORK = 'America/New_York'
const ms = (iso: string) => Date.parse(iso)
const fires = (cron: string, timeZone: string, after: string, count: number) =>
  nextFires({ cron, timeZone }, ms(after), count).map((moment) => new Date(moment).toISOString().slice(0, 16))

describe('the next moments', () => {
  test('daily at three is three on that clock, and never now', () => {
    expect(fires('0 3 * * *', SAO_PAULO, '2026-11-28T05:59:59Z', 2)).toEqual(['2026-11-28T06:00', '2026-11-29T06:00'])
    expect(fires('0 3 * * *', SAO_PAULO, '2026-11-28T06:00:00Z', 1)).toEqual(['2026-11-29T06:00'])
  })

  test('a time that the clock leaves out in spring comes out of the gap, and the next day is on time', () => {
    expect(fires('30 2 * * *', NEW_YORK, '2026-03-07T12:00:00Z', 2)).toEqual(['2026-03-08T07:00', '2026-03-09T06:30'])
    // São Paulo's clock left out midnight in 2018.
    expect(fires('0 0 * * *', SAO_PAULO, '2018-11-03T12:00:00Z', 2)).toEqual(['2018-11-04T03:00', '2018-11-05T02:00'])
  })

  test('a time that the clock shows twice in autumn is taken once', () => {
    expect(fires('30 1 * * *', NEW_YORK, '2026-10-31T12:00:00Z', 2)).toEqual(['2026-11-01T05:30', '2026-11-02T06:30'])
  })

  test.each([
    ['autumn', '2026-11-01T04:30:00Z'],
    ['spring', '2026-03-08T05:30:00Z'],
  ])('every five minutes stays every five minutes through the change of %s', (_name, after) => {
    const found = nextFires({ cron: '*/5 * * * *', timeZone: NEW_YORK }, ms(after), 40)
    expect(found.map((moment, at) => moment - (found[at - 1] ?? moment - 300_000))).toEqual(Array.from({ length: 40 }, () => 300_000))
  })

  test('they only ever go forward, wherever and whenever one begins', () => {
    const zones = fc.constantFrom(NEW_YORK, SAO_PAULO, 'Europe/Lisbon', 'Australia/Lord_Howe', 'Africa/Cairo', 'UTC')
    const crons = fc.constantFrom('*/5 * * * *', '0 3 * * *', '30 2 * * *', '15,45 0-4 * * *', '0 0 * * 1', '0 12 1 * *')
    fc.assert(
      fc.property(zones, crons, fc.integer({ min: ms('2018-01-01T00:00:00Z'), max: ms('2030-01-01T00:00:00Z') }), (timeZone, cron, after) => {
        const found = nextFires({ cron, timeZone }, after, 4)
        expect(found).toHaveLength(4)
        for (const [at, moment] of found.entries()) expect(moment).toBeGreaterThan(found[at - 1] ?? after)
      }),
    )
  })
})

test('a deploy and a start tell the next three moments of each schedule, on its own clock', () => {
  expect(scheduleLines(pipeline, ms('2026-11-29T02:31:00Z'))).toEqual([
    'etl: conversations loads at 2026-11-28 23:35, 2026-11-28 23:40, 2026-11-28 23:45, … (America/Sao_Paulo)',
    'etl: conversations is reconciled at 2026-11-29 03:00, 2026-11-30 03:00, 2026-12-01 03:00, … (America/Sao_Paulo)',
  ])
})

describe('due', () => {
  const daily = { cron: '0 3 * * *', timeZone: SAO_PAULO }
  const often = { cron: '*/5 * * * *', timeZone: SAO_PAULO }

  test('from the very moment on, and not before', () => {
    expect(isDue(daily, ms('2026-11-28T06:00:00Z'), ms('2026-11-29T05:59:59.999Z'))).toBe(false)
    expect(isDue(daily, ms('2026-11-28T06:00:00Z'), ms('2026-11-29T06:00:00Z'))).toBe(true)
  })

  test('a day of missed moments is caught up by the one run that begins then', () => {
    const woken = ms('2026-11-29T10:02:00Z')
    expect(isDue(often, ms('2026-11-28T10:00:00Z'), woken)).toBe(true)
    expect(isDue(often, woken, ms('2026-11-29T10:04:59Z'))).toBe(false)
    expect(isDue(often, woken, ms('2026-11-29T10:05:00Z'))).toBe(true)
  })

  test('a clock that steps back starts nothing twice', () => {
    expect(isDue(often, ms('2026-11-29T10:05:01Z'), ms('2026-11-29T09:00:00Z'))).toBe(false)
  })
})

test('overdue is what two moments have passed for, the second long enough ago to have begun', () => {
  const often = { cron: '*/5 * * * *', timeZone: SAO_PAULO }
  const since = ms('2026-11-29T10:00:07Z')
  expect(isOverdue(often, since, ms('2026-11-29T10:06:00Z'))).toBe(false)
  expect(isOverdue(often, since, ms('2026-11-29T10:11:29Z'))).toBe(false)
  expect(isOverdue(often, since, ms('2026-11-29T10:11:30Z'))).toBe(true)
})

describe('faults', () => {
  test.each([
    ['0 3 * * *', SAO_PAULO],
    ['*/5 * * * *', 'UTC'],
    ['0 9 * * 1-5', 'Europe/Lisbon'],
  ])('%s in %s is sound', (cron, timeZone) => {
    expect(scheduleFaults('x', { cron, timeZone })).toEqual([])
  })

  test.each([
    ['61 3 * * *', 'UTC', /x\.cron: '61 3 \* \* \*' is no schedule: .*minute: 61/],
    ['0 3 * *', 'UTC', /x\.cron: '0 3 \* \*' is no schedule/],
    ['0 0 3 * * *', 'UTC', /is no schedule/],
    ['2026-12-01T00:00:00', 'UTC', /is no schedule/],
    ['', 'UTC', /is no schedule/],
    ['0 3 30 2 *', 'UTC', /never comes/],
    ['0 3 * * *', 'Mars/Phobos', /x\.timeZone: 'Mars\/Phobos' is no time zone; write one like/],
    ['0 3 * * *', '', /x\.timeZone/],
  ])("'%s' in '%s' is told", (cron, timeZone, told) => {
    expect(scheduleFaults('x', { cron, timeZone })).toEqual([expect.stringMatching(told)])
  })
})
