/** As much of supabase-js as calling a function takes, for the Worker: the whole client would add 150 KB (gzip) to its bundle. */
import type { SupabaseSettings } from '../../config.ts'
import type { RpcAnswer, RpcClient } from './call.ts'

/** Calls PostgREST's `/rest/v1/rpc/<name>` with the service role's key. Never throws: what went wrong is in the answer, as supabase-js gives it. */
export function restClient({ url, serviceRoleKey }: Pick<SupabaseSettings, 'url' | 'serviceRoleKey'>): RpcClient {
  const call = async (schema: string, name: string, args: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<RpcAnswer> => {
    const headers = { apikey: serviceRoleKey, authorization: `Bearer ${serviceRoleKey}`, 'content-type': 'application/json', 'content-profile': schema }
    try {
      const response = await fetch(`${url}/rest/v1/rpc/${name}`, { method: 'POST', headers, body: JSON.stringify(args), signal })
      const body = jsonOf(await response.text())
      return response.ok ? { data: body, error: null, status: response.status } : { data: null, error: failureOf(body), status: response.status }
    } catch (error) {
      return { data: null, error: { code: '', message: error instanceof Error ? error.name : 'no answer' }, status: 0 }
    }
  }
  return { schema: (schema) => ({ rpc: (name, args) => ({ abortSignal: (signal) => call(schema, name, args, signal) }) }) }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function failureOf(body: unknown): { readonly code: string; readonly message: string } {
  const text = (name: string) => {
    const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined
    return typeof value === 'string' ? value : ''
  }
  return { code: text('code'), message: text('message') }
}
