/**
 * The property that restores and copies must hold: what is written in the second life of a database wins over everything
 * that its first life has delivered. Thrown errors say what broke.
 */
import { rebaseSource } from '../../infra/deploy/rebase.ts'
import { using } from './cluster.ts'
import { acknowledge, backlog, claim, type ClaimedRow, held, release, type Session } from './source.ts'

/** Where a database is: as the superuser, and as the role that applied the migrations. */
export interface Place {
  readonly url: string
  readonly ownerUrl: string
}

/** A small model of a sink: the highest version of each key stays, whatever comes in which order. */
export interface ModelSink {
  /** Delivers what waits in an outbox, as capture would. Resolves with the number of changes. */
  take(place: Place): Promise<number>
  /** The living rows by key. */
  rows(): Readonly<Record<string, string>>
  versionOf(key: string): number
}

export function modelSink(): ModelSink {
  const known = new Map<string, { readonly version: number; readonly image: string | null }>()
  let takes = 0
  const apply = ([version, , , key, op, , after]: ClaimedRow) => {
    if (version > (known.get(key)?.version ?? 0)) known.set(key, { version, image: op === 'delete' ? null : after })
  }
  return {
    take: async ({ url }) => {
      takes += 1
      return await asCapture(url, async (session) => {
        const first = await held(session, `reader ${takes}`)
        let rows = first.rows
        for (let taken = 0; ; taken += rows.length, rows = (await held(session, `reader ${takes}`)).rows) {
          if (rows.length === 0) {
            await release(session, first.epoch)
            return taken
          }
          rows.forEach(apply)
          await acknowledge(
            session,
            first.epoch,
            rows.map(([version]) => version),
          )
        }
      })
    },
    rows: () =>
      Object.fromEntries([...known].flatMap(([key, { image }]) => (image === null ? [] : [[key, image] as const])).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    versionOf: (key) => known.get(key)?.version ?? 0,
  }
}

/** As capture comes: under the service role. */
export async function asCapture<T>(url: string, work: (session: Session) => Promise<T>): Promise<T> {
  return await using(url, async (session) => {
    await session.run('set role service_role')
    return await work(session)
  })
}

/** public.things, as the sink keeps it. */
export async function thingsOf({ url }: Place): Promise<Readonly<Record<string, string>>> {
  const rows = await using(url, (session) =>
    session.run(
      `select jsonb_build_array(id)::text as key, row_to_json(t.*)::text as image from public.things t order by jsonb_build_array(id)::text collate "C"`,
    ),
  )
  return Object.fromEntries(rows.map(({ key, image }) => [key ?? '', image ?? '']))
}

export interface SecondLife {
  /** Asked anew each time: a server that was stopped for its copy is elsewhere afterwards. */
  readonly original: () => Place
  /** Takes a copy of the database as it is now; nobody is connected to it meanwhile. What it resolves with brings the copy to life. */
  readonly copy: () => Promise<() => Promise<Place>>
  /** Why claim refuses the copy; null when it must not. */
  readonly refusal: RegExp | null
  /** Done to the copy before anything else. */
  readonly alter?: (copy: Place) => Promise<void>
}

/** Replaces text of a function's definition in a copy; the mutant must differ, or it would prove nothing. */
export function mutant(name: string, from: string | RegExp, to: string): (copy: Place) => Promise<void> {
  return (copy) =>
    using(copy.ownerUrl, async (session) => {
      const definition = (await session.value(`select pg_get_functiondef('${name}'::regproc)`)) ?? ''
      const changed = definition.replace(from, () => to)
      if (changed === definition) throw new Error(`${name} holds nothing like ${String(from)}`)
      await session.run(changed)
    })
}

/** Row 8 is of the first life alone: what a reconcile has to find. */
const LOST = '[8]'
/** Waited when the copy was taken. Where no rebase gives it a new version, it is not new: it may have been delivered under the old one. */
const WAITING = '[6]'

export async function assertSecondLifeWins({ original, copy, refusal, alter }: SecondLife): Promise<Place> {
  const sink = modelSink()
  const write = (place: Place, ...statements: readonly string[]) =>
    using(place.ownerUrl, async (session) => {
      for (const statement of statements) await session.run(statement)
    })

  await write(
    original(),
    `create table public.things (id int primary key, name text)`,
    `select afluente.capture_table('public.things')`,
    `insert into public.things select n, 'first' from generate_series(1, 6) n`,
  )
  await sink.take(original())
  await write(original(), `update public.things set name = 'waits in the copy' where id = 6`)
  const restore = await copy()
  await write(
    original(),
    // A restored sequence may begin some dozens of numbers later.
    `do $$ begin for n in 1..100 loop update public.things set name = 'lost' where id in (1, 2, 3, 6); end loop; end $$`,
    'delete from public.things where id = 4',
    `insert into public.things values (7, 'lost'), (8, 'lost')`,
  )
  await sink.take(original())

  const second = await restore()
  await alter?.(second)
  await write(
    second,
    `update public.things set name = 'before' where id in (1, 4)`,
    'delete from public.things where id = 2',
    `insert into public.things values (7, 'before')`,
  )
  await assertOld(second, sink)
  if (refusal !== null) await mend(second, refusal)
  else await asCapture(second.url, (session) => held(session, 'first of this life', { lease: '1 millisecond' }))
  await write(second, `update public.things set name = 'after' where id = 3`, `insert into public.things values (9, 'after')`)
  await sink.take(second)

  const rows = sink.rows()
  const truth = await thingsOf(second)
  const old = refusal === null ? [LOST, WAITING] : [LOST]
  const wrong = [...new Set([...Object.keys(rows), ...Object.keys(truth)])].filter((key) => !old.includes(key) && rows[key] !== truth[key])
  if (wrong.length > 0) throw new Error(wrong.map((key) => `the sink ends ${key} with ${rows[key]}, the table has ${truth[key]}`).join('; '))
  if (rows[LOST] === undefined) throw new Error('the first life delivered nothing that the second lacks: the copy proves nothing')
  return second
}

/** Or there would be nothing to guard against. */
async function assertOld(second: Place, sink: ModelSink): Promise<void> {
  const newest = await using(second.url, (session) => session.value(`select max(version) from afluente.outbox where key = '[1]'`))
  if (newest === null || Number(newest) >= sink.versionOf('[1]'))
    throw new Error(`the copy's change has the version ${newest}, what was delivered ${sink.versionOf('[1]')}: the copy proves nothing`)
}

/** Refused with the reason and the way out, until a rebase; that serves, fences the former holder, marks every table, and is done once. */
async function mend(second: Place, refusal: RegExp): Promise<void> {
  const epoch = Number(await using(second.url, (session) => session.value('select epoch from afluente.shards where shard = 0')))
  const { refused, tables } = await asCapture(second.url, backlog)
  const answer = await asCapture(second.url, (session) => claim(session, 'too early'))
  if (answer.status !== 'refused') throw new Error(`the claim was not refused: it is ${answer.status}`)
  if (!refusal.test(answer.reason) || !answer.reason.includes('npx afluente rebase')) throw new Error(`the refusal says: ${answer.reason}`)
  if (refused !== answer.reason) throw new Error(`the backlog says: ${refused}`)

  const done = await rebaseSource(second.ownerUrl)
  if (done.status !== 'rebased' || !refusal.test(done.reason)) throw new Error(`the rebase answered ${JSON.stringify(done)}`)
  const captured = tables.map(({ table }) => table)
  if (done.tables.join() !== captured.join()) throw new Error(`${done.tables.join()} were marked, captured are ${captured.join()}`)
  const after = await asCapture(second.url, backlog)
  const unmarked = after.tables.filter(({ reconcileSince }) => reconcileSince === null)
  if (unmarked.length > 0) throw new Error(`${unmarked.map(({ table }) => table).join()} must be reconciled and is not marked`)
  if (after.refused !== null) throw new Error(`the backlog still says: ${after.refused}`)
  const late = await asCapture(second.url, (session) => acknowledge(session, epoch, []))
  if (!JSON.stringify(late).includes('fenced')) throw new Error(`the holder of before may acknowledge: ${JSON.stringify(late)}`)
  const again = await rebaseSource(second.ownerUrl)
  if (again.status !== 'unchanged') throw new Error(`a second rebase answered ${JSON.stringify(again)}`)
}
