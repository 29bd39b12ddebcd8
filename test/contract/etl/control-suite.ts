/** The contract of ETL control: one suite, run on the memory twin and on Postgres. */
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import type { EtlControl, EtlRequest, EtlRun, RunStatus } from '../../../shared/ports/etl-control.ts'

export interface ControlSubject {
  readonly control: EtlControl
  /** Ends a run as a step would have. */
  end(run: EtlRun, status: Exclude<RunStatus, 'running'>, watermarkEnd: string | null): Promise<void>
  audit(): Promise<readonly { readonly actor: string; readonly action: string; readonly subject: string; readonly details: unknown }[]>
}

const options = { signal: new AbortController().signal }
const actor = 'operator'

export function etlControlContract(name: string, make: () => Promise<ControlSubject>): void {
  describe(`runs of ETL jobs: ${name}`, () => {
    let subject: ControlSubject
    beforeAll(async () => {
      subject = await make()
    })

    const request = (job: string, over: Partial<EtlRequest> = {}): EtlRequest => ({
      id: randomUUID(),
      job,
      loadType: 'incremental',
      triggeredBy: 'manual',
      from: null,
      to: null,
      dryRun: false,
      codeVersion: 'test',
      ...over,
    })
    /** A job of its own, since all tests share the tables. */
    const world = () => {
      const job = `job_${randomUUID().replaceAll('-', '').slice(0, 12)}`
      const { control, end } = subject
      const started = async (over: Partial<EtlRequest> = {}): Promise<EtlRun> => {
        const answer = await control.start(request(job, over), options)
        expect(answer.status).toBe('started')
        return answer.run
      }
      const state = async () => {
        const [found] = await control.states([job], options)
        if (found === undefined) throw new Error('no state')
        return found
      }
      return { control, job, started, end, state }
    }

    test('the last reconcile that ended well or failed is known beside the last that ended well', async () => {
      const { end, started, state } = world()
      const good = await started({ loadType: 'reconcile' })
      await end(good, 'success', null)
      const bad = await started({ loadType: 'reconcile' })
      await end(bad, 'failed', null)
      await end(await started({ loadType: 'reconcile' }), 'cancelled', null)
      await end(await started({ loadType: 'reconcile', dryRun: true }), 'success', null)
      await end(await started(), 'success', null)
      expect(await state()).toMatchObject({ lastReconcile: { id: good.id }, lastCompared: { id: bad.id, status: 'failed' } })
    })

    test('a run knows whether it may empty the copy', async () => {
      const { control, end, started } = world()
      for (const acceptDeletes of [true, false]) {
        const run = await started({ acceptDeletes })
        expect(await control.find(run.id, options)).toMatchObject({ acceptDeletes })
        await end(run, 'success', null)
      }
    })

    test('a job that never ran has no watermark, no run, and an entry all the same', async () => {
      const { job, state } = world()
      expect(await state()).toEqual({
        job,
        watermark: null,
        running: null,
        last: null,
        lastSuccess: null,
        lastReconcile: null,
        lastCompared: null,
        definitionHash: null,
        leasedUntil: null,
        provenUntil: null,
      })
    })

    test('a run begins with what was asked, and nothing counted', async () => {
      const { control, job, started } = world()
      const run = await started({ loadType: 'backfill', from: '2026-01-01T00:00:00Z', dryRun: true, triggeredBy: 'api' })
      expect(run).toMatchObject({
        job,
        loadType: 'backfill',
        triggeredBy: 'api',
        status: 'running',
        completedAt: null,
        to: null,
        dryRun: true,
        cancelAsked: false,
        extracted: 0,
        attempt: 1,
        error: null,
        expected: null,
        codeVersion: 'test',
      })
      expect(Date.parse(run.from ?? '')).toBe(Date.parse('2026-01-01T00:00:00Z'))
      expect(run.startedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
      expect(await control.find(run.id, options)).toEqual(run)
    })

    test('of a job one run is going at a time; another is told which', async () => {
      const { control, job, started, end } = world()
      const run = await started()
      expect(await control.start(request(job), options)).toEqual({ status: 'busy', run })
      await end(run, 'success', null)
      await started()
    })

    test('two that ask at once get one run', async () => {
      const { control, job } = world()
      const answers = await Promise.all(Array.from({ length: 8 }, () => control.start(request(job), options)))
      expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array<string>(7).fill('busy'), 'started'])
      expect(new Set(answers.map(({ run }) => run.id)).size).toBe(1)
    })

    test('the same id again is the same run, also after it has ended', async () => {
      const { control, job, started, end } = world()
      const run = await started()
      expect(await control.start(request(job, { id: run.id }), options)).toEqual({ status: 'repeated', run })
      await end(run, 'success', null)
      await started()
      expect((await control.start(request(job, { id: run.id }), options)).status).toBe('repeated')
    })

    test('jobs don’t wait for each other', async () => {
      const [one, other] = [await world().started(), await world().started()]
      expect(one.id).not.toBe(other.id)
    })

    test('a cancel is asked once, stands in the audit, and changes nothing of a run that has ended', async () => {
      const { control, started, end, job } = world()
      const run = await started()
      expect(await control.cancel({ id: run.id, actor }, options)).toMatchObject({ status: 'running', cancelAsked: true })
      await control.cancel({ id: run.id, actor }, options)
      const entries = (await subject.audit()).filter(({ subject: of }) => of === job)
      expect(entries).toEqual([{ actor, action: 'etl.cancel', subject: job, details: { run: run.id } }])
      await end(run, 'cancelled', null)
      const other = await started()
      await end(other, 'success', null)
      expect(await control.cancel({ id: other.id, actor }, options)).toMatchObject({ status: 'success', cancelAsked: false })
      expect(await control.cancel({ id: randomUUID(), actor }, options)).toBeNull()
    })

    test('runs are listed latest first, page by page, and those that are going by themselves', async () => {
      const { control, started, end, job } = world()
      const ids: string[] = []
      for (let n = 0; n < 5; n += 1) {
        const run = await started()
        ids.unshift(run.id)
        if (n < 4) await end(run, 'success', null)
      }
      const first = await control.list({ job, limit: 3, before: null }, options)
      expect(first.map(({ id }) => id)).toEqual(ids.slice(0, 3))
      const second = await control.list({ job, limit: 3, before: ids[2] ?? null }, options)
      expect(second.map(({ id }) => id)).toEqual(ids.slice(3))
      expect(await control.list({ job, limit: 3, before: randomUUID() }, options)).toEqual([])
      expect((await control.list({ job: null, limit: 1_000, before: null }, options)).map(({ id }) => id)).toEqual(expect.arrayContaining(ids))
      expect((await control.running(options)).filter((run) => run.job === job).map(({ id }) => id)).toEqual([ids[0]])
    })

    test('the watermark is that of the last good run that has one, and the next run begins there', async () => {
      const { started, end, state } = world()
      const mark = '2026-11-01T10:00:00.123456Z'
      await end(await started(), 'success', mark)
      await end(await started(), 'failed', null)
      await end(await started({ loadType: 'reconcile' }), 'success', null)
      const now = await state()
      expect(now).toMatchObject({ watermark: mark, running: null, last: { loadType: 'reconcile' }, lastSuccess: { loadType: 'reconcile' } })
      expect(now.lastReconcile?.loadType).toBe('reconcile')
      expect((await started()).watermarkStart).toBe(mark)
    })

    test('a watermark that somebody sets wins over the runs before it, with its entry in the audit, and loses to the next good run', async () => {
      const { control, started, end, state, job } = world()
      await end(await started(), 'success', '2026-11-01T10:00:00.000000Z')
      const answer = await control.setWatermark({ job, to: '2026-10-01T00:00:00-03:00', actor }, options)
      expect(answer).toEqual({ status: 'set', before: '2026-11-01T10:00:00.000000Z', after: '2026-10-01T03:00:00.000000Z' })
      expect((await state()).watermark).toBe('2026-10-01T03:00:00.000000Z')
      expect((await subject.audit()).filter(({ subject: of }) => of === job)).toEqual([
        { actor, action: 'etl.watermark', subject: job, details: { before: '2026-11-01T10:00:00.000000Z', after: '2026-10-01T03:00:00.000000Z' } },
      ])
      await end(await started(), 'success', '2026-11-01T11:00:00.000000Z')
      expect((await state()).watermark).toBe('2026-11-01T11:00:00.000000Z')
    })

    test('a watermark of a job that never ran can be set', async () => {
      const { control, state, job } = world()
      await control.setWatermark({ job, to: '2026-10-01T00:00:00.000001Z'.replace('1Z', '0Z'), actor }, options)
      expect((await state()).watermark).toBe('2026-10-01T00:00:00.000000Z')
    })

    test.each(['', 'yesterday', '2026-10-01', '2026-10-01T00:00:00', 'infinity', '2026-13-01T00:00:00Z', "2026-10-01T00:00:00Z'; drop table x"])(
      'a malformed watermark is refused: %j',
      async (to) => {
        const { control, state, job } = world()
        expect(await control.setWatermark({ job, to, actor }, options)).toMatchObject({
          status: 'refused',
          reason: expect.stringContaining('time with a zone'),
        })
        expect((await state()).watermark).toBeNull()
        expect((await subject.audit()).filter(({ subject: of }) => of === job)).toEqual([])
      },
    )

    test('a watermark in the future is refused, and none is set while a run is going', async () => {
      const { control, started, job } = world()
      expect(await control.setWatermark({ job, to: '2999-01-01T00:00:00Z', actor }, options)).toMatchObject({
        status: 'refused',
        reason: expect.stringContaining('future'),
      })
      const run = await started()
      expect(await control.setWatermark({ job, to: '2026-10-01T00:00:00Z', actor }, options)).toEqual({ status: 'busy', run })
    })
  })
}
