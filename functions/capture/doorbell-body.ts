/** A doorbell's body carries nothing. It is read only to tell a person who set up a webhook by hand what is wrong with it. */
import type { Problem } from '../../shared/engine/problem.ts'

export interface BodyRules {
  readonly maxBodyBytes: number
  /** `<schema>.<table>` of each table that is captured. */
  readonly tables: readonly string[]
}

/** What is wrong with a doorbell's body; null when nothing is. The bell was rung in any case, and each answer says so. */
export async function adviceOn(request: Request, { maxBodyBytes, tables }: BodyRules): Promise<Problem | null> {
  const body = await readUpTo(request, maxBodyBytes)
  if (body === 'too-large') {
    return {
      status: 413,
      slug: 'body-too-large',
      title: 'The body is too large',
      detail: `A doorbell's body may have ${maxBodyBytes} bytes; an empty one is enough. The bell was rung: changes come from the outbox, not from the body.`,
      more: { rung: true },
    }
  }
  if (body.byteLength === 0) return null
  const payload = parsed(body)
  if (payload === undefined) {
    return {
      status: 422,
      slug: 'malformed-json',
      title: 'The body is not JSON',
      detail: `Send JSON in UTF-8, or nothing. The bell was rung all the same.`,
      more: { rung: true },
    }
  }
  const table = tableOf(payload)
  if (table === null || tables.includes(table)) return null
  return {
    status: 422,
    slug: 'unknown-table',
    title: 'The table is not captured',
    detail: `Nothing of ${table} is captured. Run: select afluente.capture_table('${sqlText(table)}'); and add the table to shared/pipeline.ts. The bell was rung for the tables that are.`,
    more: { rung: true, table },
  }
}

async function readUpTo(request: Request, limit: number): Promise<Uint8Array | 'too-large'> {
  if (Number(request.headers.get('content-length') ?? '0') > limit) {
    await request.body?.cancel()
    return 'too-large'
  }
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of chunksOf(request)) {
    bytes += chunk.byteLength
    if (bytes > limit) return 'too-large'
    chunks.push(chunk)
  }
  const body = new Uint8Array(bytes)
  let at = 0
  for (const chunk of chunks) {
    body.set(chunk, at)
    at += chunk.byteLength
  }
  return body
}

/** Leaving the loop early cancels the rest of the body. */
async function* chunksOf({ body }: Request): AsyncGenerator<Uint8Array> {
  if (body === null) return
  const reader = body.getReader()
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value
  } finally {
    await reader.cancel()
  }
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(body))
  } catch {
    return undefined
  }
}

/** The table that a database webhook of Supabase names: `{ type, table, schema, record, old_record, … }`. Null for anything else. */
function tableOf(payload: unknown): string | null {
  if (typeof payload !== 'object' || payload === null || !('type' in payload) || !('table' in payload) || !('schema' in payload)) return null
  return typeof payload.table === 'string' && typeof payload.schema === 'string' ? `${payload.schema}.${payload.table}` : null
}

function sqlText(text: string): string {
  return text.slice(0, 130).replaceAll("'", "''")
}
