-- Which database this is. A restored backup, a copy or a branch begins with an old sequence: its changes would look older
-- than what was delivered before, and be skipped without a word.

-- Why claim refuses, in words; null when this is the database that was captured. A mere restart of the server is noted, and the
-- sequence lifted to the clock: a snapshot of the files that was put back is not to be told from it. What was written since
-- that start gets new versions as well: none of it can have been sent. Where a transaction that writes stays open meanwhile, or
-- there is more than one call can number anew, every table is marked for reconciliation instead.
create function afluente.recognize() returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  known afluente.installation := (select i from afluente.installation i);
  patience text := current_setting('lock_timeout');
  place text;
  changes bigint;
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
  begin
    perform set_config('lock_timeout', '300ms', true);
    lock table afluente.installation in share row exclusive mode;
    perform set_config('lock_timeout', patience, true);
  exception when lock_not_available then
    return 'other upkeep of the outbox is under way: capture goes on by itself when it has ended';
  end;
  if (select i.server_started_at from afluente.installation i) <> pg_postmaster_start_time() then
    begin
      perform afluente.lock_upkeep('3 seconds');
      changes := afluente.renumber(pg_postmaster_start_time(), '300 milliseconds', 200000);
    exception when lock_not_available or active_sql_transaction then
      null;
    end;
    if changes is null then
      -- Had a snapshot been put back, what is being written now could end below what was delivered.
      perform afluente.lift();
      perform afluente.note_failure(
        c.schema_name || '.' || c.table_name, '55000', 'the server was restarted, and what was being written could not be told from a restore'
      ) from afluente.captured_tables c;
    end if;
    update afluente.installation i set server_started_at = pg_postmaster_start_time() where true;
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
-- One that stands at the clock or above it is left alone, and so is one a second below it: what others draw between the look at it
-- and the setting would be drawn twice, if the clock could be reached by then. A second is a million changes.
create function afluente.lift() returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Two lifts at once could set it back: the later one to a clock that it read earlier.
  lock table afluente.installation in share row exclusive mode;
  perform setval('afluente.version', afluente.clock_version()) from afluente.version v
  where v.last_value < afluente.clock_version() - 1000000;
  return (select v.last_value from afluente.version v);
end
$$;

-- The clock as a version: in microseconds.
create function afluente.clock_version() returns bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select (extract(epoch from clock_timestamp()) * 1000000)::bigint
$$;

-- Gives the changes that wait, of that moment and later, new versions from the clock on, in the order they had. Users' writes
-- stand still twice for a moment, never while it works: the numbers are set aside at the moment when no change is on its way, whoever
-- writes later draws above them, and nobody else touches what waits. Wants lock_upkeep; the moments are waited for that long.
-- Answers how many; null, and nothing done, when there are more than that many.
create function afluente.renumber(since timestamptz, patience interval, most bigint default 9007199254740991) returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  counted bigint;
  waiting bigint;
  last bigint;
  base bigint;
  changes bigint;
begin
  counted := afluente.draw_line(patience);
  select count(*) into waiting from (
    select from afluente.outbox o where o.version <= counted and o.occurred_at >= since limit most + 1
  ) o;
  if waiting > most then
    return null;
  end if;
  begin
    perform afluente.lock_outbox(patience);
    last := (select v.last_value from afluente.version v);
    base := greatest(last, afluente.clock_version());
    -- Whoever wrote since the count has drawn a number for each change.
    perform setval('afluente.version', base + waiting + last - counted);
    raise exception using errcode = 'AF001', message = 'afluente: lets go of the lock, what was set stays';
  exception when sqlstate 'AF001' then
    null;
  end;
  lock table afluente.shards in exclusive mode;
  update afluente.outbox o set version = base + w.rank
  from (
    select w.ctid as place, row_number() over (order by w.version) as rank from afluente.outbox w
    where w.version <= last and w.occurred_at >= since
  ) w
  where o.ctid = w.place;
  get diagnostics changes = row_count;
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
  afluente.recognize(), afluente.moved(afluente.installation), afluente.lift(), afluente.clock_version(),
  afluente.renumber(timestamptz, interval, bigint), afluente.move_in()
from public, anon, authenticated;
