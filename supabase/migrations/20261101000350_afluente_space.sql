-- The outbox under pressure: with Kafka away for long it must not fill the user's disk.

-- What was measured last: four times the clock's milliseconds, plus what is kept now (0 images, 1 keys, 2 nothing). A cell
-- outside transactions, like afluente.last_rung.
create sequence afluente.outbox_measured as bigint cache 1 minvalue 0 start 0;

-- The bytes of changes that wait, about. Where the files are smaller than that, their size will do; else they may hold what
-- died long ago, and some two hundred pages are looked at.
create function afluente.outbox_bytes(enough bigint) returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  files bigint := pg_table_size('afluente.outbox') + pg_indexes_size('afluente.outbox');
  share float8 := least(1, 200 * 8192.0 / greatest(1, pg_relation_size('afluente.outbox')));
begin
  if files < enough then
    return files;
  end if;
  return (
    select coalesce(sum(
      150 + octet_length(o.source_table) + octet_length(o.topic) + octet_length(o.key)
      + coalesce(pg_column_size(o.before), 0) + coalesce(pg_column_size(o.after), 0)
    ), 0) / share
    from afluente.outbox o tablesample system (100 * share)
  )::bigint;
end
$$;

-- What triggers keep from now on, measured anew: 0 images, as long as what waits is below the budget; 1 keys alone; 2 nothing,
-- above four times the budget. Never raises: it runs inside users' transactions.
create function afluente.measure_outbox() returns int
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  moment bigint := 4 * (extract(epoch from clock_timestamp()) * 1000)::bigint;
  former int;
  budget bigint;
  waiting bigint;
  keeps int;
begin
  former := (select m.last_value % 4 from afluente.outbox_measured m);
  budget := (select i.outbox_budget from afluente.installation i);
  -- Taking the turn first lets everybody else go on with what was measured before.
  perform setval('afluente.outbox_measured', moment + former);
  waiting := afluente.outbox_bytes(budget);
  keeps := case
    when waiting >= 4 * budget then 2
    when waiting >= budget then 1
    -- Back to images with some room only, or it would change with every batch that leaves.
    when former > 0 and waiting >= 0.8 * budget then 1
    else 0
  end;
  if keeps <> former then
    perform setval('afluente.outbox_measured', moment + keeps);
  end if;
  return keeps;
exception when others then
  return coalesce(former, 0);
end
$$;

-- Sets how many bytes of changes may wait before their images are left out.
create function afluente.set_outbox_budget(bytes bigint) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if bytes is null or bytes < 1 then
    raise exception 'afluente: an outbox budget of % bytes', coalesce(bytes::text, 'null') using hint = 'Give a number above zero: 536870912 is 512 MiB.';
  end if;
  update afluente.installation i set outbox_budget = bytes where true;
  perform afluente.measure_outbox();
end
$$;

revoke all on function afluente.outbox_bytes(bigint), afluente.measure_outbox(), afluente.set_outbox_budget(bigint) from public, anon, authenticated;
