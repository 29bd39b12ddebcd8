-- What an operator does to the whole: the number of shards, and the step after a restore, a copy or a move.

-- Cuts the outbox into so many shards. Changes that wait go to the shard of their key, and every holder has to take its shard
-- anew; users' writes wait for the moment that takes, and never behind this one's own waiting for an open transaction.
create function afluente.set_shards(count int) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  deadline timestamptz := clock_timestamp() + interval '5 seconds';
begin
  if count is null or count not between 1 and 64 then
    raise exception 'afluente: % shards', coalesce(count::text, 'null') using hint = 'Give a number from 1 to 64.';
  elsif count = all (select count(*) from afluente.shards union all select n.last_value from afluente.shard_count n) then
    return;
  end if;
  loop
    begin
      lock table afluente.outbox in exclusive mode nowait;
      exit;
    exception when lock_not_available then
      if clock_timestamp() > deadline then
        raise exception using errcode = '55P03', message = 'afluente: lock timeout, for a transaction that has written captured tables stays open',
          hint = 'Call afluente.set_shards again when it has ended; pg_stat_activity lists it as idle in transaction.';
      end if;
      perform pg_sleep(0.005);
    end;
  end loop;
  lock table afluente.shards in share row exclusive mode;
  update afluente.outbox o set shard = afluente.shard_of(o.key, count) where o.shard <> afluente.shard_of(o.key, count);
  perform afluente.raise_epochs();
  -- Last, for the count that writers read doesn't wait for the commit.
  insert into afluente.shards (shard) select n from generate_series(0, count - 1) n on conflict do nothing;
  delete from afluente.shards s where s.shard >= count;
end
$$;

-- Puts right what a set_shards that was rolled back leaves behind: the count that writers read doesn't go back with it, and what they
-- wrote since lies in shards that nobody holds. Called by each sweep; one under way holds the outbox, and is left alone.
create function afluente.mend_shard_count() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  present bigint;
begin
  if (select count(*) from afluente.shards) = (select n.last_value from afluente.shard_count n) then
    return;
  end if;
  lock table afluente.outbox in exclusive mode nowait;
  present := setval('afluente.shard_count', (select count(*) from afluente.shards));
  update afluente.outbox o set shard = afluente.shard_of(o.key, present) where o.shard <> afluente.shard_of(o.key, present);
  -- Whoever holds a shard has claimed what lies in another now.
  perform afluente.raise_epochs();
exception when lock_not_available then
  null;
end
$$;

-- Takes every shard from its holder, and lets it be looked at from the bottom.
create function afluente.raise_epochs() returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  update afluente.shards s
  set epoch = s.epoch + 1, owner = null, leased_until = clock_timestamp(), settled = 0, horizon_version = 0, horizon_xid = null
$$;

-- Makes a restored, copied or moved database one that is captured: the sequence is lifted to the clock, above all that its
-- earlier life has delivered; changes that wait get new versions in the order they had; every table is captured anew, for
-- a dump numbers its columns anew, and is marked to be reconciled, since the sinks may have what this database no longer
-- has. Answers {"status":"unchanged"}, or {"status":"rebased","reason":"…","from":n,"to":n,"changes":n,"tables":[…]}.
create function afluente.rebase() returns json
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
  reason text;
  captured record;
  "from" bigint;
  changes bigint;
begin
  reason := afluente.moved((select i from afluente.installation i));
  if reason is null then
    return json_build_object('status', 'unchanged');
  end if;
  lock table afluente.outbox in exclusive mode;
  lock table afluente.installation in share row exclusive mode;
  "from" := (select v.last_value from afluente.version v);
  changes := afluente.renumber('-infinity');
  perform afluente.raise_epochs();
  for captured in
    select c.* from afluente.captured_tables c join pg_class r on r.oid = c.table_oid
  loop
    -- Where the numbers still hold they know of renames; in what came out of a dump the names have to.
    begin
      perform afluente.capture_table(
        captured.table_oid, captured.topic,
        case when captured.numbers_of = captured.table_oid
          then afluente.hidden_columns(captured.table_oid, captured.exclude_numbers) else captured.exclude end,
        captured.with_before
      );
    exception when others then
      -- One table that can't be captured any more must not keep the others waiting. It stays as it was, and that is told.
      update afluente.captured_tables c set failures = c.failures + 1, last_failure = sqlerrm where c.table_oid = captured.table_oid;
    end;
  end loop;
  update afluente.captured_tables c set reconcile_since = coalesce(c.reconcile_since, clock_timestamp());
  perform afluente.move_in();
  return json_build_object(
    'status', 'rebased', 'reason', reason, 'from', "from", 'to', (select v.last_value from afluente.version v), 'changes', changes,
    'tables', (
      select coalesce(json_agg(c.schema_name || '.' || c.table_name order by c.schema_name, c.table_name), '[]') from afluente.captured_tables c
    )
  );
end
$$;

revoke all on function afluente.set_shards(int), afluente.mend_shard_count(), afluente.raise_epochs(), afluente.rebase() from public, anon, authenticated;
grant execute on function afluente.rebase() to service_role;
