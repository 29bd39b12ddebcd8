/** Chatwoot's part of the local stack: seven of its tables with a lively data set, the view, and the role that may read the view alone. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { repository } from './home.ts'

/** The reader's name; `infra/chatwoot/role.sql` makes it. */
export const CHATWOOT_READER = 'afluente_reader'

export interface ChatwootDeps {
  /** A superuser's, or the owner's. */
  readonly url: string
  /** Gives the reader this password. */
  readonly readerPassword: string
  /** Conversations to seed; 0 seeds none. */
  readonly conversations: number
}

/**
 * Makes schema, view and role where they are missing, and seeds a schema of its own that is empty. A database with tables of somebody else's
 * Chatwoot is left alone. Applying it again renews the view and changes nothing else. Answers what it did, for people.
 * @throws an error of Postgres, with nothing changed.
 */
export async function prepareChatwoot({ url, readerPassword, conversations }: ChatwootDeps): Promise<'made' | 'renewed' | 'left alone'> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rows } = await client.query<{ there: boolean; ours: boolean }>(`
      select c.oid is not null as there, coalesce(obj_description(c.oid, 'pg_class') like 'Made by npm start%', false) as ours
      from (select to_regclass('public.conversations') as oid) as c`)
    const [found] = rows
    if (found?.there === true && !found.ours) return 'left alone'
    await client.query('begin')
    const made = found?.there !== true
    if (made) await client.query(await textOf('schema.sql'))
    const seeded = conversations > 0 && (await client.query('select from accounts limit 1')).rowCount === 0
    if (seeded) {
      await client.query("select set_config('afluente.conversations', $1, true)", [String(conversations)])
      await client.query(await textOf('seed.sql'))
    }
    await applyView(client)
    await client.query(await textOf('role.sql'))
    const password = client.escapeLiteral(readerPassword)
    await client.query(`alter role ${CHATWOOT_READER} login password ${password}`)
    await client.query('commit')
    // A fresh table without statistics would be read by plans that suit an empty one.
    if (seeded) await client.query('analyze')
    return made ? 'made' : 'renewed'
  } finally {
    await client.end()
  }
}

/** Postgres replaces a view only where columns are added at its end; one that changed otherwise is made anew. */
async function applyView(client: pg.Client): Promise<void> {
  const view = await textOf('view.sql')
  await client.query('savepoint view')
  try {
    await client.query(view)
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== '42P16') throw error
    await client.query('rollback to savepoint view')
    await client.query('drop view vw_conversations_analytics_final')
    await client.query(view)
  }
}

async function textOf(name: string): Promise<string> {
  return await readFile(join(repository, 'infra/chatwoot', name), 'utf8')
}
