/** The guards of the source side, each replaced by the naive version that others ship: then the property it guards must fail. */
import { expect, it } from 'vitest'
import { mutate as mutateIn } from '../../support/mutate.ts'
import { freshSource } from '../../support/source.ts'
import {
  assertOnlyTheHolderAcknowledges,
  assertCommitsInOrder,
  assertEchoesArrive,
  makeRestless,
  assertOneHolderAtATime,
  assertFloorHolds,
  assertLateCommitsAreFound,
  assertLooksStayShort,
  assertOpenTransactionsBlockNobody,
  assertOutboxKeepsToItsBudget,
  assertTextIsExact,
  assertUsersGoOn,
} from '../../support/source-properties.ts'

const source = freshSource()

const mutate = (name: string, from: string | RegExp, to: string) => mutateIn(source, name, from, to)

it('images from the transition table: an old image ends under the highest version', async () => {
  await makeRestless(source)
  await source.run(`
    create function public.naive() returns trigger language plpgsql as $$
    begin
      insert into afluente.outbox (version, source_table, topic, key, shard, op, before, after, occurred_at)
      select nextval('afluente.version'), 'public.things', 'things', jsonb_build_array(r.id)::text, 0, lower(tg_op), null, row_to_json(r.*), now() from afluente_new r;
      return null;
    end $$;
    create or replace trigger afluente_insert after insert on public.things referencing new table as afluente_new for each statement execute function public.naive();
    create or replace trigger afluente_update after update on public.things referencing new table as afluente_new for each statement execute function public.naive()`)
  await expect(assertEchoesArrive(source)).rejects.toThrow('the stream ends with')
})

it('a sequence that hands out blocks: versions of one key turn round', async () => {
  await source.run('alter sequence afluente.version cache 50')
  await expect(assertCommitsInOrder(source)).rejects.toThrow('in version order the row had')
})

it('the session’s own settings: the key’s text depends on who wrote', async () => {
  await mutate('afluente.trigger_source', "set timezone = 'UTC'\n", '')
  await expect(assertTextIsExact(source)).rejects.toThrow('the key is')
})

it('images as jsonb: what jsonb refuses is lost', async () => {
  await mutate('afluente.trigger_source', 'row_to_json(r.*)', 'to_jsonb(r.*)::json')
  await expect(assertTextIsExact(source)).rejects.toThrow('the key is missing')
})

it('a trigger that lets its failure out: the user’s statement fails', async () => {
  await mutate('afluente.trigger_source', /exception\n {2}when serialization_failure then\n(.*\n)+? {4}end;\n {4}return null;\n/g, '')
  await source.run(`select afluente.capture_table('public.leads')`)
  await expect(assertUsersGoOn(source)).rejects.toThrow('outbox')
})

it('a trigger that looks at the lease under a lock: an open transaction stops the capture', async () => {
  await mutate('afluente.trigger_source', 'from afluente.shards s tablesample system (100);', 'from (select s.* from afluente.shards s for update) s;')
  await source.run(`select afluente.capture_table('public.leads')`)
  await expect(assertOpenTransactionsBlockNobody(source)).rejects.toThrow('lock timeout')
})

it('a lease that is taken whoever holds it: two hold it at once', async () => {
  await mutate('afluente.claim', 'held.leased_until > clock_timestamp() then', 'false then')
  await mutate('afluente.claim', 's.leased_until <= clock_timestamp())', 'true)')
  await expect(assertOneHolderAtATime(source)).rejects.toThrow('of 4 hold the shard')
})

it('a lease that is checked, then taken without a second look: two hold it at once', async () => {
  await mutate('afluente.claim', 'and (s.owner = claim.owner or s.leased_until <= clock_timestamp())', 'and pg_sleep(0.05) is not null')
  await expect(assertOneHolderAtATime(source)).rejects.toThrow('of 4 hold the shard')
})

it('an acknowledgement that doesn’t ask for the epoch: a paused holder deletes what it no longer holds', async () => {
  await source.run(`insert into public.leads (name) values ('Ana')`)
  await mutate('afluente.acknowledge', 'present is distinct from acknowledge.epoch', 'false')
  await expect(assertOnlyTheHolderAcknowledges(source)).rejects.toThrow('was answered with')
})

it('a floor that is not drawn while the table is locked: it does not part before and after', async () => {
  await makeManyItems()
  await mutate('afluente.capture_truncate', `nextval('afluente.version'), source_table`, `(select i.outbox_budget from afluente.installation i), source_table`)
  await expect(assertFloorHolds(source)).rejects.toThrow('does not part')
})

it('no budget: the outbox of a day without Kafka fills the disk', async () => {
  await makeItems()
  await mutate('afluente.measure_outbox', 'when waiting >= budget then 1', 'when false then 1')
  await expect(assertOutboxKeepsToItsBudget(source)).rejects.toThrow(/bytes wait|changes are missing/)
})

it('looks that begin at the very bottom: each walks over all that is dead', async () => {
  await makeItems()
  await mutate('afluente.claim', 'greatest(claim.floor, held.settled)', 'claim.floor')
  await expect(assertLooksStayShort(source)).rejects.toThrow('were walked over')
})

it('a horizon that asks nobody who is still writing: a late commit is never found', async () => {
  await makeItems()
  await mutate('afluente.settle', 'pg_snapshot_xmin(pg_current_snapshot()) <= held.horizon_xid', 'false')
  await expect(assertLateCommitsAreFound(source)).rejects.toThrow('was not found')
})

it('without a mutant every one of these holds', async () => {
  await makeRestless(source)
  await assertEchoesArrive(source)
  await assertCommitsInOrder(source)
  await assertTextIsExact(source)
  await source.emptyOutbox()
  await assertUsersGoOn(source)
  await assertOpenTransactionsBlockNobody(source)
  await source.run(`update afluente.shards set epoch = 0, leased_until = '-infinity'`)
  await assertOneHolderAtATime(source)
  await source.run(`insert into public.leads (name) values ('Rui')`)
  await expect(assertOnlyTheHolderAcknowledges(source)).resolves.toBeUndefined()
})

it('without a mutant floor, budget and looks hold as well', async () => {
  await makeItems()
  await assertOutboxKeepsToItsBudget(source)
  await source.run('truncate public.items; delete from afluente.outbox; select afluente.set_outbox_budget(1000000000)')
  await assertLooksStayShort(source)
  await source.run('delete from afluente.outbox; update afluente.shards set leased_until = clock_timestamp()')
  await assertLateCommitsAreFound(source)
  await source.run(`insert into public.items select n from generate_series(100000, 200001) n; delete from afluente.outbox`)
  await expect(assertFloorHolds(source)).resolves.toBeUndefined()
})

async function makeItems(): Promise<void> {
  await source.run(`create table public.items (id int primary key, name text); select afluente.capture_table('public.items')`)
}

async function makeManyItems(): Promise<void> {
  await makeItems()
  await source.run('insert into public.items select n from generate_series(1, 100001) n; delete from afluente.outbox')
}
