-- What a reconcile asks of the source beside its rows, which it reads elsewhere: when it may begin, whether all that was committed has
-- left the outbox, and that a mark is done with.

-- Begins the reconcile of a table: {"status":"begun", "reconciliation":n, "at":"…"}, or {"status":"refused", "reason":"…"} while capture stands
-- still. What was committed before "at" is seen by whoever reads the table from now on. The mark that the table has is taken over:
-- one that is made from now on is of something that this reconcile may not have seen, and stays.
create function afluente.begin_reconcile("table" regclass) returns json
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '3s'
as $$
declare
  refused text := afluente.recognize();
  number bigint;
begin
  if refused is not null then
    return json_build_object('status', 'refused', 'reason', refused);
  end if;
  perform from afluente.captured_tables c where c.table_oid = begin_reconcile."table" for no key update;
  if not found then
    raise exception 'afluente: % is not captured', coalesce("table"::text, 'null') using hint = 'select afluente.capture_table(''<table>'') captures it.';
  end if;
  perform afluente.note_alterations();
  perform afluente.adopt_partitions();
  perform afluente.fold_failures();
  update afluente.captured_tables c
  set reconciling = c.reconciling + 1, reconciling_since = least(c.reconcile_since, c.reconciling_since), reconcile_since = null
  where c.table_oid = begin_reconcile."table"
  returning c.reconciling into number;
  return json_build_object(
    'status', 'begun', 'reconciliation', number, 'at', to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  );
exception when lock_not_available then
  return json_build_object('status', 'refused', 'reason', 'a migration that captures this table, or alters it, is open: wait until it has ended');
end
$$;

-- The sinks hold what the table held when that reconcile began: its mark is done with. Not where another one has begun since, which may
-- have taken over a later mark. Answers whether it was.
create function afluente.end_reconcile("table" regclass, reconciliation bigint) returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $$
begin
  update afluente.captured_tables c set reconciling_since = null
  where c.table_oid = end_reconcile."table" and c.reconciling = end_reconcile.reconciliation;
  return found;
end
$$;

-- Whether Kafka has everything that was committed before a moment: {"version":n, "left":n, "life":"…", "refused":null}. Asked without a version,
-- it answers the one that was drawn last: whatever is committed now has one up to it. Asked with it later, it answers how many changes up to it
-- wait (1001 for more): once there are none, all of them were published and acknowledged, for nothing else takes one away. That holds
-- within one life of the database alone: after a restart or a rebase, changes that wait are numbered anew.
create function afluente.drained(version bigint default null) returns json
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_sort = off
set jit = off
as $$
declare
  refused text := afluente.recognize();
  line bigint := coalesce(drained.version, (select v.last_value from afluente.version v));
begin
  return json_build_object(
    'version', line,
    'left', (
      select count(*)
      from (
        -- Also those that lie in no present shard: the next sweep brings them back.
        select from generate_series(0, 63) n (shard)
        left join afluente.shards s on s.shard = n.shard
        cross join lateral (
          select from afluente.outbox o where o.shard = n.shard and o.version > coalesce(s.settled, 0) and o.version <= line limit 1001
        ) o
        limit 1001
      ) o
    ),
    'life', (
      select concat_ws('/', i.system_identifier, i.timeline, i.database_oid, i.outbox_oid, extract(epoch from i.server_started_at)) from afluente.installation i
    ),
    'refused', refused
  );
end
$$;

revoke all on function afluente.begin_reconcile(regclass), afluente.end_reconcile(regclass, bigint), afluente.drained(bigint) from public, anon, authenticated;
grant execute on function afluente.begin_reconcile(regclass), afluente.end_reconcile(regclass, bigint), afluente.drained(bigint) to service_role;
