/** `npm run simulate`. Exit 0 well, 1 a fault, 2 wrong use. */
import pg from 'pg'
import { describe, Fault } from '../local/fault.ts'
import { homeAt } from '../local/home.ts'
import { readEnvironment, stackSettings } from '../local/settings.ts'
import { readStackFile } from '../local/stack-info.ts'
import { changesOf } from './changes.ts'
import { conversationChangesOf, conversationStatementOf } from './conversations.ts'
import { readOptions, type SimulateOptions, usage } from './options.ts'
import { randomOf } from './random.ts'
import { statementOf, type Tally, writeChanges } from './write.ts'

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

async function simulate({ rate, seconds, seed, tables, conversations }: SimulateOptions): Promise<void> {
  const info = readStackFile(homeAt(stackSettings(readEnvironment(process.env)).home))
  if (info === undefined) throw new Fault('There is no stack to write into', 'Run `npm start` first (or set AFLUENTE_HOME to the one that runs)')
  const ending = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort())
  const limit = setTimeout(() => ending.abort(), seconds * 1_000 + GRACE_MS)
  const names = [...tables, ...(conversations ? ['conversations'] : [])]
  const share = rate / names.length
  const began = performance.now()
  const tallies: Tally[] = []
  const onSecond = (at: number) => (tally: Tally) => {
    tallies[at] = tally
    if (at > 0 && tables.length > 0) return
    const all = totalOf(tallies)
    const behind = all.behindMs > 1_000 ? ` · ${(all.behindMs / 1_000).toFixed(1)} s behind: the database takes no more` : ''
    say(`${((performance.now() - began) / 1_000).toFixed(0).padStart(5)} s · ${line(all)}${behind}`)
  }
  const common = { seconds, signal: ending.signal }
  say(`writing ${rate} changes/s for ${seconds} s into ${names.join(', ')}, seed ${seed}`)
  try {
    const done = await Promise.all([
      ...(tables.length === 0
        ? []
        : [
            withConnections(info.source.url, (connections) =>
              writeChanges({ ...common, changes: changesOf(seed, tables), statementOf, rate: share * tables.length, connections, onSecond: onSecond(0) }),
            ),
          ]),
      ...(conversations
        ? [
            withConnections(info.chatwoot.url, (connections) => {
              const changes = conversationChangesOf(randomOf(seed))
              return writeChanges({ ...common, changes, statementOf: conversationStatementOf, rate: share, connections, onSecond: onSecond(1) })
            }),
          ]
        : []),
    ])
    const all = totalOf(done)
    const elapsed = (performance.now() - began) / 1_000
    say(`done: ${line(all)} in ${elapsed.toFixed(1)} s (${(all.written / elapsed).toFixed(1)}/s), seed ${seed}${ending.signal.aborted ? ', ended early' : ''}`)
  } catch (error) {
    ending.abort()
    throw failureOf(error)
  } finally {
    clearTimeout(limit)
  }
}

async function withConnections<T>(url: string, work: (connections: readonly pg.PoolClient[]) => Promise<T>): Promise<T> {
  const pool = new pg.Pool({ connectionString: url, max: LANES, connectionTimeoutMillis: 5_000, application_name: 'afluente-simulate' })
  pool.on('error', () => undefined)
  const connections: pg.PoolClient[] = []
  try {
    for (let lane = 0; lane < LANES; lane += 1) connections.push(await connected(pool))
    return await work(connections)
  } finally {
    for (const connection of connections) connection.release()
    await pool.end()
  }
}

function totalOf(tallies: readonly Tally[]): Tally {
  const sum = (of: (tally: Tally) => number) => tallies.reduce((total, tally) => total + of(tally), 0)
  return {
    due: sum(({ due }) => due),
    written: sum(({ written }) => written),
    inserts: sum(({ inserts }) => inserts),
    updates: sum(({ updates }) => updates),
    deletes: sum(({ deletes }) => deletes),
    behindMs: Math.max(0, ...tallies.map(({ behindMs }) => behindMs)),
  }
}

async function connected(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect()
  } catch (error) {
    throw new Fault(`A database does not answer (${codeOf(error)})`, 'See that the stack runs: npm start', { cause: error })
  }
}

/** By code alone: Postgres quotes the row in its messages. */
function failureOf(error: unknown): unknown {
  if (error instanceof Fault || !(error instanceof Error) || !('code' in error)) return error
  return new Fault(
    `A database refused a change (${codeOf(error)})`,
    'Look at the log of Postgres, and that the tables are as supabase/migrations and infra/chatwoot make them',
    {
      cause: error,
    },
  )
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
