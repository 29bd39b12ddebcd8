/** Reading requests. */
import type { Context } from 'hono'
import type { Problem } from '../../shared/engine/problem.ts'

/** Of the entries in the audit. */
export const ACTOR = 'operator'

/** What a request says, or why it can't be done. */
export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: Problem }

export function declined(status: number, slug: string, title: string, detail: string): { readonly ok: false; readonly problem: Problem } {
  return { ok: false, problem: { status, slug, title, detail } }
}

/** No body at all is an empty one; that it is JSON was looked at before. */
export async function bodyOf(c: Context): Promise<unknown> {
  const text = await c.req.text()
  const body: unknown = text === '' ? {} : JSON.parse(text)
  return body
}
