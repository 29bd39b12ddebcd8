/** Capture as a Supabase Edge Function. Wiring only. */
import { createClient } from '@supabase/supabase-js'
import { systemClock } from '../../shared/adapters/clock.ts'
import { kafkaClient } from '../../shared/adapters/kafka/connection.ts'
import { newTopics } from '../../shared/adapters/kafka/new-topics.ts'
import { kafkaPublisher } from '../../shared/adapters/kafka/publisher.ts'
import { consoleLog } from '../../shared/adapters/log.ts'
import { supabaseOutbox } from '../../shared/adapters/supabase/outbox.ts'
import { type CaptureSettings, captureSettings } from '../../shared/config.ts'
import { createBudget } from '../../shared/engine/budget.ts'
import { captureShard } from '../../shared/engine/capture.ts'
import { captureBudget, captureLimits, cpuCost } from '../../shared/engine/capture-limits.ts'
import { createRinger } from '../../shared/engine/capture-ringer.ts'
import { shardsOf } from '../../shared/engine/define.ts'
import { assertSound } from '../../shared/engine/definition-faults.ts'
import { problemResponse } from '../../shared/engine/problem.ts'
import { reasonOf } from '../../shared/engine/reason.ts'
import { pipeline } from '../../shared/pipeline.ts'
import { qualifiedName } from '../../shared/tables/table.ts'
import { createCaptureHandler } from './handler.ts'
import { startSuccessorOf } from './successor.ts'

/** What Supabase's Edge Runtime gives beyond Deno. */
declare const EdgeRuntime: { waitUntil(work: Promise<unknown>): void }

const clock = systemClock()
const log = consoleLog({ base: { function: 'capture', isolate: crypto.randomUUID().slice(0, 8) } })

Deno.serve(serving())

function serving(): (request: Request) => Promise<Response> {
  try {
    assertSound(pipeline)
    return handlerOf(captureSettings(Deno.env.toObject()))
  } catch (error) {
    log.error('capture.misconfigured', { reason: reasonOf(error) })
    return async (request) => {
      await request.body?.cancel()
      return problemResponse({
        status: 503,
        slug: 'misconfigured',
        title: 'Capture is not configured',
        detail: 'The log of this function lists every fault of its environment and definition.',
      })
    }
  }
}

function handlerOf({ kafka: kafkaSettings, supabase, webhookSecret }: CaptureSettings): (request: Request) => Promise<Response> {
  // With the token given, supabase-js asks no session for it at every call: a fifth of a call's CPU.
  const client = createClient(supabase.url, supabase.serviceRoleKey, { accessToken: async () => supabase.serviceRoleKey })
  const outbox = supabaseOutbox({ client: { schema: (name) => client.schema(name) } })
  // The isolate's one session: it stays warm from one request to the next.
  const kafka = kafkaClient(kafkaSettings, { clientId: 'afluente-capture', log })
  const publisher = kafkaPublisher({ kafka, makeTopics: newTopics({ kafka, settings: pipeline.topics, log }) })
  const budget = createBudget({ clock, limits: captureBudget, cost: cpuCost })
  const startSuccessor = startSuccessorOf({ supabaseUrl: supabase.url, secret: webhookSecret })
  const deps = { outbox, publisher, clock, log, random: Math.random, budget, limits: captureLimits(pipeline.topics), ref: supabase.ref, startSuccessor }
  const { signal } = new AbortController()

  addEventListener('beforeunload', () => budget.endNear())
  const ringer = createRinger({ log, capture: (run) => captureShard({ ...run, owner: crypto.randomUUID(), signal }, deps) })
  const handle = createCaptureHandler({
    secret: webhookSecret,
    ringer,
    shards: shardsOf(pipeline),
    tables: pipeline.tables.map(qualifiedName),
    connect: publisher.connect,
  })
  return (request) => {
    budget.renew()
    return handle(request, { waitUntil: (work) => EdgeRuntime.waitUntil(work) })
  }
}
