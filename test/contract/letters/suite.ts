/** The contract of dead letters and their redrives: one suite, run on the memory twin and on Postgres. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LogRecord } from '../../../shared/events/envelope.ts'
import type { Control } from '../../../shared/ports/control.ts'
import type { LetterFilter, LetterPage, Letters, LetterSummary } from '../../../shared/ports/letters.ts'
import type { RedriveJob, Redrives } from '../../../shared/ports/redrives.ts'
import type { DeadLetter, Fence } from '../../../shared/ports/sink.ts'

export interface LettersSubject {
  readonly letters: Letters
  readonly redrives: Redrives
  readonly control: Control
  /** Everything in the audit, oldest first. */
  readonly audit: () => Promise<readonly { readonly actor: string; readonly action: string; readonly subject: string; readonly details: unknown }[]>
}

export const signal = new AbortController().signal
const options = { signal }
const TOPIC = 'afluente.public.leads'
const actor = 'operator'

export function letterAt(offset: number, { code = '22P02', message = 'refused', table = 'public.leads', ...record }: Over = {}): DeadLetter {
  const headers = { ce_id: `${table}:${offset}`, odd: 'ä"\\' }
  const whole: LogRecord = {
    topic: TOPIC,
    partition: 0,
    offset: String(offset),
    timestampMs: 1_795_370_400_123,
    key: `["k${offset}"]`,
    value: `{"op":"insert","n":1.10}`,
    headers,
    ...record,
  }
  return { record: whole, eventId: `${table}:${offset}`, table, code, message }
}
type Over = Partial<LogRecord> & { readonly code?: string; readonly message?: string; readonly table?: string }

export function lettersContract(name: string, { make }: { readonly make: () => Promise<{ readonly subject: LettersSubject; close(): Promise<void> }> }): void {
  describe(`dead letters: ${name}`, () => {
    let made: Awaited<ReturnType<typeof make>>
    let subject: LettersSubject
    beforeAll(async () => {
      made = await make()
      subject = made.subject
    })
    afterAll(async () => made?.close())

    /** A consumer of its own, with these letters. */
    const world = async (dead: readonly DeadLetter[]) => {
      const { control, letters, redrives } = subject
      const consumer = `test-${randomUUID()}`
      const place = { consumer, topic: TOPIC, partition: 0 }
      const stream: Fence = { ...place, epoch: await control.take({ ...place, owner: 'stream' }, options) }
      const takeDlq = async (): Promise<Fence> => {
        const dlq = { ...place, topic: `${TOPIC}.dlq` }
        return { ...dlq, epoch: await control.take({ ...dlq, owner: 'redrive' }, options) }
      }
      const bury = (more: readonly DeadLetter[]) => control.bury(more, stream, '0', options)
      if (dead.length > 0) await bury(dead)
      const all = async (filter: LetterFilter = {}) =>
        (await letters.list({ filter: { ...filter, consumer }, limit: 1_000, after: null }, options)).letters.toReversed()
      const start = async (filter: LetterFilter = {}): Promise<RedriveJob> => {
        const [job] = await redrives.start({ filter: { ...filter, consumer }, consumers: [consumer], actor }, options)
        if (job === undefined) throw new Error('there was nothing to redrive')
        return job
      }
      const jobNow = async ({ id }: RedriveJob) => redrives.find(id, options)
      const counts = async (topic = `${TOPIC}.dlq`) =>
        (await control.progress(options)).filter((one) => one.consumer === consumer && one.topic === topic).map(({ consumed, dead }) => ({ consumed, dead }))[0]
      return { consumer, bury, all, start, jobNow, counts, takeDlq, states: async () => (await all()).map(({ state }) => state) }
    }
    const landed = (accepted: number) => ({ accepted, duplicate: 0, late: 0 })
    const failure = (id: string, over: { readonly code?: string; readonly message?: string } = {}) => ({
      id,
      table: 'public.leads',
      code: '23514',
      message: 'again',
      ...over,
    })

    describe('looking', () => {
      test('a letter is what its record was, whole', async () => {
        const { all } = await world([letterAt(7)])
        const [summary] = await all()
        expect(summary).toMatchObject({
          topic: TOPIC,
          partition: 0,
          offset: '7',
          eventId: 'public.leads:7',
          table: 'public.leads',
          key: '["k7"]',
          code: '22P02',
          message: 'refused',
          attempts: 1,
          state: 'open',
          job: null,
          reason: null,
          replacedBy: null,
          endedAt: null,
        })
        expect(summary).not.toHaveProperty('record')
        const letter = await subject.letters.find(summary?.id ?? '', options)
        const { headers, ...record } = letter?.record ?? { headers: {} }
        expect(record).toEqual({ topic: TOPIC, partition: 0, offset: '7', timestampMs: 1_795_370_400_123, key: '["k7"]', value: '{"op":"insert","n":1.10}' })
        expect(Object.fromEntries(Object.entries(headers).map(([header, value]) => [header, String(value)]))).toEqual({ ce_id: 'public.leads:7', odd: 'ä"\\' })
        expect(letter?.firstSeen).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/)
      })

      test('an id that nobody has is none', async () => {
        expect(await subject.letters.find('999999999999', options)).toBeNull()
      })

      test('pages go from the newest to the oldest, each letter once', async () => {
        const { consumer, bury } = await world([])
        for (let offset = 1; offset <= 5; offset += 1) await bury([letterAt(offset)])
        const pages = async (look: Letters['list'] | Letters['read']) => {
          const found: string[] = []
          let after: string | null = null
          do {
            const page: LetterPage<LetterSummary> = await look({ filter: { consumer }, limit: 2, after }, options)
            found.push(page.letters.map(({ offset }) => offset).join())
            after = page.next
          } while (after !== null)
          return found
        }
        expect(await pages(subject.letters.list)).toEqual(['5,4', '3,2', '1'])
        expect(await pages(subject.letters.read)).toEqual(['5,4', '3,2', '1'])
      })

      test('every filter finds what it names and no more; several together narrow', async () => {
        const { consumer, all } = await world([letterAt(1), letterAt(2, { message: 'other' }), letterAt(3, { table: 'public.strangers' })])
        const [first, second] = await all()
        const found = async (filter: LetterFilter) => (await all(filter)).map(({ offset }) => offset).join()
        expect(await found({ ids: [String(second?.id)] })).toBe('2')
        expect(await found({ table: 'public.strangers' })).toBe('3')
        expect(await found({ fingerprint: String(second?.fingerprint) })).toBe('2')
        expect(await found({ state: 'open' })).toBe('1,2,3')
        expect(await found({ state: 'resolved' })).toBe('')
        expect(await found({ since: '2000-01-01T00:00:00Z' })).toBe('1,2,3')
        expect(await found({ until: '2000-01-01T00:00:00Z' })).toBe('')
        expect(await found({ since: first?.firstSeen, until: '2999-01-01T00:00:00Z', table: 'public.leads' } as LetterFilter)).toBe('1,2')
        expect(await subject.letters.count({ consumer, table: 'public.leads' }, options)).toEqual([{ consumer, state: 'open', letters: 2 }])
      })

      test('letters that fail alike are one group, the largest first', async () => {
        const { consumer } = await world([
          letterAt(1, { message: 'value "a" at 1' }),
          letterAt(2, { message: 'odd' }),
          letterAt(3, { message: 'value "b" at 22' }),
        ])
        const groups = await subject.letters.groups({ consumer }, 10, options)
        expect(groups).toMatchObject([
          { consumer, table: 'public.leads', code: '22P02', message: 'value "b" at 22', letters: 2 },
          { message: 'odd', letters: 1 },
        ])
        expect(await subject.letters.groups({ consumer }, 1, options)).toHaveLength(1)
      })
    })

    describe('discarding', () => {
      test('ends what is open, for the reason, a bounded number at a time, and stands in the audit', async () => {
        const { consumer, states, all } = await world([letterAt(1), letterAt(2), letterAt(3)])
        const discard = () => subject.letters.discard({ filter: { consumer }, reason: 'junk of a test', limit: 2, actor }, options)
        expect([await discard(), await discard(), await discard()]).toEqual([2, 1, 0])
        expect(await states()).toEqual(['discarded', 'discarded', 'discarded'])
        const [first] = await all()
        expect(first).toMatchObject({ reason: 'junk of a test', endedAt: expect.any(String) as unknown })
        const mine = (await subject.audit()).filter(({ details }) => JSON.stringify(details).includes(consumer))
        expect(mine).toMatchObject([
          { actor, action: 'dead-letter.discard', details: { filter: { consumer }, reason: 'junk of a test', letters: 2 } },
          { details: { letters: 1 } },
        ])
      })

      test('takes no letter that is under way or has ended; a discarded one is never redriven, and stays so when its record comes again', async () => {
        const { consumer, start, states, bury } = await world([letterAt(1)])
        const job = await start()
        await subject.redrives.take(job, null, 10, options)
        const discard = () => subject.letters.discard({ filter: { consumer }, reason: 'no', limit: 10, actor }, options)
        expect(await discard()).toBe(0)
        await subject.redrives.cancel({ id: job.id, actor }, options)
        expect(await discard()).toBe(1)
        expect(await subject.redrives.start({ filter: { consumer }, consumers: [consumer], actor }, options)).toEqual([])
        await bury([letterAt(1)])
        expect(await states()).toEqual(['discarded'])
      })
    })

    test('a letter in whose place another event was sent is resolved, once, and names it', async () => {
      const { all } = await world([letterAt(1)])
      const [letter] = await all()
      const replace = () => subject.letters.replace({ id: String(letter?.id), eventId: 'another', actor }, options)
      expect([await replace(), await replace()]).toEqual([true, false])
      expect((await all())[0]).toMatchObject({ state: 'resolved', replacedBy: 'another' })
      expect(await subject.audit()).toContainEqual({
        actor,
        action: 'dead-letter.edit',
        subject: letter?.id,
        details: { event: 'public.leads:1', replaced_by: 'another' },
      })
    })

    describe('a redrive', () => {
      test('is a job a consumer with what its filter names, and stands in the audit', async () => {
        const { consumer, start } = await world([letterAt(1), letterAt(2, { table: 'public.strangers' })])
        const job = await start({ table: 'public.leads' })
        expect(job).toMatchObject({
          consumer,
          filter: { consumer, table: 'public.leads' },
          state: 'running',
          total: 1,
          done: 0,
          problem: null,
          actor,
          finishedAt: null,
        })
        expect(await subject.redrives.running(consumer, options)).toEqual([job])
        expect((await subject.redrives.list(1, options))[0]).toEqual(job)
        expect(await subject.audit()).toContainEqual({
          actor,
          action: 'dead-letter.redrive',
          subject: consumer,
          details: { job: expect.anything() as unknown, filter: { consumer, table: 'public.leads' }, letters: 1 },
        })
        expect(await subject.redrives.start({ filter: {}, consumers: [], actor }, options)).toEqual([])
      })

      test('takes its letters step by step, by id, and none that came after it was asked for', async () => {
        const { start, bury, states } = await world([letterAt(1), letterAt(2), letterAt(3)])
        const job = await start()
        await bury([letterAt(4)])
        const first = await subject.redrives.take(job, null, 2, options)
        expect(first.map(({ record }) => record.offset)).toEqual(['1', '2'])
        expect(first[0]).toMatchObject({ state: 'redriven', job: job.id, record: { value: '{"op":"insert","n":1.10}', timestampMs: 1_795_370_400_123 } })
        expect(await states()).toEqual(['redriven', 'redriven', 'open', 'open'])
        const second = await subject.redrives.take(job, first.at(-1)?.id ?? null, 2, options)
        expect(second.map(({ record }) => record.offset)).toEqual(['3'])
        expect(await subject.redrives.take(job, second.at(-1)?.id ?? null, 2, options)).toEqual([])
      })

      test('that was interrupted takes again what it had not settled, and nothing that it had', async () => {
        const { start, takeDlq, jobNow } = await world([letterAt(1), letterAt(2), letterAt(3)])
        const job = await start()
        const [one, two] = await subject.redrives.take(job, null, 2, options)
        const fence = await takeDlq()
        await subject.redrives.settle({ job: job.id, fence, landed: [], failed: [failure(String(one?.id))], report: landed(0) }, options)
        const again = await subject.redrives.take(job, null, 10, options)
        expect(again.map(({ record }) => record.offset)).toEqual(['2', '3'])
        expect(again[0]?.id).toBe(two?.id)
        expect(await jobNow(job)).toMatchObject({ done: 1, failed: 1, state: 'running' })
      })

      test('settles: what landed is resolved, what failed is the same letter with one attempt more; both are counted once', async () => {
        const { start, takeDlq, all, jobNow, counts } = await world([letterAt(1), letterAt(2)])
        const job = await start()
        const [one, two] = await subject.redrives.take(job, null, 10, options)
        const fence = await takeDlq()
        const settlement = { job: job.id, fence, landed: [String(one?.id)], failed: [failure(String(two?.id))], report: { accepted: 0, duplicate: 0, late: 1 } }
        // Its first answer was lost: sent again it changes nothing.
        for (let time = 0; time < 2; time += 1) await subject.redrives.settle(settlement, options)
        expect(await all()).toMatchObject([
          { state: 'resolved', attempts: 1, endedAt: expect.any(String) as unknown },
          { state: 'open', attempts: 2, code: '23514', message: 'again', endedAt: null },
        ])
        expect(await jobNow(job)).toMatchObject({ total: 2, done: 2, accepted: 0, late: 1, failed: 1 })
        expect(await counts()).toEqual({ consumed: 1, dead: 1 })
        await subject.redrives.finish(job.id, options)
        expect(await jobNow(job)).toMatchObject({ state: 'done', finishedAt: expect.any(String) as unknown })
      })

      test('under an epoch that is over settles nothing', async () => {
        const { start, takeDlq, states, jobNow } = await world([letterAt(1)])
        const job = await start()
        const [one] = await subject.redrives.take(job, null, 10, options)
        const old = await takeDlq()
        await takeDlq()
        const settlement = { job: job.id, fence: old, landed: [String(one?.id)], failed: [], report: landed(1) }
        await expect(subject.redrives.settle(settlement, options)).rejects.toMatchObject({ name: 'AfluenteError', kind: 'fenced' })
        expect(await states()).toEqual(['redriven'])
        expect(await jobNow(job)).toMatchObject({ done: 0 })
      })

      test('what failed in it another one takes; the same one never again', async () => {
        const { start, takeDlq } = await world([letterAt(1)])
        const job = await start()
        const [one] = await subject.redrives.take(job, null, 10, options)
        await subject.redrives.settle({ job: job.id, fence: await takeDlq(), landed: [], failed: [failure(String(one?.id))], report: landed(0) }, options)
        expect(await subject.redrives.take(job, null, 10, options)).toEqual([])
        const another = await start()
        expect(await subject.redrives.take(another, null, 10, options)).toHaveLength(1)
      })

      test('a record that comes again from its topic meanwhile is one attempt more, and the redrive has the last word', async () => {
        const { start, takeDlq, bury, all } = await world([letterAt(1)])
        const job = await start()
        const [one] = await subject.redrives.take(job, null, 10, options)
        await bury([letterAt(1)])
        expect(await all()).toMatchObject([{ state: 'redriven', attempts: 2 }])
        await subject.redrives.settle({ job: job.id, fence: await takeDlq(), landed: [String(one?.id)], failed: [], report: landed(1) }, options)
        expect(await all()).toMatchObject([{ state: 'resolved', attempts: 2 }])
        await bury([letterAt(1)])
        expect(await all()).toMatchObject([{ state: 'open', attempts: 3, endedAt: null }])
      })

      test('says what holds it up, until it goes on', async () => {
        const { start, takeDlq, jobNow } = await world([letterAt(1)])
        const job = await start()
        const [one] = await subject.redrives.take(job, null, 10, options)
        await subject.redrives.hold(job.id, 'Elasticsearch does not answer.', options)
        expect(await jobNow(job)).toMatchObject({ problem: 'Elasticsearch does not answer.', state: 'running' })
        await subject.redrives.settle({ job: job.id, fence: await takeDlq(), landed: [String(one?.id)], failed: [], report: landed(1) }, options)
        expect(await jobNow(job)).toMatchObject({ problem: null })
      })

      test('that is cancelled takes nothing more, and gives back what it had', async () => {
        const { start, states, jobNow } = await world([letterAt(1), letterAt(2)])
        const job = await start()
        await subject.redrives.take(job, null, 1, options)
        expect(await subject.redrives.cancel({ id: job.id, actor }, options)).toBe(true)
        expect(await states()).toEqual(['open', 'open'])
        expect(await subject.redrives.take(job, null, 10, options)).toEqual([])
        await subject.redrives.finish(job.id, options)
        expect(await jobNow(job)).toMatchObject({ state: 'cancelled' })
        expect(await subject.redrives.cancel({ id: job.id, actor }, options)).toBe(false)
      })
    })
  })
}
