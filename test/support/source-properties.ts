/** What must hold of the source side whoever writes how. Each throws when it does not; the mutants show that each can. */
import { acknowledge, claim, type ClaimedRow, endState, held, tableState, type Source } from './source.ts'

export function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise)
}

/** A table with a user's own trigger, which writes the row again that was just written. */
export async function makeRestless(source: Source): Promise<void> {
  await source.run(`
    create table public.things (id int primary key, n int not null, echoes int not null default 0);
    create function public.echo() returns trigger language plpgsql as $$
    begin
      update public.things set echoes = echoes + 1 where id = new.id;
      return null;
    end $$;
    create trigger echo after insert or update of n on public.things for each row execute function public.echo();
    select afluente.capture_table('public.things')`)
  await source.emptyOutbox()
}

/** Whoever applies the highest version of each key ends with the table. */
export async function assertEndsEqual(source: Source, table: string, key: string): Promise<void> {
  const [read, there] = [endState(await source.outbox(table)), await tableState(source, table, key)]
  check(
    JSON.stringify([...read]) === JSON.stringify([...there]),
    `the stream ends with ${JSON.stringify([...read])}, the table is ${JSON.stringify([...there])}`,
  )
}

/** One statement of each kind, on a table that a user's trigger writes again. */
export async function assertEchoesArrive(source: Source): Promise<void> {
  await source.run('insert into public.things (id, n) values (1, 1), (2, 2)')
  await source.run('update public.things set n = n + 10')
  await source.run('delete from public.things where id = 2')
  await assertEndsEqual(source, 'public.things', 'id')
}

/** Updates of one key by turns: versions grow in the order of the commits. */
export async function assertCommitsInOrder(source: Source): Promise<void> {
  await source.run('create table public.turns (id int primary key, n int not null); insert into public.turns values (1, 0)')
  await source.run(`select afluente.capture_table('public.turns')`)
  await source.emptyOutbox()
  const [a, b] = [await source.connect(), await source.connect()]
  for (const session of [a, b, a, b, a]) await session.run('update public.turns set n = n + 1')
  const seen = (await source.outbox('public.turns')).map((row) => (JSON.parse(row.after ?? '{}') as { n: number }).n)
  check(JSON.stringify(seen) === '[1,2,3,4,5]', `in version order the row had ${JSON.stringify(seen)}`)
}

/** What no jsonb and no session's setting may touch comes out as it went in. */
export async function assertTextIsExact(source: Source): Promise<void> {
  await source.run(`create table public.texts (id timestamptz primary key, raw json); select afluente.capture_table('public.texts')`)
  await source.emptyOutbox()
  const odd = await source.connect()
  await odd.run(`set timezone = 'Asia/Kolkata'`)
  await odd.run(`insert into public.texts values ('2026-01-01 00:00:00+00', '{"b":1, "b":"\\u0000"}')`)
  const row = (await source.outbox('public.texts'))[0]
  check(row?.key === '["2026-01-01T00:00:00+00:00"]', `the key is ${row?.key ?? 'missing'}`)
  check(row?.after === '{"id":"2026-01-01T00:00:00+00:00","raw":{"b":1, "b":"\\u0000"}}', `the image is ${row?.after ?? 'missing'}`)
}

/** Whatever breaks in the capture, the user's statement stands. */
export async function assertUsersGoOn(source: Source): Promise<void> {
  await source.run('alter table afluente.outbox rename to outbox_away')
  try {
    const id = await source.value(`insert into public.leads (name) values ('Ana') returning id`)
    check((await source.value('select name from public.leads where id = $1', [id])) === 'Ana', 'the row is not there')
  } finally {
    await source.run('alter table afluente.outbox_away rename to outbox')
  }
}

/** A user's transaction that stays open keeps nobody from claiming, renewing or acknowledging. */
export async function assertOpenTransactionsBlockNobody(source: Source): Promise<void> {
  const [user, capture] = [await source.connect(), await source.connect()]
  await capture.run(`set lock_timeout = '500ms'`)
  await user.run('begin')
  await user.run(`insert into public.leads (name) values ('Ana')`)
  try {
    await capture.run(`select afluente.claim(0, 'capture'); select afluente.acknowledge(0, 1, '{}'); select afluente.release(0, 1)`)
  } finally {
    await user.run('rollback')
  }
}

/** Of four that ask at once, again and again, one holds the shard, until its lease has run out. */
export async function assertOneHolderAtATime(source: Source): Promise<void> {
  const sessions = await Promise.all(['a', 'b', 'c', 'd'].map(async (owner) => ({ owner, session: await source.connect() })))
  for (let round = 1; round <= 5; round += 1) {
    const answers = await Promise.all(sessions.map(({ owner, session }) => claim(session, owner, { lease: '1 minute' })))
    const holders = answers.filter((answer) => answer.status === 'held')
    check(holders.length === 1, `${holders.length} of 4 hold the shard`)
    for (const holder of holders) check(holder.epoch === round, `the epoch is ${holder.epoch} in round ${round}`)
    await source.run(`update afluente.shards set leased_until = clock_timestamp(), owner = 'somebody else'`)
  }
}

/** Who was paused and lost the shard deletes nothing. Wants something in the outbox. */
export async function assertOnlyTheHolderAcknowledges(source: Source): Promise<void> {
  const old = await held(source, 'paused')
  await source.run('update afluente.shards set leased_until = clock_timestamp()')
  const present = await held(source, 'successor')
  const versions = old.rows.map((row) => row[0])
  const answer = JSON.stringify(await acknowledge(source, old.epoch, versions))
  check(answer === JSON.stringify({ status: 'fenced', epoch: present.epoch }), `the acknowledgement under the old epoch was answered with ${answer}`)
  check((await source.outbox()).length === versions.length, 'changes were deleted under the old epoch')
}

/** A TRUNCATE above the limit kills what was, and nothing that comes after it. Wants `public.items` with more than 100 000 rows. */
export async function assertFloorHolds(source: Source): Promise<void> {
  await source.run(`insert into public.items values (-1, 'before')`)
  await source.run(`begin; truncate public.items; insert into public.items values (-2, 'after'); commit`)
  const rows = await source.outbox('public.items')
  const floor = rows.find(({ op }) => op === 'truncate')?.version ?? 0
  const side = (key: string) => Math.sign((rows.find((row) => row.key === key)?.version ?? 0) - floor)
  check(rows.length === 3 && side('[-1]') === -1 && side('[-2]') === 1, `the floor ${floor} does not part ${JSON.stringify(rows)}`)
}

/** What a reader of claims ends with: the highest version of each key. */
export function stateOf(rows: readonly ClaimedRow[]): ReadonlyMap<string, string> {
  return endState(
    rows.map(([version, source_table, topic, key, op, before, after, occurred_at, traceparent]) => ({
      version,
      source_table,
      topic,
      key,
      op,
      before,
      after,
      occurred_at,
      traceparent,
      shard: '0',
    })),
  )
}

/** Makes the triggers believe what the outbox keeps: 0 images, 1 keys, 2 nothing; until it is measured anew after five seconds. */
export async function measureAnew(source: Source, keeps: 0 | 1 | 2): Promise<void> {
  await source.run(`select setval('afluente.outbox_measured', 4 * (extract(epoch from clock_timestamp()) * 1000)::bigint + ${keeps})`)
}

/** With nobody to take them, changes of a day fill the outbox no further than its budget allows. Wants `public.items (id, name)`. */
export async function assertOutboxKeepsToItsBudget(source: Source): Promise<void> {
  const budget = 400_000
  await source.run(`select afluente.set_outbox_budget(${budget})`)
  for (let hour = 0; hour < 24; hour += 1) {
    await source.run(`
      insert into public.items select n, repeat('x', 400) from generate_series(${hour * 50}, ${hour * 50 + 49}) n;
      update public.items set name = name || '!' where id % 24 = ${hour}; delete from public.items where id % 48 = ${hour};
      select afluente.measure_outbox()`)
  }
  const waiting = Number(await source.value('select afluente.outbox_bytes(0)'))
  check(waiting < 2 * budget, `${waiting} bytes wait, with a budget of ${budget}`)
  check(Number(await source.value('select count(*) from afluente.outbox')) > 2_000, 'changes are missing')
}

/** Behind dead entries that no vacuum may remove, a look from the bottom touches no more pages than it has rows. Wants `public.items (id, name)`. */
export async function assertLooksStayShort(source: Source): Promise<void> {
  const old = await source.connect()
  await old.run('begin isolation level repeatable read; select count(*) from afluente.outbox')
  // What the last look but one had behind it is settled at the last.
  for (const [round, rows] of [20_000, 20_000, 1].entries()) {
    await source.run(`insert into public.items select n from generate_series(1, ${rows}) n on conflict (id) do update set name = 'again'`)
    await source.run('delete from afluente.outbox')
    // Another owner's claim takes the shard, and notes how far all is settled.
    await source.run(`update afluente.shards set leased_until = clock_timestamp()`)
    await held(source, `owner ${round}`)
  }
  await source.run(`begin; update public.items set name = 'last' where id = 1`)
  const walked = async () => Number(await source.value(`select pg_stat_get_xact_tuples_returned('afluente.outbox_pkey'::regclass)`))
  const before = await walked()
  await held(source, 'owner 2')
  const touched = (await walked()) - before
  await source.run('commit')
  await old.run('rollback')
  check(touched < 100, `${touched} index entries were walked over for one change`)
}

/** What commits late, below all that was acknowledged meanwhile, is found. Wants `public.items (id, name)`. */
export async function assertLateCommitsAreFound(source: Source): Promise<void> {
  const late = await source.connect()
  await late.run(`begin; insert into public.items values (-7, 'late')`)
  for (let round = 1; round <= 4; round += 1) {
    await source.run(`insert into public.items values (${-100 - round})`)
    const { epoch, rows } = await held(source, `owner ${round}`)
    await acknowledge(
      source,
      epoch,
      rows.map(([version]) => version),
    )
    await source.run('update afluente.shards set leased_until = clock_timestamp()')
  }
  await late.run('commit')
  const { rows } = await held(source, 'last')
  check(rows.length === 1 && rows[0]?.[3] === '[-7]', `what was committed late was not found: ${JSON.stringify(rows)}`)
}
