/** Reading requests. */
import type { Context } from 'hono'
import * as z from 'zod'
import type { Problem } from '../../shared/engine/problem.ts'

/** Of the entries in the audit. */
export const ACTOR = 'operator'

/** What a request says, or why it can't be done. */
export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: Problem }

export function declined(status: number, slug: string, title: string, detail: string): { readonly ok: false; readonly problem: Problem } {
  return { ok: false, problem: { status, slug, title, detail } }
}

/** How many of a list somebody wants. */
export function limitOf(most: number, usual: number) {
  const error = `a whole number from 1 to ${most}`
  return z.coerce.number({ error }).int({ error }).min(1, { error }).max(most, { error }).default(usual)
}

/** No body at all is an empty one; that it is JSON was looked at before. */
export async function bodyOf(c: Context): Promise<unknown> {
  const text = await c.req.text()
  const body: unknown = text === '' ? {} : JSON.parse(text)
  return body
}
