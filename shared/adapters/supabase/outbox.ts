/** The outbox through PostgREST, as supabase-js calls it. One JSON value a call, parsed once, its shape checked here. */
import { type Change, isOp } from '../../events/change.ts'
import type { Backlog, Claim, Keeps, Outbox, Settled, TableBacklog } from '../../ports/outbox.ts'
import { type CallDeps, createCall, interval, isRecord, isTextOrNull, unreadable } from './call.ts'

export function supabaseOutbox(deps: CallDeps): Outbox {
  const call = createCall(deps)
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
