/** Gives the outbox of the source database as many shards as the definition says. */
import pg from 'pg'
import { AfluenteError } from '../../shared/engine/errors.ts'

/**
 * Resolves with what was done, in a line. Nothing is done, and no lock taken, when the number is right already.
 * Errors: `misconfigured` when the source can't do it, `unavailable` when it can't be reached or was too busy.
 */
export async function setShards(url: string, wanted: number): Promise<string> {
  const client = new pg.Client({ connectionString: url, application_name: 'afluente shards', connectionTimeoutMillis: 10_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
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
    await client.query('select afluente.set_shards($1)', [wanted])
    return shards === wanted ? `${told(wanted)}, as defined` : `${told(wanted)}, ${shards} before; deploy capture again, so that it works on each`
  } catch (error) {
    throw faultOf(error)
  } finally {
    await client.end().catch(() => undefined)
  }
}

function faultOf(error: unknown): AfluenteError {
  if (error instanceof AfluenteError) return error
  const reason = error instanceof Error ? error.message : 'unknown reason'
  const code = error instanceof pg.DatabaseError ? (error.code ?? 'sql') : 'connect'
  if (code === '55P03') {
    const text = 'The shards could not be set, for a transaction that has written captured tables stays open. Run this again when it has ended.'
    return new AfluenteError('unavailable', code, text, { cause: error })
  }
  const isOurs = error instanceof pg.DatabaseError && !code.startsWith('57')
  return isOurs
    ? new AfluenteError(
        'misconfigured',
        code,
        `The shards of the source database could not be set: ${reason}. Use the role that applied supabase/migrations.`,
        {
          cause: error,
        },
      )
    : new AfluenteError('unavailable', code, `No connection to the source database: ${reason}. Check SOURCE_DATABASE_URL, and that the server runs.`, {
        cause: error,
      })
}

function told(shards: number): string {
  return shards === 1 ? '1 shard' : `${shards} shards`
}
