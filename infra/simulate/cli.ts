/** `npm run simulate`. Exit 0 well, 1 a fault, 2 wrong use. */
import pg from 'pg'
import { describe, Fault } from '../local/fault.ts'
import { homeAt } from '../local/home.ts'
import { readEnvironment, stackSettings } from '../local/settings.ts'
import { readStackFile } from '../local/stack-info.ts'
import { changesOf } from './changes.ts'
import { readOptions, type SimulateOptions, usage } from './options.ts'
import { type Tally, writeChanges } from './write.ts'

const LANES = 8
/** How long a slow database may take after the last change was due. */
const GRACE_MS = 30_000

const options = readOptions(process.argv.slice(2))
if (options === 'help') say(usage)
else if ('wrong' in options) {
  console.error(`${options.wrong.join('\n')}\n\n${usage}`)
  process.exitCode = 2
} else {
  try {
    await simulate(options)
  } catch (error) {
    console.error(`  ✗ ${describe(error)}`)
    process.exitCode = 1
  }
}

async function simulate({ rate, seconds, seed, tables }: SimulateOptions): Promise<void> {
  const info = readStackFile(homeAt(stackSettings(readEnvironment(process.env)).home))
  if (info === undefined) throw new Fault('There is no stack to write into', 'Run `npm start` first (or set AFLUENTE_HOME to the one that runs)')
  const pool = new pg.Pool({ connectionString: info.source.url, max: LANES, connectionTimeoutMillis: 5_000, application_name: 'afluente-simulate' })
  pool.on('error', () => undefined)
  const ending = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort())
  const limit = setTimeout(() => ending.abort(), seconds * 1_000 + GRACE_MS)
  const connections: pg.PoolClient[] = []
  try {
    for (let lane = 0; lane < LANES; lane += 1) connections.push(await connected(pool))
    const began = performance.now()
    const elapsed = () => (performance.now() - began) / 1_000
    say(`writing ${rate} changes/s for ${seconds} s into ${tables.join(', ')}, seed ${seed}`)
    const onSecond = (tally: Tally) =>
      say(
        `${elapsed().toFixed(0).padStart(5)} s · ${line(tally)}${tally.behindMs > 1_000 ? ` · ${(tally.behindMs / 1_000).toFixed(1)} s behind: the database takes no more` : ''}`,
      )
    const tally = await writeChanges({ changes: changesOf(seed, tables), rate, seconds, connections, onSecond, signal: ending.signal })
    say(
      `done: ${line(tally)} in ${elapsed().toFixed(1)} s (${(tally.written / elapsed()).toFixed(1)}/s), seed ${seed}${ending.signal.aborted ? ', ended early' : ''}`,
    )
  } catch (error) {
    throw failureOf(error)
  } finally {
    clearTimeout(limit)
    for (const connection of connections) connection.release()
    await pool.end()
  }
}

async function connected(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect()
  } catch (error) {
    throw new Fault(`The source database does not answer (${codeOf(error)})`, 'See that the stack runs: npm start', { cause: error })
  }
}

/** By code alone: Postgres quotes the row in its messages. */
function failureOf(error: unknown): unknown {
  if (error instanceof Fault || !(error instanceof Error) || !('code' in error)) return error
  return new Fault(`The source refused a change (${codeOf(error)})`, 'Look at the log of Postgres, and that the tables are as supabase/migrations make them', {
    cause: error,
  })
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'no code'
}

function line({ written, inserts, updates, deletes }: Tally): string {
  return `${written} changes (${inserts} inserts, ${updates} updates, ${deletes} deletes)`
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
