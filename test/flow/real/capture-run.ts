/** Capture run from the test itself, beside the edge function's: the same parts on the same outbox and Kafka, with an owner of its own. */
import { randomUUID } from 'node:crypto'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { kafkaClient } from '../../../shared/adapters/kafka/connection.ts'
import { kafkaPublisher } from '../../../shared/adapters/kafka/publisher.ts'
import { restClient } from '../../../shared/adapters/supabase/rest-client.ts'
import { supabaseOutbox } from '../../../shared/adapters/supabase/outbox.ts'
import { createBudget } from '../../../shared/engine/budget.ts'
import { captureBudget, captureLimits, cpuCost } from '../../../shared/engine/capture-limits.ts'
import { captureShard, type Ending } from '../../../shared/engine/capture.ts'
import { pipeline } from '../../../shared/pipeline.ts'
import type { Claim, Outbox } from '../../../shared/ports/outbox.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'
import type { StackAccess } from '../../support/stack-access.ts'

const SILENT = { info: () => {}, warn: () => {}, error: () => {} }

export interface CaptureInTest {
  readonly owner: string
  /** What the database answered to each claim, in order. */
  readonly claims: readonly Claim[]
  /** How many messages Kafka has taken from it. */
  readonly published: number
  run(as?: { readonly successor: boolean }): Promise<Ending>
  close(): Promise<void>
}

/** Where a run is stopped as a paused process is: neither its requests nor its renewals go on until the pause ends. */
export interface Pause {
  /** After a claim was answered with rows, before capture sees them; or when a publish has passed every check and is about to be sent. */
  readonly at: 'claimed' | 'publishing'
  /** Called once, as the pause begins. It lasts until what this gives resolves. */
  readonly begin: () => Promise<void>
}

export function captureInTest(stack: StackAccess, pause?: Pause): CaptureInTest {
  const { info } = stack
  const owner = `test-${randomUUID()}`
  const clock = systemClock()
  const claims: Claim[] = []
  let published = 0
  let paused: Promise<void> | undefined
  const kafka = kafkaClient({ brokers: info.kafka.brokers, ssl: false, ca: undefined, sasl: undefined }, { clientId: owner, log: SILENT })
  const inner = { outbox: supabaseOutbox({ client: restClient(info.supabase) }), publisher: kafkaPublisher({ kafka }) }
  const outbox: Outbox = {
    ...inner.outbox,
    claim: async (request, options) => {
      await paused
      const claim = await inner.outbox.claim(request, options)
      claims.push(claim)
      if (pause?.at === 'claimed' && claim.status === 'held' && claim.changes.length > 0) await (paused ??= pause.begin())
      return claim
    },
  }
  const publisher: Publisher = {
    ...inner.publisher,
    publish: async (messages, options) => {
      if (pause?.at === 'publishing') await (paused ??= pause.begin())
      const answer = await inner.publisher.publish(messages, options)
      published += messages.length
      return answer
    },
  }
  return {
    owner,
    claims,
    get published() {
      return published
    },
    run: ({ successor } = { successor: false }) =>
      captureShard(
        { shard: 0, owner, successor, signal: new AbortController().signal, onLook: () => {} },
        {
          outbox,
          publisher,
          clock,
          log: SILENT,
          random: Math.random,
          budget: createBudget({ clock, limits: captureBudget, cost: cpuCost }),
          limits: captureLimits(pipeline.topics),
          ref: 'local',
          startSuccessor: () => Promise.reject(new Error('this run has no successor')),
        },
      ),
    close: () => inner.publisher.close(),
  }
}
