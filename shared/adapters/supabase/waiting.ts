/** The changes of one key that lie in the outbox, through PostgREST. */
import { isOp } from '../../events/change.ts'
import { AfluenteError } from '../../engine/errors.ts'
import type { WaitingChange, WaitingChanges } from '../../ports/traces.ts'
import { qualifiedName } from '../../tables/table.ts'
import { faultOf } from './faults.ts'
import type { RpcClient } from './call.ts'

export function supabaseWaiting({ client }: { readonly client: RpcClient }): WaitingChanges {
  return {
    waiting: async ({ key, table }, limit, { signal }) => {
      const args = { source_table: qualifiedName(table), key, max_rows: limit }
      const { data, error, status } = await client.schema('afluente').rpc('waiting', args).abortSignal(signal)
      if (error !== null) throw faultOf('waiting', status, error)
      const changes: unknown = typeof data === 'object' && data !== null ? Reflect.get(data, 'changes') : undefined
      if (!Array.isArray(changes)) throw unreadable()
      return changes.map(changeOf)
    },
  }
}

function changeOf(entry: unknown): WaitingChange {
  const values: readonly unknown[] = Array.isArray(entry) ? entry : []
  const [version, op, occurredAt, traceparent] = values
  if (typeof version !== 'number' || !isOp(op) || typeof occurredAt !== 'string' || !(traceparent === null || typeof traceparent === 'string'))
    throw unreadable()
  return { version, op, occurredAt, traceparent }
}

function unreadable(): AfluenteError {
  return new AfluenteError(
    'misconfigured',
    'unreadable-answer',
    'afluente.waiting answered otherwise than this version expects. Apply the migrations in supabase/migrations.',
  )
}
