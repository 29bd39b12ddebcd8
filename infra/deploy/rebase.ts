/** `afluente.rebase()` on a source database: after a restore, on a branch, after a move. */
import type pg from 'pg'
import * as z from 'zod'
import { AfluenteError } from '../../shared/engine/errors.ts'
import { unhurried, withSource } from './source-work.ts'

const answer = z.discriminatedUnion('status', [
  z.object({ status: z.literal('unchanged') }),
  z.object({
    status: z.literal('rebased'),
    /** In what the database differed from the one that was captured. */
    reason: z.string(),
    /** Where the sequence of versions stood, and stands. */
    from: z.number(),
    to: z.number(),
    /** How many changes that waited got new versions. */
    changes: z.number(),
    /** The tables that were marked for reconciliation. */
    tables: z.array(z.string()),
  }),
])

export type Rebased = z.infer<typeof answer>

/**
 * Makes claim serve again where it refuses; changes nothing where it serves. Throws `unavailable` when the database can't be
 * reached or somebody holds the outbox, `misconfigured` when the schema or the right is missing; never with a secret.
 */
export async function rebaseSource(url: string): Promise<Rebased> {
  const rebased = await withSource({
    url,
    application: 'rebase',
    refused: refusalOf('rebase'),
    work: (client) => unhurried(client, 'select afluente.rebase() as answer'),
  })
  const read = answer.safeParse(rebased)
  if (read.success) return read.data
  const text = 'afluente.rebase() answers otherwise than this version expects: apply supabase/migrations of the same version.'
  throw new AfluenteError('misconfigured', 'unreadable-answer', text, { cause: read.error })
}

/** Lifts the versions to the clock, as every deploy does: a restore that nothing else tells of then ends with the next one. Throws as `rebaseSource`. */
export async function liftVersions(url: string): Promise<void> {
  await withSource({ url, application: 'lift', refused: refusalOf('lift'), work: (client) => client.query('select afluente.lift()') })
}

/** What was done, for people: nothing to say when nothing was. */
export function rebasedLines(done: Rebased): readonly string[] {
  if (done.status === 'unchanged') return []
  const { changes, from, reason, tables, to } = done
  return [
    `${reason}: capture stood still, for its changes would have looked older than what was delivered`,
    `versions lifted from ${from} to ${to}; ${changes === 0 ? 'no change was waiting' : `${changes} change(s) that waited got new ones`}`,
    tables.length === 0 ? 'no table is captured' : `marked for reconciliation, since the sinks may hold what this database does not: ${tables.join(', ')}`,
  ]
}

function refusalOf(name: 'rebase' | 'lift'): (error: pg.DatabaseError) => AfluenteError {
  const mending: Readonly<Record<string, string>> = {
    '3F000': 'The source database has no schema afluente: apply supabase/migrations (supabase db push), then run this again.',
    '42883': `The source database has no afluente.${name}(): apply supabase/migrations (supabase db push), then run this again.`,
    '42501': `The role in SOURCE_DATABASE_URL may not call afluente.${name}(): use the role that applied supabase/migrations${name === 'rebase' ? ', or the service role' : ''}.`,
  }
  return (error) => {
    const code = error.code ?? 'sql'
    const text = mending[code]
    if (text !== undefined) return new AfluenteError('misconfigured', code, text, { cause: error })
    const otherwise = `The source database could not be rebased (${code}: ${error.message}). Nothing was changed; run this again.`
    return new AfluenteError('unavailable', code, otherwise, { cause: error })
  }
}
