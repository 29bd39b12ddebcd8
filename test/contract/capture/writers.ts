/** Writers on a few hot keys, each with its own record of what it committed: an account that owes the pipeline nothing. */
import pg from 'pg'

/** A change of one key, in the order of its commits. */
export interface Committed {
  readonly key: number
  /** Counts the changes of the key, from 1: drawn while the row is locked. */
  readonly turn: number
  /** What the writer wrote; null when it deleted the row. */
  readonly stamp: string | null
}

export interface Writers {
  readonly committed: readonly Committed[]
  readonly counts: { commits: number; rollbacks: number; deadlocks: number }
  /** Resolves when each has ended its last transaction. */
  stop(): Promise<void>
}

export interface WritersDeps {
  readonly url: string
  readonly writers: number
  readonly keys: number
  readonly random: () => number
}

/**
 * What the writers need: the table, captured into `topic`, and a table of turns beside it that is not. A turn is drawn after the
 * write, under the lock of the row that was written, and is kept or rolled back with it.
 */
export function schemaOf(keys: number, topic: string): string {
  return `
    create table public.hot (id int primary key, stamp text not null);
    create table public.turns (id int primary key, n int not null default 0);
    insert into public.turns (id) select generate_series(1, ${keys});
    select afluente.capture_table('public.hot', topic => '${topic}')`
}

/** Begins at once: random statements on random keys in random order, with rollbacks, savepoints and waits under lock. */
export function startWriters({ keys, random, url, writers }: WritersDeps): Writers {
  const committed: Committed[] = []
  const counts = { commits: 0, rollbacks: 0, deadlocks: 0 }
  let stopping = false
  let stamps = 0
  const key = () => 1 + Math.floor(random() * keys)

  const statement = async (client: pg.Client, written: Committed[]): Promise<void> => {
    stamps += 1
    const stamp = `stamp ${stamps}`
    const kind = random()
    const some = Array.from({ length: kind < 0.55 ? 1 : 3 }, key)
    const { rows } =
      kind < 0.55
        ? await client.query<{ id: number }>(
            'insert into public.hot (id, stamp) values ($1, $2) on conflict (id) do update set stamp = excluded.stamp returning id',
            [some[0], stamp],
          )
        : kind < 0.8
          ? await client.query<{ id: number }>('update public.hot set stamp = $2 where id = any ($1::int[]) returning id', [some, stamp])
          : await client.query<{ id: number }>('delete from public.hot where id = any ($1::int[]) returning id', [some.slice(0, 2)])
    if (rows.length === 0) return
    const turns = await client.query<{ id: number; n: number }>('update public.turns set n = n + 1 where id = any ($1::int[]) returning id, n', [
      rows.map(({ id }) => id),
    ])
    for (const { id, n } of turns.rows) written.push({ key: id, turn: n, stamp: kind < 0.8 ? stamp : null })
  }

  const transaction = async (client: pg.Client): Promise<void> => {
    const written: Committed[] = []
    await client.query('begin')
    for (let left = Math.ceil(random() * 4); left > 0; left -= 1) {
      if (random() < 0.15) {
        await client.query('savepoint undone')
        await statement(client, [])
        await client.query('rollback to savepoint undone')
      }
      await statement(client, written)
      // Whoever wants the same row waits meanwhile.
      if (random() < 0.5) await client.query('select pg_sleep($1)', [random() * 0.01])
    }
    if (random() < 0.2) {
      await client.query('rollback')
      counts.rollbacks += 1
      return
    }
    await client.query('commit')
    counts.commits += 1
    committed.push(...written)
  }

  const write = async (): Promise<void> => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      while (!stopping) {
        try {
          await transaction(client)
        } catch (error) {
          if (!(error instanceof pg.DatabaseError) || error.code !== '40P01') throw error
          await client.query('rollback')
          counts.deadlocks += 1
        }
      }
    } finally {
      await client.end()
    }
  }

  const writing = Promise.all(Array.from({ length: writers }, write))
  writing.catch(() => undefined)
  return {
    committed,
    counts,
    stop: async () => {
      stopping = true
      await writing
    },
  }
}
