/** The contract of the outbox: one suite, run on the memory twin and on the functions in Postgres, through PostgREST as capture calls them. */
import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Claim, ClaimRequest, Outbox } from '../../../shared/ports/outbox.ts'
import { eventually } from '../../support/poll.ts'

export interface OutboxSubject {
  readonly outbox: Outbox
  /** Inserts rows of the table `public.items`, each with its id, in a transaction that is open. */
  begin(): Promise<{ insert(...ids: number[]): Promise<void>; commit(): Promise<void>; rollback(): Promise<void> }>
}

const signal = new AbortController().signal
/** Longer than any test. */
const LONG_MS = 60_000

/** `make` gives an outbox with one shard, nothing in it and nobody's lease on it. */
export function outboxContract(name: string, make: () => Promise<OutboxSubject>): void {
  const open = async () => {
    const subject = await make()
    const { outbox } = subject
    const claim = (owner: string, more: Partial<ClaimRequest> = {}) =>
      outbox.claim({ shard: 0, owner, leaseMs: LONG_MS, floor: 0, beside: [], maxRows: 1_000, maxBytes: 4_194_304, waitMs: 0, ...more }, { signal })
    return {
      outbox,
      begin: subject.begin,
      claim,
      held: async (owner: string, more: Partial<ClaimRequest> = {}) => heldOf(await claim(owner, more)),
      insert: async (...ids: number[]) => {
        const transaction = await subject.begin()
        await transaction.insert(...ids)
        await transaction.commit()
      },
    }
  }
  const [a, b] = [`a ${randomUUID()}`, `b ${randomUUID()}`]

  describe(`outbox: ${name}`, () => {
    test('a committed change can be claimed with all that an event needs, until it is acknowledged', async () => {
      const { claim, held, insert, outbox } = await open()
      await insert(7)
      const { epoch, changes, more } = await held(a)
      expect(changes).toEqual([
        {
          version: expect.any(Number) as number,
          table: 'public.items',
          topic: 'afluente.public.items',
          key: '[7]',
          op: 'insert',
          before: null,
          after: '{"id":7}',
          occurredAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$/) as string,
          traceparent: null,
        },
      ])
      expect(more).toBe(false)
      expect((await held(a)).changes).toEqual(changes)
      expect(await outbox.acknowledge(0, epoch, versionsOf(changes), { signal })).toEqual({ status: 'done' })
      expect(await claim(a)).toMatchObject({ status: 'held', changes: [] })
    })

    test('what is not committed is not there; what was rolled back never is', async () => {
      const { begin, held } = await open()
      const transaction = await begin()
      await transaction.insert(1)
      expect((await held(a)).changes).toEqual([])
      await transaction.rollback()
      expect((await held(a)).changes).toEqual([])
    })

    test('changes come in version order; one that commits late under a lower version is found from the bottom, beside what is under way, and not above a floor', async () => {
      const { begin, held, insert } = await open()
      const late = await begin()
      await late.insert(1)
      await insert(2, 3)
      const before = await held(a)
      expect(keysOf(before)).toEqual(['[2]', '[3]'])
      await late.commit()
      expect(keysOf(await held(a, { floor: Math.max(...versionsOf(before.changes)) }))).toEqual([])
      expect(keysOf(await held(a, { beside: versionsOf(before.changes) }))).toEqual(['[1]'])
      const all = await held(a)
      expect(keysOf(all)).toEqual(['[1]', '[2]', '[3]'])
      expect(versionsOf(all.changes)).toEqual(versionsOf(all.changes).toSorted((x, y) => x - y))
    })

    test('a claim stops at its rows and its bytes and says that there is more; a larger change comes alone', async () => {
      const { held, insert } = await open()
      await insert(1, 2, 3)
      expect(await held(a, { maxRows: 2 })).toMatchObject({ changes: [{ key: '[1]' }, { key: '[2]' }], more: true })
      expect(await held(a, { maxRows: 3 })).toMatchObject({ more: false })
      const alone = await held(a, { maxBytes: 1 })
      expect(alone.changes).toHaveLength(1)
      expect(alone.more).toBe(true)
    })

    test('one owner at a time holds the shard; it keeps its epoch for as long as nobody else took it', async () => {
      const { claim, held } = await open()
      const { epoch } = await held(a)
      expect(await claim(b)).toMatchObject({ status: 'busy', retryMs: expect.any(Number) as number })
      expect((await held(a)).epoch).toBe(epoch)
    })

    test('a lease that ran out goes to whoever comes, with a higher epoch, and fences its old holder', async () => {
      const { claim, held, insert, outbox } = await open()
      await insert(1)
      const old = await held(a, { leaseMs: 40 })
      const taken = await eventually('the lease has run out', async () => {
        const answer = await claim(b)
        return answer.status === 'held' ? answer : null
      })
      expect(taken.epoch).toBeGreaterThan(old.epoch)
      expect(await outbox.acknowledge(0, old.epoch, versionsOf(old.changes), { signal })).toEqual({ status: 'fenced', epoch: taken.epoch })
      expect(await outbox.release(0, old.epoch, { signal })).toEqual({ status: 'fenced', epoch: taken.epoch })
      expect((await claim(a)).status).toBe('busy')
      expect(keysOf(await held(b))).toEqual(['[1]'])
    })

    test('a released shard can be taken at once', async () => {
      const { held, outbox } = await open()
      const { epoch } = await held(a)
      expect(await outbox.release(0, epoch, { signal })).toEqual({ status: 'done' })
      expect((await held(b)).epoch).toBeGreaterThan(epoch)
    })

    test('however many ask at once, one gets the shard', async () => {
      const { claim } = await open()
      const answers = await Promise.all(Array.from({ length: 8 }, (_, at) => claim(`${a} ${at}`)))
      expect(answers.filter(({ status }) => status === 'held')).toHaveLength(1)
      expect(answers.filter(({ status }) => status === 'busy')).toHaveLength(7)
    })

    test('an acknowledgement deletes what it names and nothing else', async () => {
      const { held, insert, outbox } = await open()
      await insert(1, 2, 3)
      const { epoch, changes } = await held(a)
      await outbox.acknowledge(0, epoch, [...versionsOf(changes.slice(1, 2)), 5], { signal })
      expect(keysOf(await held(a))).toEqual(['[1]', '[3]'])
    })

    test('the holder that waits is answered when a row comes, and with nothing when the time is over', async () => {
      const { held, insert } = await open()
      await held(a)
      const waiting = held(a, { waitMs: 10_000 })
      await insert(1)
      expect(keysOf(await waiting)).toEqual(['[1]'])
      const { changes } = await held(a, { waitMs: 50, floor: Number.MAX_SAFE_INTEGER })
      expect(changes).toEqual([])
    })

    test('whoever waits for a lease has it when the holder lets go', async () => {
      const { claim, held, outbox } = await open()
      const { epoch } = await held(a)
      const waiting = claim(b, { waitMs: 10_000 })
      await outbox.release(0, epoch, { signal })
      expect(heldOf(await waiting).epoch).toBeGreaterThan(epoch)
    })

    test('a claim that takes the lease answers at once, so that others learn of the holder', async () => {
      const { claim } = await open()
      const first = claim(a, { waitMs: 10_000 })
      expect(await first).toMatchObject({ status: 'held', changes: [] })
      expect((await claim(b)).status).toBe('busy')
    })

    test('a shard that is not there, or a request without sense, is refused with the reason', async () => {
      const { claim, outbox } = await open()
      for (const wrong of [{ shard: 99 }, { owner: '' }, { leaseMs: 0 }, { maxRows: 0 }]) {
        const answer = await claim(a, wrong)
        expect(answer, JSON.stringify(wrong)).toMatchObject({ status: 'refused' })
        expect(answer.status === 'refused' && answer.reason.length > 10).toBe(true)
      }
      expect(await outbox.acknowledge(99, 1, [1], { signal })).toEqual({ status: 'fenced', epoch: 0 })
      expect(await outbox.release(99, 1, { signal })).toEqual({ status: 'fenced', epoch: 0 })
    })

    test('the backlog tells how much waits, for how long, and whether somebody is at work', async () => {
      const { held, insert, outbox } = await open()
      expect(await outbox.backlog({ signal })).toMatchObject({ rows: 0, oldestMs: null, leased: false, failures: 0 })
      await insert(1, 2)
      await held(a)
      const { rows, oldestMs, leased } = await outbox.backlog({ signal })
      expect({ rows, leased }).toEqual({ rows: 2, leased: true })
      expect(oldestMs).toBeGreaterThanOrEqual(0)
    })
  })
}

function heldOf(claim: Claim): Extract<Claim, { status: 'held' }> {
  if (claim.status !== 'held') throw new Error(`The claim was not granted: ${JSON.stringify(claim)}`)
  return claim
}

function keysOf({ changes }: { readonly changes: readonly { readonly key: string }[] }): readonly string[] {
  return changes.map(({ key }) => key)
}

function versionsOf(changes: readonly { readonly version: number }[]): number[] {
  return changes.map(({ version }) => version)
}
