/** The backfills of the source database through PostgREST. */
import { AfluenteError } from '../../engine/errors.ts'
import type { Backfill, Backfills, BackfillState, Hold, Sent, Steered } from '../../ports/backfills.ts'
import { type Answer, type CallDeps, createCall, interval, isRecord, isTextOrNull, unreadable } from './call.ts'
import type { RpcFailure } from './faults.ts'

export function supabaseBackfills(deps: CallDeps): Backfills {
  const call = createCall({ ...deps, faultOf: ownFaultOf })
  return {
    start: async ({ condition, estimate, limit, spanMs, table }, { signal }) => {
      const args = { table, condition, span: spanMs === null ? null : interval(spanMs), row_limit: limit, estimate }
      return backfillOf('start_backfill', await call('start_backfill', args, signal))
    },
    hold: async ({ id, leaseMs, owner }, { signal }) => holdOf(await call('hold_backfill', { id, owner, lease: interval(leaseMs) }, signal)),
    send: async ({ epoch, failed, id, keys, leaseMs, reached, seen }, { signal }) =>
      sentOf(await call('send_backfill', { id, epoch, keys, seen, reached, failed, lease: interval(leaseMs) }, signal)),
    release: async ({ done, epoch, id }, { signal }) => {
      const answer = await call('release_backfill', { id, epoch, done }, signal)
      return answer['status'] === 'fenced' ? null : backfillOf('release_backfill', answer['backfill'])
    },
    steer: async (id, action, { signal }) => steeredOf(await call('steer_backfill', { id, action }, signal)),
    list: async ({ signal }) => {
      const { backfills } = await call('list_backfills', {}, signal)
      if (!Array.isArray(backfills)) throw unreadable('list_backfills', 'backfills is no list')
      return backfills.map((one) => backfillOf('list_backfills', one))
    },
  }
}

/** Rows that can't be printed, or take longer than the API lets a statement run: fewer of them may go. */
const OF_ROWS = /^(?:57014|(?:22|54|P0|XX)[0-9A-Z]{3})$/

function ownFaultOf(name: string, failure: RpcFailure): AfluenteError | undefined {
  const code = failure.code ?? ''
  if (code === '42704' || code === '42P01')
    return new AfluenteError('misconfigured', 'not-captured', 'The table is not captured (any more): select afluente.capture_table(…) captures it.', {
      cause: failure,
    })
  if (code === '42P16')
    return new AfluenteError(
      'misconfigured',
      'from-dump',
      'The table came out of a dump, and which columns it excludes is not known: capture it again with afluente.capture_table.',
      { cause: failure },
    )
  if (name === 'send_backfill' && OF_ROWS.test(code)) return new AfluenteError('refused', code, `Rows could not be sent (${code}).`, { cause: failure })
  return undefined
}

function holdOf(answer: Answer): Hold {
  const { epoch, retryMs, status } = answer
  if (status === 'unknown') return { status }
  const backfill = backfillOf('hold_backfill', answer['backfill'])
  if (status === 'held' && typeof epoch === 'number') return { status, epoch, backfill }
  if (status === 'busy' && typeof retryMs === 'number') return { status, retryMs, backfill }
  if (status === 'ended') return { status, backfill }
  throw unreadable('hold_backfill', 'it has no status that is known')
}

function sentOf(answer: Answer): Sent {
  const { room, status } = answer
  if (status === 'fenced') return { status }
  if (status === 'held' && typeof room === 'boolean') return { status, room, backfill: backfillOf('send_backfill', answer['backfill']) }
  throw unreadable('send_backfill', 'it has no status that is known')
}

function steeredOf(answer: Answer): Steered {
  const { status } = answer
  if (status === 'unknown') return { status }
  if (status === 'done' || status === 'unchanged' || status === 'declined') return { status, backfill: backfillOf('steer_backfill', answer['backfill']) }
  throw unreadable('steer_backfill', 'it has no status that is known')
}

const STATES: readonly unknown[] = ['offered', 'running', 'paused', 'cancelled', 'done'] satisfies readonly BackfillState[]

function backfillOf(name: string, value: unknown): Backfill {
  if (!isRecord(value)) throw unreadable(name, 'a backfill is no JSON object')
  const { beganAt, condition, endedAt, estimate, failed, gone, id, limit, reached, seen, sent, since, state, table, waiting, worked } = value
  if (
    typeof id !== 'number' ||
    typeof table !== 'string' ||
    !isTextOrNull(condition) ||
    !isTextOrNull(since) ||
    !isNumberOrNull(limit) ||
    !isState(state) ||
    typeof worked !== 'boolean' ||
    !isTextOrNull(reached) ||
    !isTexts(waiting) ||
    !isNumberOrNull(estimate) ||
    typeof seen !== 'number' ||
    typeof sent !== 'number' ||
    typeof gone !== 'number' ||
    typeof failed !== 'number' ||
    typeof beganAt !== 'string' ||
    !isTextOrNull(endedAt)
  ) {
    throw unreadable(name, 'a backfill lacks a member, or has one of another type')
  }
  return { id, table, condition, since, limit, state, worked, reached, waiting, estimate, seen, sent, gone, failed, beganAt, endedAt }
}

function isState(value: unknown): value is BackfillState {
  return STATES.includes(value)
}

function isNumberOrNull(value: unknown): value is number | null {
  return value === null || typeof value === 'number'
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}
