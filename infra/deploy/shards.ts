/** Gives the outbox of the source database as many shards as the definition says. */
import type pg from 'pg'
import { AfluenteError } from '../../shared/engine/errors.ts'
import { unhurried, withSource } from './source-work.ts'

/**
 * Resolves with what was done, in a line. Nothing is done, and no lock taken, when the number is right already. Takes as long as
 * what waits is long, and keeps users' writes waiting for moments only.
 * Errors: `misconfigured` when the source can't do it, `unavailable` when it can't be reached or a transaction stays open.
 */
export async function setShards(url: string, wanted: number): Promise<string> {
  return await withSource({ url, application: 'shards', refused, work: (client) => set(client, wanted) })
}

async function set(client: pg.Client, wanted: number): Promise<string> {
  const { rows } = await client.query<{ shards: number; able: boolean }>(
    `select (select count(*)::int from afluente.shards) as shards, to_regprocedure('afluente.set_shards(int)') is not null as able`,
  )
  const { able, shards } = rows[0] ?? { able: false, shards: 0 }
  if (!able && shards === wanted) return `${told(wanted)}, as defined`
  if (!able) {
    throw new AfluenteError(
      'misconfigured',
      'set-shards',
      `shared/pipeline.ts defines ${told(wanted)}, the source has ${shards} and no function afluente.set_shards: apply supabase/migrations, or set capture.shards to ${shards}.`,
    )
  }
  // Also when the number is right: it then does nothing, unless an earlier change of it was broken off.
  await unhurried(client, `select afluente.set_shards(${wanted}) as answer`)
  return shards === wanted ? `${told(wanted)}, as defined` : `${told(wanted)}, ${shards} before; deploy capture again, so that it works on each`
}

function refused(error: pg.DatabaseError): AfluenteError {
  const text = `The shards of the source database could not be set: ${error.message}. Use the role that applied supabase/migrations.`
  return new AfluenteError('misconfigured', error.code ?? 'sql', text, { cause: error })
}

function told(shards: number): string {
  return shards === 1 ? '1 shard' : `${shards} shards`
}
