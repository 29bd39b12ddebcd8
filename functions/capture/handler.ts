/** The doorbell's HTTP side. Knows no runtime: a request in, an answer out, and the work that goes on behind it to `waitUntil`. */
import { bearerOf, isSameSecret } from '../../shared/engine/secret.ts'
import { problemResponse } from '../../shared/engine/problem.ts'
import type { Ringer } from '../../shared/engine/capture-ringer.ts'
import type { Cancellable } from '../../shared/ports/cancellable.ts'
import { adviceOn } from './doorbell-body.ts'

/** Marks a call by which a run hands its shard over. */
export const HANDOVER_HEADER = 'x-afluente-handover'
const SECRET_HEADER = 'x-afluente-secret'

export interface CaptureHandlerDeps {
  readonly secret: string
  readonly ringer: Ringer
  /** Shards of the outbox, numbered from 0. */
  readonly shards: number
  /** `<schema>.<table>` of each table in shared/pipeline.ts. */
  readonly tables: readonly string[]
  /** Connects to Kafka, so that a successor is ready when it says so. */
  readonly connect: (options: Cancellable) => Promise<void>
  readonly maxBodyBytes?: number
}

export interface Invocation {
  /** Keeps the runtime from ending what goes on after the answer. */
  readonly waitUntil: (work: Promise<unknown>) => void
}

/**
 * Answers the doorbell. A rightly signed POST always rings, whatever its body: then 202, or what is wrong with the body.
 * An unsigned one gets 401 and nothing is done.
 */
export function createCaptureHandler(deps: CaptureHandlerDeps): (request: Request, invocation: Invocation) => Promise<Response> {
  const { connect, maxBodyBytes = 1_048_576, ringer, secret, shards, tables } = deps
  return async (request, { waitUntil }) => {
    if (request.method !== 'POST') {
      return problemResponse({
        status: 405,
        slug: 'method-not-allowed',
        title: 'Only POST rings',
        detail: 'Call this function with POST.',
        headers: { allow: 'POST' },
      })
    }
    if (!(await isSigned(request.headers, secret))) {
      return problemResponse({
        status: 401,
        slug: 'wrong-secret',
        title: 'The secret is missing or wrong',
        detail: `Send AFLUENTE_WEBHOOK_SECRET as 'Authorization: Bearer <secret>' or in the header ${SECRET_HEADER}. Nothing was done.`,
        headers: { 'www-authenticate': 'Bearer' },
      })
    }
    const asked = shardsOf(new URL(request.url).searchParams, shards)
    if (request.headers.has(HANDOVER_HEADER)) return asked === null ? unknownShard('Nothing was taken over.', false) : takeOver(asked, waitUntil)
    for (const shard of asked ?? everyShard(shards)) waitUntil(ringer.ring(shard))
    if (asked === null) return unknownShard('All were rung.', true)
    const advice = await adviceOn(request, { maxBodyBytes, tables })
    return advice === null ? Response.json({ status: 'ringing' }, { status: 202 }) : problemResponse(advice)
  }

  function unknownShard(done: string, rung: boolean): Response {
    return problemResponse({
      status: 422,
      slug: 'unknown-shard',
      title: 'There is no such shard',
      detail: `Shards are numbered from 0 to ${shards - 1}; leave ?shard= out to mean all. ${done}`,
      more: { rung },
    })
  }

  async function takeOver(asked: readonly number[], waitUntil: Invocation['waitUntil']): Promise<Response> {
    try {
      await connect({ signal: AbortSignal.timeout(10_000) })
    } catch {
      return problemResponse({
        status: 503,
        slug: 'kafka-unavailable',
        title: 'Kafka does not answer',
        detail: 'The shard was not taken over. The log of this function says why.',
        headers: { 'retry-after': '5' },
      })
    }
    for (const shard of asked) waitUntil(ringer.takeOver(shard))
    return Response.json({ status: 'ready' }, { status: 202 })
  }
}

async function isSigned(headers: Headers, secret: string): Promise<boolean> {
  const bearer = await isSameSecret(bearerOf(headers.get('authorization')), secret)
  const header = await isSameSecret(headers.get(SECRET_HEADER) ?? undefined, secret)
  return bearer || header
}

/** The shards a call names; null when one of them does not exist. */
function shardsOf(query: URLSearchParams, shards: number): readonly number[] | null {
  const named = query.getAll('shard')
  if (named.length === 0) return everyShard(shards)
  const numbers = named.map((text) => (/^\d{1,4}$/.test(text) ? Number(text) : -1))
  return numbers.every((shard) => shard >= 0 && shard < shards) ? [...new Set(numbers)] : null
}

function everyShard(shards: number): readonly number[] {
  return Array.from({ length: shards }, (_, shard) => shard)
}
