-- What keeps the outbox to itself for a moment: the number of shards, a rebase, a restart. Locks are taken in one order everywhere:
-- installation, the outbox against maintenance, shards (as acknowledge does before it deletes), the outbox against writers.

-- Keeps every other upkeep away, and vacuum, which would be in the way of lock_outbox. Waited for at leisure: users' writes pass by,
-- and an autovacuum gives way to who has waited for a second.
create function afluente.lock_upkeep(patience interval) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception using errcode = '25001', message = 'afluente: under an old snapshot the changes of others can not be seen',
      hint = 'Run this in a transaction of the level READ COMMITTED.';
  end if;
  perform set_config('lock_timeout', greatest(1, extract(epoch from patience) * 1000)::int::text, true);
  lock table afluente.installation in share row exclusive mode;
  lock table afluente.outbox in share update exclusive mode;
exception when lock_not_available then
  raise exception using errcode = '55P03', message = 'afluente: lock timeout, for other upkeep of the outbox is under way',
    detail = afluente.holders(upkeep => true), hint = 'Wait until it has ended, then run this again.';
end
$$;

-- Keeps writers off the outbox until the transaction ends. Whoever comes while this waits for an open transaction queues behind it, so
-- it tries for a tenth of a second, lets them pass, and tries again.
create function afluente.lock_outbox(patience interval) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
declare
  deadline timestamptz := clock_timestamp() + patience;
begin
  loop
    begin
      lock table afluente.outbox in exclusive mode;
      return;
    exception when lock_not_available then
      if clock_timestamp() >= deadline then
        raise exception using errcode = '55P03',
          message = 'afluente: lock timeout, for a transaction that has written captured tables stays open',
          detail = afluente.holders(upkeep => false), hint = 'End it, or wait until it has ended, then run this again.';
      end if;
    end;
    perform pg_sleep(0.05);
  end loop;
end
$$;

-- The last version drawn at a moment when no change is on its way: whatever has one up to it is visible, or will never be.
create function afluente.draw_line(patience interval) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  line bigint;
begin
  perform afluente.lock_outbox(patience);
  line := (select v.last_value from afluente.version v);
  raise exception using errcode = 'AF001', message = 'afluente: lets go of the lock';
exception when sqlstate 'AF001' then
  return line;
end
$$;

-- Who is in the way of lock_upkeep, or of lock_outbox. Never what they run: that may hold a row's values.
create function afluente.holders(upkeep boolean) returns text
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(string_agg(h.holder, '; '), 'it has ended meanwhile')
  from (
    select distinct on (a.xact_start, l.virtualtransaction)
      case when p.gid is not null then format('the prepared transaction %L of %s', p.gid, p.owner)
      else format(
        'process %s (%s)', l.pid,
        concat_ws(
          ', ', case when l.mode = 'ShareUpdateExclusiveLock' then 'vacuum, analyze or the like' end, 'role ' || a.usename,
          nullif(a.application_name, ''), a.state, 'open since ' || a.xact_start
        )
      ) end as holder
    from pg_locks l
    left join pg_stat_activity a on a.pid = l.pid
    left join pg_locks x on l.pid is null and x.pid is null and x.locktype = 'transactionid' and x.virtualtransaction = l.virtualtransaction
    left join pg_prepared_xacts p on p.transaction = x.transactionid
    where
      l.granted and l.pid is distinct from pg_backend_pid() and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and (
        l.relation = 'afluente.outbox'::regclass and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        or l.relation = 'afluente.outbox'::regclass and l.mode = case when upkeep then 'ShareUpdateExclusiveLock' else 'RowExclusiveLock' end
        or upkeep and l.relation = 'afluente.installation'::regclass and l.mode not in ('AccessShareLock', 'RowShareLock')
      )
    order by a.xact_start nulls last, l.virtualtransaction
    limit 5
  ) h
$$;

revoke all on function
  afluente.lock_upkeep(interval), afluente.lock_outbox(interval), afluente.draw_line(interval), afluente.holders(boolean)
from public, anon, authenticated;
