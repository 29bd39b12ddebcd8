/** The source's side of a reconcile through PostgREST. */
import { AfluenteError } from '../../engine/errors.ts'
import { quoted } from '../../mappings/column-types.ts'
import type { Begun, Drained, DrawnDeletes, ReconcileSource, Resent } from '../../ports/reconcile.ts'
import type { SourceTable } from '../../tables/table.ts'
import { type Answer, type CallDeps, createCall, isTextOrNull, unreadable } from './call.ts'
import { faultOf, type RpcFailure } from './faults.ts'

export function supabaseReconcileSource(deps: CallDeps): ReconcileSource {
  const call = createCall({ ...deps, faultOf: ownFaultOf })
  return {
    begin: async (table, { signal }) => begunOf(await call('begin_reconcile', { table: nameOf(table) }, signal)),
    end: async (table, reconciliation, { signal }) => {
      const { data, error, status } = await deps.client
        .schema('afluente')
        .rpc('end_reconcile', { table: nameOf(table), reconciliation })
        .abortSignal(signal)
      if (error !== null) throw faultOf('end_reconcile', status, error)
      return data === true
    },
    drained: async (version, { signal }) => drainedOf(await call('drained', { version }, signal)),
    resend: async (table, keys, { signal }) => resentOf(await call('resend_rows', { table: nameOf(table), keys }, signal)),
    drawDeletes: async (table, keys, { signal }) => drawnOf(await call('draw_deletes', { table: nameOf(table), keys }, signal)),
    sendDeletes: async (table, { fence, versions }, { signal }) => {
      const args = { table: nameOf(table), fence, keys: versions.map(([key]) => key), versions: versions.map(([, version]) => version) }
      const { status } = await call('send_deletes', args, signal)
      if (status !== 'sent' && status !== 'early') throw unreadable('send_deletes', 'it has no status that is known')
      return status === 'sent'
    },
  }
}

function nameOf({ name, schema }: SourceTable): string {
  return `${quoted(schema)}.${quoted(name)}`
}

/** Rows that can't be printed, keys that are none, or too many at once: fewer of them may go. */
const OF_ROWS = /^(?:57014|(?:22|54|P0|XX)[0-9A-Z]{3})$/

function ownFaultOf(name: string, failure: RpcFailure): AfluenteError | undefined {
  const code = failure.code ?? ''
  if (code === '42P16' || code === '42704' || code === '42P01')
    return new AfluenteError(
      'misconfigured',
      'not-captured',
      'The table is not captured (any more), or came out of a dump: select afluente.capture_table(…) captures it.',
      {
        cause: failure,
      },
    )
  if ((name === 'resend_rows' || name === 'send_deletes') && OF_ROWS.test(code))
    return new AfluenteError('refused', code, `Keys could not be sent (${code}).`, { cause: failure })
  return undefined
}

function begunOf({ at, reason, reconciliation, status }: Answer): Begun {
  if (status === 'begun' && typeof reconciliation === 'number' && typeof at === 'string') return { status, reconciliation, at }
  if (status === 'refused' && typeof reason === 'string') return { status, reason }
  throw unreadable('begin_reconcile', 'it has no status that is known')
}

function drainedOf({ left, life, refused, version }: Answer): Drained {
  if (typeof version === 'number' && typeof left === 'number' && typeof life === 'string' && isTextOrNull(refused)) return { version, left, life, refused }
  throw unreadable('drained', 'it is not { version, left, life, refused }')
}

function resentOf({ gone, keeps, locked, sent }: Answer): Resent {
  if (typeof sent === 'number' && isTexts(locked) && isTexts(gone) && (keeps === 'images' || keeps === 'keys' || keeps === 'nothing'))
    return { sent, locked, gone, keeps }
  throw unreadable('resend_rows', 'it is not { sent, locked, gone, keeps }')
}

function drawnOf({ fence, versions }: Answer): DrawnDeletes {
  if (typeof fence !== 'string' || !Array.isArray(versions)) throw unreadable('draw_deletes', 'it is not { fence, versions }')
  return { fence, versions: versions.map(pairOf) }
}

function pairOf(pair: unknown): readonly [string, number] {
  const values: readonly unknown[] = Array.isArray(pair) ? pair : []
  const [key, version] = values
  if (typeof key !== 'string' || typeof version !== 'number') throw unreadable('draw_deletes', 'a version is not [key, version]')
  return [key, version]
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}
