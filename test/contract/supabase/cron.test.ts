import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isDue, parseSchedule } from '../../../infra/local/supabase/cron/schedule.ts'
import { eventually } from '../../support/poll.ts'
import { type Cloud, startCloud } from './cloud.ts'

describe('when a job is due', () => {
  const due = (schedule: string, now: string, last?: string) => {
    const parsed = parseSchedule(schedule)
    return parsed === undefined ? undefined : isDue(parsed, Date.parse(now), last === undefined ? undefined : Date.parse(last))
  }

  it.each([
    ['5 seconds', '2026-11-22T18:00:05Z', '2026-11-22T18:00:00Z', true],
    ['5 seconds', '2026-11-22T18:00:04.990Z', '2026-11-22T18:00:00Z', true],
    ['5 seconds', '2026-11-22T18:00:04Z', '2026-11-22T18:00:00Z', false],
    ['* * * * *', '2026-11-22T18:01:00Z', '2026-11-22T18:00:59Z', true],
    ['* * * * *', '2026-11-22T18:01:59Z', '2026-11-22T18:01:00Z', false],
    ['*/15 * * * *', '2026-11-22T18:30:00Z', undefined, true],
    ['*/15 * * * *', '2026-11-22T18:31:00Z', undefined, false],
    ['30 6 * * *', '2026-11-22T06:30:10Z', undefined, true],
    ['30 6 * * *', '2026-11-22T07:30:10Z', undefined, false],
    ['0 0 * * 7', '2026-11-22T00:00:00Z', undefined, true],
    ['0 0 1,15 * *', '2026-11-15T00:00:00Z', undefined, true],
    ['0 0 13 * 5', '2026-11-13T00:00:00Z', undefined, true],
    ['0 0 13 * 5', '2026-11-20T00:00:00Z', undefined, true],
    ['0 9-17/4 * * *', '2026-11-20T13:00:00Z', undefined, true],
  ])('%s at %s after %s: %s', (schedule, now, last, expected) => {
    expect(due(schedule, now, last)).toBe(expected)
  })

  it.each(['', '60 seconds', '0 seconds', '60 * * * *', '* * * *', '*/0 * * * *', 'tomorrow', '5-1 * * * *'])('takes "%s" for no schedule', (schedule) => {
    expect(parseSchedule(schedule)).toBeUndefined()
  })
})

describe('jobs of cron.job', () => {
  let cloud: Cloud
  beforeAll(async () => void (cloud = await startCloud()))
  afterAll(() => cloud.stop())

  it('run every so many seconds, never twice at once, and a failing one hinders no other', async () => {
    await cloud.sql(`
      select cron.schedule('quick', '1 seconds', $$insert into public.ran (job, ended) values ('quick', clock_timestamp())$$);
      select cron.schedule('failing', '1 seconds', 'select 1/0');
      select cron.schedule('asleep', '1 seconds', $$insert into public.ran (job) values ('asleep')$$);
      update cron.job set active = false where jobname = 'asleep';
      select cron.schedule('slow', '1 seconds', $$with started as (select clock_timestamp() s, pg_sleep(1.5)) insert into public.ran select 'slow', s, clock_timestamp() from started$$)`)
    await eventually('runs of each', async () => {
      const [row] = await cloud.sql(`select count(*) filter (where job = 'quick')::int quick, count(*) filter (where job = 'slow')::int slow from public.ran`)
      return Number(row?.['quick']) >= 2 && Number(row?.['slow']) >= 2
    })
    const overlaps = await cloud.sql(
      `select 1 from public.ran a join public.ran b on a.job = b.job and a.ctid <> b.ctid and a.started < b.ended and b.started < a.ended where a.job = 'slow'`,
    )
    expect(overlaps).toHaveLength(0)
    expect(await cloud.sql(`select 1 from public.ran where job = 'asleep'`)).toHaveLength(0)
  })
})
