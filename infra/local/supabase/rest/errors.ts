/** Whatever was thrown → PostgREST's answer. */
import pg from 'pg'
import { reasonOf } from '../log.ts'
import { RoleRefused } from './database.ts'
import { RestError, type Reply } from './reply.ts'

/** `role` decides whether missing rights mean "log in first" (401) or "never" (403). */
export function errorReply(error: unknown, role: string): Reply {
  if (error instanceof RestError) return reply(error.status, error.code, error.message, error.details, error.hint)
  if (error instanceof RoleRefused) return reply(role === 'anon' ? 401 : 403, '42501', error.message, null, null)
  if (error instanceof pg.DatabaseError) {
    const code = error.code ?? 'XX000'
    return reply(statusOf(code, role), code, error.message, error.detail ?? null, error.hint ?? null)
  }
  return reply(
    503,
    'PGRST000',
    'Database connection error. Retrying the connection.',
    reasonOf(error),
    'Is the source database running? `npx afluente status` says.',
  )
}

function reply(status: number, code: string, message: string, details: string | null, hint: string | null): Reply {
  return { status, body: JSON.stringify({ code, details, hint, message }) }
}

// PostgREST's table; the longest prefix that fits wins.
const statuses: Readonly<Record<string, number>> = {
  '08': 503,
  '09': 500,
  '0L': 403,
  '0P': 403,
  '22': 400,
  '23': 400,
  '23503': 409,
  '23505': 409,
  '25': 500,
  '25006': 405,
  '28': 403,
  '2D': 500,
  '38': 500,
  '39': 500,
  '3B': 500,
  '40': 500,
  '42': 400,
  '42883': 404,
  '42P01': 404,
  '42P17': 500,
  '53': 503,
  '53400': 500,
  '54': 500,
  '55': 500,
  '57': 500,
  '57P01': 503,
  '57P02': 503,
  '57P03': 503,
  '58': 500,
  F0: 500,
  HV: 500,
  P0: 500,
  P0001: 400,
  XX: 500,
}

export function statusOf(code: string, role: string): number {
  if (code === '42501') return role === 'anon' ? 401 : 403
  // `raise … using errcode = 'PT402'` chooses its own status.
  const chosen = /^PT([1-5]\d\d)$/.exec(code)?.[1]
  if (chosen !== undefined) return Number(chosen)
  return statuses[code] ?? statuses[code.slice(0, 2)] ?? 400
}
