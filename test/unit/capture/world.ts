/** Capture on memory twins whose every call is written down and can be held up, broken or answered otherwise. */
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { memoryPublisher } from '../../../shared/adapters/memory/publisher.ts'
import { memorySource } from '../../../shared/adapters/memory/source.ts'
import { memoryTopics } from '../../../shared/adapters/memory/topics.ts'
import { createBudget } from '../../../shared/engine/budget.ts'
import { captureLimits, type CaptureLimits } from '../../../shared/engine/capture-limits.ts'
import { type CaptureDeps, captureShard, type Ending } from '../../../shared/engine/capture.ts'
import type { OutboundMessage } from '../../../shared/events/envelope.ts'
import type { Fields } from '../../../shared/ports/log.ts'
import type { Claim, ClaimRequest, Outbox, Settled } from '../../../shared/ports/outbox.ts'
import type { Published, Publisher } from '../../../shared/ports/publisher.ts'

export const TABLE = 'public.leads'
export const TOPIC = 'afluente.public.leads'

/** Stands between capture and its twins. Each gets the real answer's maker, to call before, after, instead or never. */
export interface Hooks {
  claim?: (request: ClaimRequest, answer: () => Promise<Claim>) => Promise<Claim>
  publish?: (messages: readonly OutboundMessage[], answer: () => Promise<Published>) => Promise<Published>
  acknowledge?: (versions: readonly number[], answer: () => Promise<Settled>) => Promise<Settled>
}

export interface WorldOptions {
  readonly limits?: Partial<CaptureLimits>
  readonly maxMessageBytes?: number
  readonly softCpuMs?: number
}

export function captureWorld({ limits = {}, maxMessageBytes = 8 * 1024 * 1024, softCpuMs = Infinity }: WorldOptions = {}) {
  const clock = memoryClock()
  const source = memorySource({ clock })
  const topics = memoryTopics({ clock, partitions: 1, maxMessageBytes })
  const real = memoryPublisher({ topics })
  const calls: string[] = []
  const lines: { readonly level: string; readonly event: string; readonly fields: Fields }[] = []
  const hooks: Hooks = {}
  const busy = { publishes: 0, most: 0 }

  const outbox: Outbox = {
    ...source.outbox,
    claim: async (request, options) => {
      calls.push(`claim ${request.floor === Number.MAX_SAFE_INTEGER ? 'nothing' : request.beside.length === 0 ? 'bottom' : 'beside'}`)
      const answer = () => source.outbox.claim(request, options)
      return hooks.claim === undefined ? answer() : hooks.claim(request, answer)
    },
    acknowledge: async (shard, epoch, versions, options) => {
      calls.push(`acknowledge ${versions.length}`)
      const answer = () => source.outbox.acknowledge(shard, epoch, versions, options)
      return hooks.acknowledge === undefined ? answer() : hooks.acknowledge(versions, answer)
    },
    release: async (shard, epoch, options) => {
      calls.push('release')
      return source.outbox.release(shard, epoch, options)
    },
  }
  const publisher: Publisher = {
    ...real,
    publish: async (messages, options) => {
      calls.push(`publish ${messages.length}`)
      busy.publishes += 1
      busy.most = Math.max(busy.most, busy.publishes)
      const answer = () => real.publish(messages, options)
      try {
        return await (hooks.publish === undefined ? answer() : hooks.publish(messages, answer))
      } finally {
        busy.publishes -= 1
      }
    },
  }
  const log =
    (level: string) =>
    (event: string, fields: Fields = {}) =>
      void lines.push({ level, event, fields })
  const budgetOf = (soft = softCpuMs) =>
    createBudget({
      clock,
      limits: { softWallMs: Infinity, hardWallMs: Infinity, softCpuMs: soft, hardCpuMs: Infinity },
      cost: { start: 0, call: 1, row: 0, kibibyte: 0 },
    })
  const deps: CaptureDeps = {
    outbox,
    publisher,
    clock,
    log: { info: log('info'), warn: log('warn'), error: log('error') },
    random: () => 0.5,
    budget: budgetOf(),
    limits: { ...captureLimits({ maxMessageBytes }), ...limits },
    ref: 'local',
    startSuccessor: () => Promise.reject(new Error('no successor in this test')),
  }
  let owners = 0

  return {
    clock,
    source,
    topics,
    calls,
    lines,
    hooks,
    deps,
    budgetOf,
    /** The most publishes that were under way at once. */
    get mostPublishes() {
      return busy.most
    },
    /** Starts a run and gives its ending; `drive` makes time pass for it. */
    start: (run: Partial<Parameters<typeof captureShard>[0]> = {}, more: Partial<CaptureDeps> = {}): Promise<Ending> =>
      captureShard(
        { shard: 0, owner: `run ${(owners += 1)}`, successor: false, signal: new AbortController().signal, onLook: () => undefined, ...run },
        { ...deps, ...more },
      ),
    /** Lets time pass, sleep by sleep, until the work is done. */
    drive: async <T>(work: Promise<T>): Promise<T> => {
      let done = false
      const end = () => (done = true)
      work.then(end, end)
      for (let steps = 0; steps < 100_000; steps += 1) {
        await turn()
        if (done) return work
        clock.next()
      }
      throw new Error('The work does not end.')
    },
    /** Commits one row in a transaction of its own. */
    write: (key: string, after: string | null = '{"n":1}') => {
      const transaction = source.begin()
      transaction.write({ table: TABLE, key: `["${key}"]`, after })
      transaction.commit()
    },
    /** What stands on the topic: `key:version`, in order. */
    published: (): readonly string[] => topics.all(TOPIC).map((record) => `${record.key}:${String(record.headers['ce_sequence'])}`),
    /** Every change that was committed, as `published` gives them. */
    committed: (): readonly string[] => source.history.map((change) => `${change.key}:${change.version}`),
    events: () => lines.map((line) => line.event),
  }
}

/** Lets everything that is ready run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
