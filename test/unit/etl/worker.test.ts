import { describe, expect, test } from 'vitest'
import { createEtlWorker, type EtlWorker } from '../../../functions/etl/handler.ts'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { memoryEtl, memoryEtlControl } from '../../../shared/adapters/memory/etl-control.ts'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import type { EtlStep } from '../../../shared/engine/etl-step.ts'
import type { EtlRun, EtlRequest } from '../../../shared/ports/etl-control.ts'

const BEGIN = Date.parse('2026-11-29T10:01:00Z')
const NEVER = new AbortController().signal
const schedules = { schedule: { cron: '*/5 * * * *', timeZone: 'UTC' }, reconcile: { cron: '0 3 * * *', timeZone: 'America/Sao_Paulo' } }
const asked: EtlRequest = {
  id: '10000000-0000-8000-a000-000000000001',
  job: 'conversations',
  loadType: 'full',
  triggeredBy: 'api',
  from: null,
  to: null,
  dryRun: false,
  codeVersion: null,
}

/** A job's object on virtual time. `steps` says what each step does to its run; without one left a step ends it well. */
function stage({ etl = memoryEtl(), scheduled = true } = {}) {
  const clock = memoryClock({ start: BEGIN })
  const control = memoryEtlControl({ etl, clock })
  const lines: { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[] = []
  const line = (event: string, fields: Readonly<Record<string, unknown>> = {}) => void lines.push({ event, fields })
  const kept = new Map<string, number>()
  const stepped: { readonly run: string; readonly at: number; readonly owner: string }[] = []
  const steps: ((run: EtlRun) => Promise<'more' | 'ended' | { readonly status: 'waiting' | 'busy'; readonly retryMs: number }>)[] = []
  let alarmAt: number | null = null
  let down = false
  /** Somebody begins a run between the look at what is going and the beginning of another. */
  let between = async () => {}
  const end = (id: string, change: Partial<EtlRun> = {}): EtlRun => {
    const run = etl.runs.get(id)
    if (run === undefined) throw new Error(`no run ${id}`)
    const ended: EtlRun = { ...run, status: 'success', completedAt: new Date(clock.now()).toISOString(), ...change }
    etl.runs.set(id, ended)
    return ended
  }
  const step: EtlStep = async ({ owner, run: id }) => {
    stepped.push({ run: id, at: clock.now(), owner })
    const run = etl.runs.get(id)
    if (run === undefined) return { status: 'unknown' }
    const done = (await steps.shift()?.(run)) ?? 'ended'
    if (done === 'more') return { status: 'more', run }
    return done === 'ended' ? { status: 'ended', run: end(id) } : { ...done, run }
  }
  /** A life of the object: what it keeps in memory is gone with it, what it wrote stays. */
  const live = (owner: string): EtlWorker =>
    createEtlWorker({
      job: 'conversations',
      schedules: scheduled ? schedules : {},
      owner,
      session: (work) => {
        if (down) throw new AfluenteError('unavailable', 'connection', 'The analytics database does not answer.')
        const states: typeof control.states = async (...of) => {
          const seen = await control.states(...of)
          await between()
          return seen
        }
        return work({ control: { ...control, states }, step })
      },
      memory: { read: async (name) => kept.get(name), write: async (name, ms) => void kept.set(name, ms) },
      alarm: { at: async () => alarmAt, set: async (ms) => void (alarmAt = ms) },
      codeVersion: '1.2.3',
      clock,
      log: { info: line, warn: line, error: line },
      random: () => 0,
    })
  const fire = async (worker: EtlWorker): Promise<boolean> => {
    if (alarmAt === null || alarmAt > clock.now()) return false
    alarmAt = null
    await worker.alarm()
    return true
  }
  return {
    clock,
    control,
    etl,
    kept,
    lines,
    live,
    fire,
    end,
    steps,
    stepped,
    runs: () => [...etl.runs.values()],
    alarmAt: () => alarmAt,
    loseAlarm: () => void (alarmAt = null),
    inBetween: (work: () => Promise<void>) => void (between = work),
    goDown: (isDown: boolean) => void (down = isDown),
    /** Alarms that are due, until none is. */
    settle: async (worker: EtlWorker) => {
      while (await fire(worker));
    },
    /** Minute by minute, as the cron of the Worker comes. */
    minutes: async (worker: EtlWorker, count: number) => {
      for (let minute = 0; minute < count; minute += 1) {
        clock.advance(60_000)
        await worker.tick({ going: [...etl.runs.values()].some(({ status }) => status === 'running') })
        while (await fire(worker));
      }
    },
  }
}

const hours = (ms: number) => new Date(ms).toISOString().slice(11, 16)

describe('a schedule', () => {
  test('begins nothing before its first moment, then a run a moment', async () => {
    const { live, minutes, runs } = stage()
    const worker = live('a')
    await worker.tick({ going: false })
    await minutes(worker, 3)
    expect(runs()).toEqual([])
    await minutes(worker, 12)
    expect(runs().map(({ loadType, startedAt, status, triggeredBy }) => [loadType, startedAt.slice(11, 16), status, triggeredBy])).toEqual([
      ['incremental', '10:05', 'success', 'scheduler'],
      ['incremental', '10:10', 'success', 'scheduler'],
      ['incremental', '10:15', 'success', 'scheduler'],
    ])
  })

  test('of a job that has none begins nothing, ever', async () => {
    const { live, minutes, runs } = stage({ scheduled: false })
    await minutes(live('a'), 30)
    expect(runs()).toEqual([])
  })

  test('that missed a night is caught up once, by the load and by the reconcile', async () => {
    const { clock, live, minutes, runs } = stage()
    await live('a').tick({ going: false })
    clock.advance(24 * 3_600_000)
    await minutes(live('b'), 1)
    expect(runs().map(({ loadType, startedAt }) => [loadType, startedAt.slice(0, 16)])).toEqual([
      ['incremental', '2026-11-30T10:02'],
      ['reconcile', '2026-11-30T10:02'],
    ])
    await minutes(live('b'), 4)
    expect(runs()).toHaveLength(3)
  })

  test('waits for a run that somebody began, and is caught up when that has ended', async () => {
    const { control, end, live, minutes, runs, steps } = stage()
    const worker = live('a')
    await worker.tick({ going: false })
    await control.start(asked, { signal: NEVER })
    steps.push(...Array.from({ length: 20 }, () => async () => ({ status: 'waiting', retryMs: 30_000 }) as const))
    await minutes(worker, 6)
    expect(runs()).toHaveLength(1)
    steps.length = 0
    end(asked.id)
    await minutes(worker, 1)
    expect(runs().map(({ startedAt }) => startedAt.slice(11, 16))).toEqual(['10:01', '10:08'])
  })

  test('that meets a run which began a moment before is caught up when that has ended', async () => {
    const { control, inBetween, live, minutes, runs } = stage()
    const worker = live('a')
    await worker.tick({ going: false })
    inBetween(async () => void (await control.start(asked, { signal: NEVER })))
    await minutes(worker, 4)
    expect(runs().map(({ loadType, status }) => [loadType, status])).toEqual([
      ['full', 'success'],
      ['incremental', 'success'],
    ])
  })

  test('begins one run though its object dies between beginning it and remembering that', async () => {
    const { clock, control, kept, live, runs, settle } = stage()
    await live('a').tick({ going: false })
    clock.advance(4 * 60_000)
    const before = new Map(kept)
    await live('a').tick({ going: false })
    await settle(live('a'))
    kept.clear()
    for (const [name, ms] of before) kept.set(name, ms)
    await live('b').tick({ going: false })
    await settle(live('b'))
    expect(runs()).toHaveLength(1)
    expect((await control.states(['conversations'], { signal: NEVER }))[0]?.running).toBeNull()
  })

  test('that two schedulers read at once begins one run', async () => {
    const { clock, live, runs, settle } = stage()
    const [a, b] = [live('a'), live('b')]
    await Promise.all([a.tick({ going: false }), b.tick({ going: false })])
    clock.advance(4 * 60_000)
    await Promise.all([a.tick({ going: false }), b.tick({ going: false })])
    await Promise.all([a.alarm(), b.alarm()])
    await settle(a)
    expect(runs()).toHaveLength(1)
  })
})

describe('a run', () => {
  test('is worked on step by step, each by an alarm, until it has ended', async () => {
    const { alarmAt, control, fire, live, steps, stepped } = stage()
    const worker = live('a')
    await control.start(asked, { signal: NEVER })
    steps.push(...Array.from({ length: 3 }, () => async () => 'more' as const))
    await worker.hurry()
    let alarms = 0
    while (await fire(worker)) alarms += 1
    expect(alarms).toBe(4)
    expect(stepped.map(({ run }) => run)).toEqual(Array.from({ length: 4 }, () => asked.id))
    expect(alarmAt()).toBeNull()
  })

  test('that meets a fault rests for as long as it says, and the sweep does not cut that short', async () => {
    const { clock, control, fire, live, stepped, steps } = stage({ scheduled: false })
    const worker = live('a')
    await control.start(asked, { signal: NEVER })
    steps.push(async () => ({ status: 'waiting', retryMs: 150_000 }))
    await worker.hurry()
    await fire(worker)
    for (const wait of [60_000, 60_000, 29_999]) {
      clock.advance(wait)
      await worker.tick({ going: true })
      expect(await fire(worker)).toBe(false)
    }
    clock.advance(1)
    await fire(worker)
    expect(stepped.map(({ at }) => at - BEGIN)).toEqual([0, 150_000])
  })

  test('whose object was killed, alarm and all, goes on with the next sweep, under another owner', async () => {
    const { control, fire, live, loseAlarm, minutes, runs, stepped, steps } = stage({ scheduled: false })
    await control.start(asked, { signal: NEVER })
    steps.push(async () => 'more')
    const first = live('first life')
    await first.hurry()
    await fire(first)
    loseAlarm()
    await minutes(live('second life'), 1)
    expect(stepped.map(({ owner }) => owner)).toEqual(['first life', 'second life'])
    expect(runs()[0]?.status).toBe('success')
  })

  test('whose alarm was set before a crash and never came goes on as well', async () => {
    const { alarmAt, clock, control, live, stepped } = stage({ scheduled: false })
    await control.start(asked, { signal: NEVER })
    await live('a').hurry()
    clock.advance(60_000)
    const second = live('b')
    await second.tick({ going: true })
    expect(alarmAt()).toBe(clock.now())
    await second.alarm()
    expect(stepped).toHaveLength(1)
  })

  test('has one step at a time, however often its object is called', async () => {
    const { control, live, stepped, steps } = stage({ scheduled: false })
    const worker = live('a')
    await control.start(asked, { signal: NEVER })
    const { promise, resolve } = Promise.withResolvers<void>()
    steps.push(async () => {
      await promise
      return 'more'
    })
    const first = worker.alarm()
    await worker.alarm()
    await worker.tick({ going: true })
    expect((await worker.status()).working).toBe(true)
    resolve()
    await first
    expect(stepped).toHaveLength(1)
  })

  test('that is begun while a step is at its end is not forgotten until the next minute', async () => {
    const { alarmAt, clock, control, live, steps } = stage({ scheduled: false })
    const worker = live('a')
    await control.start(asked, { signal: NEVER })
    steps.push(async () => {
      await worker.hurry()
      return 'ended'
    })
    await worker.alarm()
    expect(alarmAt()).toBe(clock.now())
  })
})

test('while the control tables are away each try waits longer, up to a minute, and the first that answers goes on', async () => {
  const { alarmAt, clock, control, fire, goDown, lines, live, runs } = stage({ scheduled: false })
  const worker = live('a')
  await control.start(asked, { signal: NEVER })
  goDown(true)
  await worker.hurry()
  const waits: number[] = []
  for (let time = 0; time < 9; time += 1) {
    await fire(worker)
    const wait = (alarmAt() ?? 0) - clock.now()
    waits.push(wait)
    clock.advance(wait)
  }
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
  expect(lines).toContainEqual({ event: 'etl.step-failed', fields: expect.objectContaining({ job: 'conversations', code: 'connection' }) })
  goDown(false)
  await fire(worker)
  expect(runs()[0]?.status).toBe('success')
})

test('the log tells each run that the schedule begins, and how late it is', async () => {
  const { lines, live, minutes } = stage()
  const worker = live('a')
  await worker.tick({ going: false })
  await minutes(worker, 4)
  expect(lines).toEqual([
    { event: 'etl.due', fields: expect.objectContaining({ job: 'conversations', load_type: 'incremental', late_ms: 0, status: 'started' }) },
  ])
})

test('since when its schedules count is kept', async () => {
  const { clock, live } = stage()
  const first = await live('a').status()
  clock.advance(3_600_000)
  expect(await live('b').status()).toEqual(first)
  expect(hours(Date.parse(first.since))).toBe('10:01')
})
