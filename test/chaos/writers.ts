/** Several connections that change a few hundred hot rows, and note what became of each transaction. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { chatChangeOf, chatOf, leadChangeOf, leadOf, type Row, type Value } from '../../infra/simulate/rows.ts'
import { randomOf, type Random } from '../../infra/simulate/random.ts'

/** `unknown`: the connection broke while the commit was under way. Later the source itself says. */
export type Outcome = 'committed' | 'aborted' | 'unknown'

export interface WriterOptions {
  readonly url: string
  readonly seed: number
  readonly writers: number
  /** Transactions a second, of all together. */
  readonly rate: number
  readonly signal: AbortSignal
}

/** One row that a statement left so. Each statement has a token of its own, which the living rows carry. */
export interface Note {
  readonly token: string
  readonly table: Table['name']
  readonly id: string
  readonly alive: boolean
}

export interface Written {
  /** What Postgres has said is committed. */
  readonly committed: readonly Note[]
  /** Tokens of statements that were rolled back for certain. */
  readonly aborted: ReadonlySet<string>
  readonly counts: Readonly<Record<Outcome | 'refused', number>>
}

export interface Writers extends Written {
  /** Resolves when every writer has ended its last transaction. Rejects for what no fault explains. */
  readonly done: Promise<void>
}

interface Table {
  readonly name: 'leads' | 'chat_sessions'
  /** The column that carries the token. */
  readonly token: string
  readonly ids: readonly string[]
  readonly row: (random: Random) => Row
  readonly change: (random: Random) => Row
}

export const tokenColumns = { leads: 'company', chat_sessions: 'agent' } as const

const LEADS = 160
const CHATS = 100

export function startWriters({ url, seed, writers, rate, signal }: WriterOptions): Writers {
  const ids = randomOf(seed)
  const many = (count: number) => Array.from({ length: count }, () => ids.uuid())
  const [leads, chats] = [many(LEADS), many(CHATS)]
  const tables: readonly Table[] = [
    { name: 'leads', token: tokenColumns.leads, ids: leads, row: leadOf, change: leadChangeOf },
    {
      name: 'chat_sessions',
      token: tokenColumns.chat_sessions,
      ids: chats,
      // Some belong to a lead that may be deleted any moment: the cascade changes them as well.
      row: (random) => chatOf(random, random.chance(0.3) ? random.pick(leads) : null),
      change: chatChangeOf,
    },
  ]
  const committed: Note[] = []
  const aborted = new Set<string>()
  const counts = { committed: 0, aborted: 0, unknown: 0, refused: 0 }
  const everyMs = (1_000 * writers) / rate

  const one = async (number: number): Promise<void> => {
    const random = randomOf(seed * 1_000 + number)
    let tokens = 0
    let client: pg.Client | undefined
    let due = performance.now()
    while (!signal.aborted) {
      due = Math.max(due + everyMs * 2 * random.number(), performance.now() - 1_000)
      await sleep(Math.max(0, due - performance.now()))
      if (signal.aborted) break
      client ??= await connected(url)
      if (client === undefined) continue
      const write = createWrite(client, () => `${number}-${(tokens += 1)}`)
      const outcome = await transaction(client, random, () => planOf(random)(random, random.pick(tables), write))
      if (outcome.became === 'committed') committed.push(...write.notes)
      for (const { token } of outcome.became === 'aborted' ? [...write.notes, ...write.undone] : write.undone) aborted.add(token)
      counts[outcome.became] += 1
      if (outcome.error instanceof pg.DatabaseError && !isEnding(outcome.error)) counts.refused += 1
      if (outcome.error !== undefined && !(outcome.error instanceof pg.DatabaseError && !isEnding(outcome.error))) {
        void client.end().catch(() => undefined)
        client = undefined
      }
    }
    await client?.end().catch(() => undefined)
  }

  return { committed, aborted, counts, done: Promise.all(Array.from({ length: writers }, (_, number) => one(number))).then(() => undefined) }
}

async function connected(url: string): Promise<pg.Client | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000, application_name: 'chaos writer' })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query("set statement_timeout = '10s'")
    return client
  } catch {
    await sleep(200)
    return undefined
  }
}

class RolledBack extends Error {}

interface Ended {
  readonly became: Outcome
  readonly error?: unknown
}

/** Now and then open for long: what commits late has lower versions than what others committed meanwhile. */
async function transaction(client: pg.Client, random: Random, work: () => Promise<void>): Promise<Ended> {
  let committing = false
  try {
    await client.query('begin')
    await work()
    if (random.chance(0.04)) await sleep(random.whole(200, 2_500))
    committing = true
    await client.query('commit')
    return { became: 'committed' }
  } catch (error) {
    if (error instanceof RolledBack) {
      return client.query('rollback').then(
        () => ({ became: 'aborted' as const }),
        (failure: unknown) => ({ became: 'aborted' as const, error: failure }),
      )
    }
    if (error instanceof pg.DatabaseError && !isEnding(error)) {
      // What Postgres refuses at the commit (there is no deferred constraint here) would be rolled back as well.
      return client.query('rollback').then(
        () => ({ became: 'aborted' as const, error }),
        (failure: unknown) => ({ became: 'aborted' as const, error: failure }),
      )
    }
    return { became: committing ? 'unknown' : 'aborted', error }
  }
}

/** The server says that it goes (57P01, 57P02, 57P03), or that the connection is broken. */
function isEnding(error: pg.DatabaseError): boolean {
  return /^(?:57P|08)/.test(error.code ?? '')
}

interface Write {
  upsert(table: Table, ids: readonly string[], row: Row): Promise<void>
  update(table: Table, ids: readonly string[], change: Row): Promise<void>
  remove(table: Table, ids: readonly string[]): Promise<void>
  /** Empties the table: a delete for each of its rows. */
  truncate(table: Table): Promise<void>
  /** Another key for a row: the old one is gone, the new one is there. Fails where the new one is taken. */
  rename(table: Table, from: string, to: string): Promise<void>
  /** Runs the work in a savepoint that is rolled back. */
  undo(work: () => Promise<void>): Promise<void>
  readonly notes: readonly Note[]
  readonly undone: readonly Note[]
}

type Plan = (random: Random, table: Table, write: Write) => Promise<void>

const some = (random: Random, table: Table, most: number): readonly string[] => [
  ...new Set(Array.from({ length: random.whole(1, most) }, () => random.pick(table.ids))),
]

const plans = {
  upsert: (random, table, write) => write.upsert(table, some(random, table, 3), table.row(random)),
  update: (random, table, write) => write.update(table, some(random, table, 8), table.change(random)),
  remove: (random, table, write) => write.remove(table, some(random, table, 3)),
  twice: async (random, table, write) => {
    const ids = some(random, table, 2)
    await write.upsert(table, ids, table.row(random))
    await write.update(table, ids, table.change(random))
  },
  anew: async (random, table, write) => {
    const ids = some(random, table, 2)
    await write.remove(table, ids)
    await write.upsert(table, ids, table.row(random))
  },
  savepoint: async (random, table, write) => {
    await write.update(table, some(random, table, 2), table.change(random))
    await write.undo(() => write.upsert(table, some(random, table, 2), table.row(random)))
    await write.update(table, some(random, table, 2), table.change(random))
  },
  rollback: async (random, table, write) => {
    await write.upsert(table, some(random, table, 3), table.row(random))
    throw new RolledBack()
  },
  rename: (random, table, write) => write.rename(table, random.pick(table.ids), random.pick(table.ids)),
  // Leads are referred to, and can't be emptied alone.
  truncate: (_, table, write) => (table.name === 'leads' ? Promise.resolve() : write.truncate(table)),
} satisfies Record<string, Plan>

function planOf(random: Random): Plan {
  return plans[random.weighted({ upsert: 34, update: 28, remove: 12, twice: 8, anew: 5, savepoint: 5, rollback: 5, rename: 3, truncate: 0.3 })]
}

function createWrite(client: pg.Client, nextToken: () => string): Write {
  const notes: Note[] = []
  const undone: Note[] = []
  const record = async (token: string, table: Table, ids: readonly string[], alive: boolean): Promise<void> => {
    notes.push(...ids.map((id) => ({ token, table: table.name, id, alive })))
    await client.query({
      name: 'record',
      text: 'insert into chaos.record (token, table_name, id, alive) select $1, $2, u.id::uuid, $4 from unnest($3::text[]) u (id)',
      values: [token, table.name, ids, alive],
    })
  }
  const changed = async (token: string, table: Table, text: string, values: readonly unknown[], alive = true): Promise<void> => {
    const { rows } = await client.query<{ id: string }>(text, [...values])
    await record(
      token,
      table,
      rows.map(({ id }) => id),
      alive,
    )
  }
  /** In one order for all writers, or they would deadlock more than they write. */
  const locked = (table: Table) => `(select l.id from public.${table.name} l where l.id = any ($1) order by l.id for update)`
  return {
    upsert: async (table, ids, row) => {
      const token = nextToken()
      const columns = Object.entries<Value>({ ...row, [table.token]: token }).filter(([name]) => name !== 'id')
      const names = columns.map(([name]) => name)
      await changed(
        token,
        table,
        `insert into public.${table.name} (id, ${names.join(', ')})
         select k.id, ${names.map((name) => `(v.r).${name}`).join(', ')}
         from (select unnest($1::uuid[]) as id order by 1) k, (select json_populate_record(null::public.${table.name}, $2) as r) v
         on conflict (id) do update set ${names.map((name) => `${name} = excluded.${name}`).join(', ')} returning id`,
        [
          ids,
          JSON.stringify(
            Object.fromEntries(columns.map(([name, value]) => [name, name === 'metadata' && typeof value === 'string' ? JSON.parse(value) : value])),
          ),
        ],
      )
    },
    update: async (table, ids, change) => {
      const token = nextToken()
      const columns = Object.entries<Value>({ ...change, [table.token]: token })
      await changed(
        token,
        table,
        `update public.${table.name} t set ${columns.map(([name], at) => `${name} = $${at + 2}`).join(', ')} where t.id in ${locked(table)} returning t.id`,
        [ids, ...columns.map(([, value]) => value)],
      )
    },
    remove: async (table, ids) => {
      const token = nextToken()
      await changed(token, table, `delete from public.${table.name} t where t.id in ${locked(table)} returning t.id`, [ids], false)
    },
    truncate: async (table) => {
      const token = nextToken()
      await client.query(`lock table public.${table.name} in access exclusive mode`)
      const { rows } = await client.query<{ id: string }>(`select id from public.${table.name}`)
      await client.query(`truncate public.${table.name}`)
      const ids = rows.map(({ id }) => id)
      if (ids.length > 0) await record(token, table, ids, false)
    },
    rename: async (table, from, to) => {
      const token = nextToken()
      const { rowCount } = await client.query(`update public.${table.name} set id = $2, ${table.token} = $3 where id = $1 and id <> $2`, [from, to, token])
      if (rowCount === 0) return
      await record(token, table, [from], false)
      await record(token, table, [to], true)
    },
    undo: async (work) => {
      await client.query('savepoint here')
      const before = notes.length
      await work()
      undone.push(...notes.splice(before))
      await client.query('rollback to here')
    },
    notes,
    undone,
  }
}
