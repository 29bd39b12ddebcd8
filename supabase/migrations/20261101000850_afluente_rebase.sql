-- What an operator does to the whole: the number of shards, and the step after a restore, a copy or a move.

-- Cuts the outbox into so many shards. Changes that wait go to the shard of their key, and every holder has to take its shard
-- anew. Capture stands still for as long as that takes; users' writes twice for a moment, however much waits.
create function afluente.set_shards(count int) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if count is null or count not between 1 and 64 then
    raise exception 'afluente: % shards', coalesce(count::text, 'null') using hint = 'Give a number from 1 to 64.';
  elsif count = all (select count(*) from afluente.shards union all select n.last_value from afluente.shard_count n) then
    return;
  end if;
  perform afluente.lock_upkeep('5 seconds');
  perform afluente.move_changes(count, '5 seconds');
  -- Last, for the count that writers read doesn't wait for the commit.
  insert into afluente.shards (shard) select n from generate_series(0, count - 1) n on conflict do nothing;
  delete from afluente.shards s where s.shard >= count;
end
$$;

-- Puts right what a set_shards that was rolled back leaves behind: the count that writers read doesn't go back with it, and what they
-- wrote since lies in shards that nobody holds. (So do changes whose mending was rolled back itself.) Called by each sweep; waits for
-- nobody: where a transaction that writes is open, or upkeep under way, the next one does it.
create function afluente.mend_shard_count() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  present bigint := (select count(*) from afluente.shards);
begin
  if present = (select n.last_value from afluente.shard_count n) and not exists (select from afluente.outbox o where o.shard >= present) then
    return;
  end if;
  perform afluente.lock_upkeep('0');
  present := (select count(*) from afluente.shards);
  perform afluente.move_changes(present, '0');
  perform setval('afluente.shard_count', present);
exception when lock_not_available or active_sql_transaction then
  null;
end
$$;

-- Moves what waits to the shards of that count, and keeps writers off the outbox until the transaction ends, for they must not go by
-- the former one any more. What is there is moved before they are kept off, and then what they wrote meanwhile, until little is left.
-- Wants lock_upkeep; the moments without a write are waited for that long.
create function afluente.move_changes(count bigint, patience interval) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
  line bigint := afluente.draw_line(patience);
  done bigint := 0;
begin
  lock table afluente.shards in exclusive mode;
  for round in 1..20 loop
    perform afluente.move_above(done, count);
    done := line;
    -- Each change that is left has drawn a version since.
    exit when (select v.last_value from afluente.version v) - done < 1000;
    line := afluente.draw_line(patience);
  end loop;
  perform afluente.lock_outbox(patience);
  perform afluente.move_above(done, count);
  -- Whoever holds a shard has claimed what lies in another now.
  perform afluente.raise_epochs();
end
$$;

-- Moves the changes above a version, found by the index alone: the table's files may be long behind a queue that was.
create function afluente.move_above(version bigint, count bigint) returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
  update afluente.outbox o set shard = afluente.shard_of(o.key, count)
  from generate_series(0, 63) s (shard)
  cross join lateral (
    select w.ctid as place from afluente.outbox w where w.shard = s.shard and w.version > move_above.version offset 0
  ) w
  where o.ctid = w.place and o.shard <> afluente.shard_of(o.key, count)
$$;

-- Takes every shard from its holder, and lets it be looked at from the bottom.
create function afluente.raise_epochs() returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  update afluente.shards s
  set epoch = s.epoch + 1, owner = null, leased_until = clock_timestamp(), settled = 0, horizon_version = 0, horizon_xid = null
  where true
$$;

-- Makes a restored, copied or moved database one that is captured: the sequence is lifted to the clock, above all that its
-- earlier life has delivered; changes that wait get new versions in the order they had; tables are captured anew where they came
-- out of a dump, which numbers columns anew; every table is marked to be reconciled, since the sinks may have what this database no
-- longer has. Answers {"status":"unchanged"}, or {"status":"rebased","reason":"…","from":n,"to":n,"changes":n,"tables":[…]}.
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
  deadline timestamptz;
begin
  reason := afluente.moved((select i from afluente.installation i));
  if reason is null then
    return json_build_object('status', 'unchanged');
  end if;
  perform afluente.lock_upkeep('5 seconds');
  "from" := (select v.last_value from afluente.version v);
  changes := afluente.renumber('-infinity', '5 seconds');
  perform afluente.raise_epochs();
  -- Last, and only where it is needed: from now on users' writes into such a table wait for the end of this.
  deadline := clock_timestamp() + interval '5 seconds';
  for captured in
    select c.*, afluente.excluded_names(c) as excluded from afluente.captured_tables c join pg_class r on r.oid = c.table_oid
    where c.numbers_of <> c.table_oid or c.columns <> afluente.columns_of(c.table_oid) or afluente.capture_problem(c.table_oid) is not null
  loop
    loop
      begin
        perform set_config('lock_timeout', '100ms', true);
        perform afluente.capture_table(captured.table_oid, captured.topic, captured.excluded, captured.with_before);
        perform set_config('lock_timeout', '5s', true);
        exit;
      exception when others then
        if sqlstate <> '55P03' or clock_timestamp() >= deadline then
          -- One table that can't be captured any more must not keep the others waiting. It stays as it was, and that is told.
          update afluente.captured_tables c
          set
            failures = c.failures + 1, last_failure = format(
              'the rebase did not capture it anew (%s): mend that, then select afluente.capture_table(%L) with all its options',
              left(sqlerrm, 200), format('%I.%I', captured.schema_name, captured.table_name)
            )
          where c.table_oid = captured.table_oid;
          exit;
        end if;
      end;
      -- Its writers queue behind this one's waiting for an open transaction.
      perform pg_sleep(0.05);
    end loop;
  end loop;
  update afluente.captured_tables c set reconcile_since = coalesce(c.reconcile_since, clock_timestamp()) where true;
  perform afluente.move_in();
  return json_build_object(
    'status', 'rebased', 'reason', reason, 'from', "from", 'to', (select v.last_value from afluente.version v), 'changes', changes,
    'tables', (
      select coalesce(json_agg(c.schema_name || '.' || c.table_name order by c.schema_name, c.table_name), '[]') from afluente.captured_tables c
    )
  );
end
$$;

revoke all on function
  afluente.set_shards(int), afluente.mend_shard_count(), afluente.move_changes(bigint, interval), afluente.move_above(bigint, bigint),
  afluente.raise_epochs(), afluente.rebase()
from public, anon, authenticated;
grant execute on function afluente.rebase() to service_role;
