/** `afluente.rebase()` on a source database: after a restore, on a branch, after a move. */
import pg from 'pg'
import * as z from 'zod'
import { AfluenteError } from '../../shared/engine/errors.ts'

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
  if (!URL.canParse(url) || !/^postgres(?:ql)?:$/.test(new URL(url).protocol))
    throw new AfluenteError('misconfigured', 'url', 'SOURCE_DATABASE_URL is no URL of a Postgres: postgres://<user>:<password>@<host>:<port>/<database>.')
  const client = new pg.Client({ connectionString: url, application_name: 'afluente rebase', connectionTimeoutMillis: 10_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<{ rebased: unknown }>('select afluente.rebase() as rebased')
    return answer.parse(rows[0]?.rebased)
  } catch (error) {
    throw await faultOf(error, client)
  } finally {
    await client.end().catch(() => undefined)
  }
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

const MENDING: Readonly<Record<string, string>> = {
  '3F000': 'The source database has no schema afluente: apply supabase/migrations (supabase db push), then run this again.',
  '42883': 'The source database has no afluente.rebase(): apply supabase/migrations (supabase db push), then run this again.',
  '42501': 'The role in SOURCE_DATABASE_URL may not call afluente.rebase(): use the role that applied supabase/migrations, or the service role.',
  '25006': 'SOURCE_DATABASE_URL leads to a database that takes no writes (a read replica?): give the address of the primary.',
  '28P01': 'The source database refuses the user or password in SOURCE_DATABASE_URL.',
  '28000': 'The source database refuses the user in SOURCE_DATABASE_URL.',
  '3D000': 'The database that SOURCE_DATABASE_URL names is not on that server.',
}

async function faultOf(error: unknown, client: pg.Client): Promise<AfluenteError> {
  const cause = { cause: error }
  if (error instanceof z.ZodError)
    return new AfluenteError(
      'misconfigured',
      'unreadable-answer',
      'afluente.rebase() answers otherwise than this version expects: apply supabase/migrations of the same version.',
      cause,
    )
  if (!(error instanceof pg.DatabaseError)) {
    const reason = error instanceof Error ? error.message : 'unknown reason'
    return new AfluenteError(
      'unavailable',
      'connect',
      `No connection to the source database: ${reason}. Check SOURCE_DATABASE_URL, and that the server runs.`,
      cause,
    )
  }
  const code = error.code ?? 'sql'
  if (code === '55P03')
    return new AfluenteError(
      'unavailable',
      code,
      `Another transaction holds the outbox, so nothing was changed: ${await holders(client)}. End it, or wait until it has ended, and run this again.`,
      cause,
    )
  const mending = MENDING[code]
  if (mending !== undefined) return new AfluenteError('misconfigured', code, mending, cause)
  return new AfluenteError(
    'unavailable',
    code,
    `The source database could not be rebased (${code}: ${error.message}). Nothing was changed; run this again.`,
    cause,
  )
}

/** Who has locks on the outbox, as far as this role may see; never what they run. */
async function holders(client: pg.Client): Promise<string> {
  try {
    const { rows } = await client.query<{ holder: string }>(
      `select case
         when p.gid is not null then format('the prepared transaction %L of %s', p.gid, p.owner)
         else format('process %s (%s)', l.pid, concat_ws(', ', 'role ' || a.usename, nullif(a.application_name, ''), a.state, 'open since ' || a.xact_start))
       end as holder
       from pg_locks l
       left join pg_stat_activity a on a.pid = l.pid
       left join pg_locks x on l.pid is null and x.pid is null and x.locktype = 'transactionid' and x.virtualtransaction = l.virtualtransaction
       left join pg_prepared_xacts p on p.transaction = x.transactionid
       where l.relation = 'afluente.outbox'::regclass and l.granted and l.pid is distinct from pg_backend_pid()
       order by a.xact_start nulls last limit 5`,
    )
    if (rows.length > 0) return rows.map(({ holder }) => holder).join('; ')
  } catch {
    // The lines below say where to look.
  }
  return "it has ended meanwhile, or this role may not see it (select pid from pg_locks where relation = 'afluente.outbox'::regclass)"
}
