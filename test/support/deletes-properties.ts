/** What must hold of deletes that are sent for keys which only a sink has, beside whoever writes those keys. Each throws when it does not. */
import { seededRandom } from './random.ts'
import { check } from './source-properties.ts'
import { backlog, drawDeletes, endState, sendDeletes, type OutboxRow, type Session, type Source, tableState } from './source.ts'

const TABLE = 'public.hot'
const IDS = [1, 2, 3, 4, 5, 6]

export interface Sabotage {
  /** Takes a guard out, before anything is written. */
  readonly sabotage?: () => Promise<void>
}

/**
 * In version order each of our deletes finds its key dead already, as the changes before it have left it; or somebody else has changed it
 * again before the delete was sent, under a higher version.
 */
function assertNoneKills(rows: readonly OutboxRow[]): void {
  const ours = ({ before, op }: OutboxRow) => op === 'delete' && before === null
  for (const chain of Map.groupBy(rows, ({ key }) => key).values()) {
    for (const [at, deleted] of chain.entries()) {
      if (!ours(deleted)) continue
      const former = chain.slice(0, at).findLast((row) => !ours(row))
      const next = chain.slice(at).find((row) => !ours(row))
      const overtaken = next !== undefined && next.occurred_at <= deleted.occurred_at
      check(former === undefined || former.op === 'delete' || overtaken, `the delete of ${deleted.key} at ${deleted.version} kills a row`)
    }
  }
}

/** Many writers, whose inserts stay open for a moment, and two who send deletes of whatever they don't see. */
export async function assertDeletesKillNoRow(source: Source, { sabotage }: Sabotage = {}): Promise<void> {
  await (await source.connect('superuser')).run(`alter role project_owner set deadlock_timeout = '10ms'`)
  await source.run(`create table ${TABLE} (id int primary key, n int not null); select afluente.capture_table('${TABLE}')`)
  await sabotage?.()
  let writing = true
  const deleter = async () => {
    const session = await source.connect()
    const counts = { sent: 0, there: 0, early: 0 }
    while (writing) {
      const unseen = (await session.run(`select '[' || n || ']' as key from unnest($1::int[]) n where n not in (select id from ${TABLE})`, [IDS])).map(
        ({ key }) => key ?? '',
      )
      const { fence, versions } = await drawDeletes(session, TABLE, unseen)
      let answer = await sendDeletes(session, TABLE, fence, versions)
      for (; answer.status === 'early'; answer = await sendDeletes(session, TABLE, fence, versions)) counts.early += 1
      counts.sent += answer.sent
      counts.there += answer.there.length
    }
    return counts
  }
  const deleters = Promise.all([deleter(), deleter()])
  const writers = Promise.all([1, 2, 3, 4].map(async (seed) => writeHot(await source.connect(), seed))).finally(() => (writing = false))
  const [ends, counts] = await Promise.all([writers, deleters])
  check(
    ends.every((end) => end === null),
    `writers ended with ${JSON.stringify(ends)}`,
  )
  const rows = await source.outbox(TABLE)
  assertNoneKills(rows)
  check(
    JSON.stringify([...endState(rows)]) === JSON.stringify([...(await tableState(source, TABLE, 'id'))]),
    'a reader of the stream ends with other rows than the table',
  )
  for (const count of ['sent', 'there', 'early'] as const) {
    const sum = counts.reduce((all, one) => all + one[count], 0)
    check(sum > 20, `only ${sum} were ${count}: this proved little`)
  }
  check((await backlog(source)).failures === 0, 'a change was not captured')
}

/** Rows come and go, one or two at a time in one order, and some transactions stay open. Null, or how it failed. */
async function writeHot(session: Session, seed: number): Promise<string | null> {
  const random = seededRandom(seed)
  for (let turn = 0; turn < 200; turn += 1) {
    const ids = Array.from({ length: random() < 0.5 ? 1 : 2 }, () => IDS[Math.floor(random() * IDS.length)] ?? 1).toSorted((a, b) => a - b)
    const statements = ids.map((id) =>
      random() < 0.5 ? `delete from ${TABLE} where id = ${id}` : `insert into ${TABLE} values (${id}, 0) on conflict (id) do update set n = hot.n + 1`,
    )
    const pause = random() < 0.5 ? [`select pg_sleep(${random() * 0.006})`] : []
    try {
      for (const sql of ['begin', ...statements, ...pause, random() < 0.1 ? 'rollback' : 'commit']) await session.run(sql)
    } catch (error) {
      return error instanceof Error ? error.message : 'failed'
    }
  }
  return null
}
