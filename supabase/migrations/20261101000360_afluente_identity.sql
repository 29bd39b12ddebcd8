-- Which database this is. A restored backup, a copy or a branch begins with an old sequence: its changes would look older
-- than what was delivered before, and be skipped without a word.

-- Why claim refuses, in words; null when this is the database that was captured. A mere restart of the server is noted, and the
-- sequence lifted to the clock: a snapshot of the files that was put back is not to be told from it. What was written since
-- that start gets new versions as well: none of it can have been sent. Where a transaction that writes stays open meanwhile,
-- every table is marked for reconciliation instead.
create function afluente.recognize() returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  known afluente.installation := (select i from afluente.installation i);
  place text;
  lock_timeout text := current_setting('lock_timeout');
begin
  -- What needs no system call. The rest can't change while the server runs.
  if known.server_started_at = pg_postmaster_start_time() and known.outbox_oid = 'afluente.outbox'::regclass::oid
    and known.database_oid = (select d.oid from pg_database d where d.datname = current_database())
  then
    return null;
  end if;
  place := afluente.moved(known);
  if place is not null then
    return place || ': the versions of its changes could lie below those that were delivered. Run: npx afluente rebase';
  end if;
  select i.* into known from afluente.installation i for update;
  if known.server_started_at <> pg_postmaster_start_time() then
    begin
      perform set_config('lock_timeout', '300ms', true);
      lock table afluente.outbox in exclusive mode;
      perform set_config('lock_timeout', lock_timeout, true);
      perform afluente.renumber(pg_postmaster_start_time());
    exception when lock_not_available then
      -- Had a snapshot been put back, what is being written now could end below what was delivered.
      update afluente.captured_tables c set reconcile_since = coalesce(c.reconcile_since, clock_timestamp());
    end;
    perform afluente.lift();
    update afluente.installation i set server_started_at = pg_postmaster_start_time();
  end if;
  return null;
end
$$;

-- In what this database differs from the one that was captured, in words; null when in nothing.
create function afluente.moved(known afluente.installation) returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when known is null then 'this database does not know which one it is'
    when known.system_identifier <> c.system_identifier then 'this database was restored or copied into another cluster'
    when known.timeline <> left(pg_walfile_name(pg_current_wal_lsn()), 8) then 'this database was restored to a point in time'
    when known.database_oid <> d.oid then 'this database is a copy of another one'
    when known.outbox_oid <> 'afluente.outbox'::regclass::oid then 'the schema afluente was restored from a dump'
  end
  from pg_control_system() c
  join pg_database d on d.datname = current_database()
$$;

-- Lifts the sequence to the clock, above whatever an earlier life of this database has sent. Answers the version it stands at.
create function afluente.lift() returns bigint
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select setval('afluente.version', greatest(v.last_value, (extract(epoch from clock_timestamp()) * 1000000)::bigint))
  from afluente.version v
$$;

-- Gives the changes that wait, of that moment and later, new versions from the clock on, in the order they had. Wants the
-- outbox locked. Answers how many.
create function afluente.renumber(since timestamptz) returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  -- Above every version there is, so none of the new ones is in anybody's way.
  base bigint := afluente.lift();
  changes bigint;
begin
  update afluente.outbox o set version = base + w.rank
  from (
    select w.shard, w.version, row_number() over (order by w.version) as rank from afluente.outbox w where w.occurred_at >= since
  ) w
  where o.shard = w.shard and o.version = w.version;
  get diagnostics changes = row_count;
  perform setval('afluente.version', base + changes);
  return changes;
end
$$;

-- Notes that this database is the one that is captured.
create function afluente.move_in() returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  insert into afluente.installation as i (system_identifier, timeline, database_oid, outbox_oid, server_started_at)
  select c.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), d.oid, 'afluente.outbox'::regclass::oid, pg_postmaster_start_time()
  from pg_control_system() c
  join pg_database d on d.datname = current_database()
  on conflict (only_row) do update set
    system_identifier = excluded.system_identifier, timeline = excluded.timeline, database_oid = excluded.database_oid,
    outbox_oid = excluded.outbox_oid, server_started_at = excluded.server_started_at
$$;

select afluente.move_in();

revoke all on function
  afluente.recognize(), afluente.moved(afluente.installation), afluente.lift(), afluente.renumber(timestamptz),
  afluente.move_in()
from public, anon, authenticated;
