/** What must hold of rows that are sent again, beside whoever writes them. Each throws when it does not. */
import { settle, unwrap } from '../../shared/engine/settled.ts'
import { eventually } from './poll.ts'
import { seededRandom } from './random.ts'
import { check } from './source-properties.ts'
import { backlog, resend, type OutboxRow, type Session, type Source } from './source.ts'

const TABLE = 'public.hot'
const KEYS = [1, 2, 3, 4, 5, 6]

export interface Sabotage {
  /** Takes a guard out of `public.hot` or of the function, before anything is written. */
  readonly sabotage?: () => Promise<void>
}

async function makeHot(source: Source, { sabotage }: Sabotage): Promise<void> {
  await (await source.connect('superuser')).run(`alter role project_owner set deadlock_timeout = '10ms'`)
  await source.run(`create table ${TABLE} (id int primary key, n int not null, filler text); select afluente.capture_table('${TABLE}')`)
  await source.run(`insert into ${TABLE} select generate_series(1, ${KEYS.length}), 0`)
  await source.emptyOutbox()
  await sabotage?.()
}

/** In version order a read shows the row as the changes before it have left it, and there is none of a row that they have ended. */
export function assertNoneIsStale(rows: readonly OutboxRow[], start: ReadonlyMap<string, string>): void {
  const present = new Map<string, string | null>(start)
  for (const { after, key, op, version } of rows) {
    const before = present.get(key) ?? null
    if (op === 'read') check(after === before, `the read of ${key} at ${version} is ${after}, and the row was ${before}`)
    else present.set(key, op === 'delete' ? null : after)
  }
}

/** First a writer that stays open, then many writers and two who send, all on a few rows. */
export async function assertReadsAreNeverStale(source: Source, options: Sabotage = {}): Promise<void> {
  await makeHot(source, options)
  const start = new Map(KEYS.map((id) => [`[${id}]`, `{"id":${id},"n":0,"filler":null}`]))
  const keys = KEYS.map((id) => `[${id}]`)
  const user = await source.connect()
  await user.run(`begin; update ${TABLE} set n = n + 1 where id = 1; delete from ${TABLE} where id = 2`)
  await resend(source, TABLE, keys)
  await user.run('commit')
  assertNoneIsStale(await source.outbox(TABLE), start)

  let writing = true
  const sender = async () => {
    const session = await source.connect()
    const counts = { sent: 0, locked: 0, gone: 0 }
    while (writing) {
      const { gone, locked, sent } = await resend(session, TABLE, keys)
      counts.sent += sent
      counts.locked += locked.length
      counts.gone += gone.length
    }
    return counts
  }
  const senders = [sender(), sender()]
  try {
    const ends = await Promise.all([1, 2, 3, 4].map(async (seed) => writeHot(await source.connect(), seed)))
    check(
      ends.every((end) => end === null),
      `writers ended with ${JSON.stringify(ends)}`,
    )
  } finally {
    writing = false
  }
  const counts = await Promise.all(senders)
  for (const count of ['sent', 'locked', 'gone'] as const) {
    const sum = counts.reduce((all, one) => all + one[count], 0)
    check(sum > 20, `only ${sum} rows were ${count}: this proved little`)
  }
  assertNoneIsStale(await source.outbox(TABLE), start)
  check((await backlog(source)).failures === 0, 'a change was not captured')
}

/** Changes of one or two rows in one order, some of which stay open for a moment. Null, or how it failed. */
async function writeHot(session: Session, seed: number): Promise<string | null> {
  const random = seededRandom(seed)
  for (let turn = 0; turn < 120; turn += 1) {
    const ids = Array.from({ length: random() < 0.5 ? 1 : 2 }, () => 1 + Math.floor(random() * KEYS.length)).toSorted((a, b) => a - b)
    const statements = ids.map((id) => {
      const kind = random()
      if (kind < 0.2) return `delete from ${TABLE} where id = ${id}`
      if (kind < 0.6) return `insert into ${TABLE} values (${id}, 0, repeat('x', 3000)) on conflict (id) do update set n = hot.n + 1`
      return `update ${TABLE} set n = n + 1 where id = ${id}`
    })
    const pause = random() < 0.3 ? [`select pg_sleep(${random() * 0.004})`] : []
    try {
      for (const sql of ['begin', ...statements, ...pause, random() < 0.1 ? 'rollback' : 'commit']) await session.run(sql)
    } catch (error) {
      return error instanceof Error ? error.message : 'failed'
    }
  }
  return null
}

/** A writer who holds a row and then wants another that was just sent gets it, also in the other order than the keys stand. */
export async function assertReadsKillNoWriter(source: Source, options: Sabotage = {}): Promise<void> {
  await makeHot(source, options)
  const [user, sender] = [await source.connect(), await source.connect()]
  const pid = await sender.value('select pg_backend_pid()')
  await user.run(`begin; update ${TABLE} set n = n + 1 where id = 4`)
  let answered = false
  const sending = settle(resend(sender, TABLE, ['[1]', '[2]', '[3]', '[4]', '[5]']).finally(() => (answered = true)))
  await eventually('the sender has answered or waits', async () => {
    if (answered) return true
    return (await source.value(`select wait_event_type = 'Lock' from pg_stat_activity where pid = $1`, [pid])) === 't'
  })
  try {
    await user.run(`update ${TABLE} set n = n + 1 where id = 1`)
  } finally {
    await user.run('commit')
    await sending
  }
  const { locked, sent } = unwrap(await sending)
  check(sent === 4 && locked.join() === '[4]', `sent ${sent}, locked ${locked.join()}`)
}
