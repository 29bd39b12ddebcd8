/** The outbox through PostgREST, as supabase-js calls it. One JSON value a call, parsed once, its shape checked here. */
import { type Change, isOp } from '../../events/change.ts'
import { AfluenteError } from '../../engine/errors.ts'
import type { Backlog, Claim, Keeps, Outbox, Settled, TableBacklog } from '../../ports/outbox.ts'
import { faultOf, type RpcFailure } from './faults.ts'

/** What this adapter needs of a supabase-js client. */
export interface RpcClient {
  schema(name: 'afluente'): { rpc(name: string, args: Readonly<Record<string, unknown>>): RpcCall }
}

export interface RpcCall {
  abortSignal(signal: AbortSignal): PromiseLike<RpcAnswer>
}

export interface RpcAnswer {
  readonly data: unknown
  readonly error: RpcFailure | null
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number
}

export interface SupabaseOutboxDeps {
  readonly client: RpcClient
  /** How long an answer may take, beyond what the call itself may wait. Above PostgREST's own limit for statements, 8 s. */
  readonly timeoutMs?: number
}

export function supabaseOutbox({ client, timeoutMs = 10_000 }: SupabaseOutboxDeps): Outbox {
  const call = async (name: string, args: Readonly<Record<string, unknown>>, signal: AbortSignal, waitMs = 0): Promise<Readonly<Record<string, unknown>>> => {
    const { done, limited } = limit(signal, timeoutMs + waitMs)
    try {
      const { data, error, status } = await client.schema('afluente').rpc(name, args).abortSignal(limited)
      if (error !== null) throw faultOf(name, status, error)
      if (!isRecord(data)) throw unreadable(name, 'it is not a JSON object')
      return data
    } finally {
      done()
    }
  }
  return {
    claim: async ({ beside, floor, leaseMs, maxBytes, maxRows, owner, shard, waitMs }, { signal }) => {
      const args = { shard, owner, lease: interval(leaseMs), floor, max_rows: maxRows, max_bytes: maxBytes, wait: interval(waitMs), beside }
      return claimOf(await call('claim', args, signal, waitMs))
    },
    acknowledge: async (shard, epoch, versions, { signal }) => settledOf('acknowledge', await call('acknowledge', { shard, epoch, versions }, signal)),
    release: async (shard, epoch, { signal }) => settledOf('release', await call('release', { shard, epoch }, signal)),
    backlog: async ({ signal }) => backlogOf(await call('backlog', {}, signal)),
  }
}

/** The caller's signal with a time limit of this call. */
function limit(signal: AbortSignal, ms: number): { readonly limited: AbortSignal; readonly done: () => void } {
  const controller = new AbortController()
  const abort = () => controller.abort()
  if (signal.aborted) abort()
  const timer = setTimeout(abort, ms)
  signal.addEventListener('abort', abort)
  return {
    limited: controller.signal,
    done: () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    },
  }
}

function interval(ms: number): string {
  return `${ms} milliseconds`
}

function claimOf(answer: Readonly<Record<string, unknown>>): Claim {
  const { epoch, more, reason, retryMs, rows, status } = answer
  if (status === 'held' && typeof epoch === 'number' && Array.isArray(rows)) return { status, epoch, changes: rows.map(changeOf), more: more === true }
  if (status === 'busy' && typeof retryMs === 'number') return { status, retryMs }
  if (status === 'refused' && typeof reason === 'string') return { status, reason }
  throw unreadable('claim', `status is ${typeof status === 'string' ? status : typeof status}`)
}

function changeOf(row: unknown): Change {
  if (!Array.isArray(row)) throw unreadable('claim', 'a row is not an array')
  const values: readonly unknown[] = row
  const [version, table, topic, key, op, before, after, occurredAt, traceparent, oversizedBytes] = values
  if (
    typeof version !== 'number' ||
    !Number.isSafeInteger(version) ||
    typeof table !== 'string' ||
    typeof topic !== 'string' ||
    typeof key !== 'string' ||
    !isOp(op) ||
    !isTextOrNull(before) ||
    !isTextOrNull(after) ||
    typeof occurredAt !== 'string' ||
    !isTextOrNull(traceparent) ||
    !(oversizedBytes === null || oversizedBytes === undefined || typeof oversizedBytes === 'number')
  ) {
    throw unreadable('claim', 'a row is not [version, source_table, topic, key, op, before, after, occurred_at, traceparent, oversized]')
  }
  const change = { version, table, topic, key, op, before, after, occurredAt, traceparent }
  return typeof oversizedBytes === 'number' ? { ...change, oversizedBytes } : change
}

function settledOf(name: string, { epoch, status }: Readonly<Record<string, unknown>>): Settled {
  if (status === 'done') return { status }
  if (status === 'fenced' && typeof epoch === 'number') return { status, epoch }
  throw unreadable(name, 'it has no status that is known')
}

const KEEPS: readonly unknown[] = ['images', 'keys', 'nothing'] satisfies readonly Keeps[]

function backlogOf({ failures, keeps, leased, oldestMs, refused, rows, tables }: Readonly<Record<string, unknown>>): Backlog {
  if (
    typeof rows !== 'number' ||
    !(oldestMs === null || typeof oldestMs === 'number') ||
    typeof leased !== 'boolean' ||
    typeof failures !== 'number' ||
    !isTextOrNull(refused) ||
    !isKeeps(keeps) ||
    !Array.isArray(tables)
  ) {
    throw unreadable('backlog', 'rows, oldestMs, leased, failures, refused, keeps or tables is missing')
  }
  return { rows, oldestMs, leased, failures, refused, keeps, tables: tables.map(tableOf) }
}

function tableOf(entry: unknown): TableBacklog {
  const { failures, keysOnlySince, problem, reconcileSince, table, topic } = isRecord(entry) ? entry : {}
  if (
    typeof table !== 'string' ||
    typeof topic !== 'string' ||
    typeof failures !== 'number' ||
    !isTextOrNull(problem) ||
    !isTextOrNull(reconcileSince) ||
    !isTextOrNull(keysOnlySince)
  ) {
    throw unreadable('backlog', 'a table is not { table, topic, failures, problem, reconcileSince, keysOnlySince }')
  }
  return { table, topic, failures, problem, reconcileSince, keysOnlySince }
}

function isKeeps(value: unknown): value is Keeps {
  return KEEPS.includes(value)
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unreadable(name: string, why: string): AfluenteError {
  return new AfluenteError(
    'misconfigured',
    'unreadable-answer',
    `afluente.${name} answered something this version does not know (${why}). Apply the migrations in supabase/migrations, then deploy capture again.`,
  )
}
