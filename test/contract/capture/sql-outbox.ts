/** The product's outbox adapter with its calls going to Postgres directly, as the service role: PostgREST's one statement a call. */
import pg from 'pg'
import type { RpcClient } from '../../../shared/adapters/supabase/call.ts'
import { supabaseOutbox } from '../../../shared/adapters/supabase/outbox.ts'
import type { Outbox } from '../../../shared/ports/outbox.ts'

export interface SqlOutbox {
  readonly outbox: Outbox
  close(): Promise<void>
}

/** `connections`: a claim that waits keeps one. */
export function sqlOutbox(url: string, connections: number): SqlOutbox {
  const { client, close } = sqlClient(url, connections)
  return { outbox: supabaseOutbox({ client }), close }
}

export function sqlClient(url: string, connections: number): { readonly client: RpcClient; close(): Promise<void> } {
  const pool = new pg.Pool({ connectionString: url, max: connections, options: '-c role=service_role' })
  pool.on('error', () => undefined)
  const client: RpcClient = {
    schema: () => ({
      rpc: (name, args) => ({
        abortSignal: async () => {
          const named = Object.keys(args).map((argument, at) => `"${argument}" => $${at + 1}`)
          try {
            const { rows } = await pool.query<{ answer: unknown }>(`select afluente.${name}(${named.join(', ')}) as answer`, Object.values(args))
            return { data: rows[0]?.answer, error: null, status: 200 }
          } catch (error) {
            if (!(error instanceof pg.DatabaseError)) throw error
            return { data: null, error: { message: error.message, code: error.code ?? '' }, status: 500 }
          }
        },
      }),
    }),
  }
  return { client, close: () => pool.end() }
}
