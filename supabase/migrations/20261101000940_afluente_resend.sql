-- Rows that are there already go through once more: a backfill, a repair.

-- Sends the rows of these keys as reads: {"sent":n, "locked":[key, …], "gone":[key, …], "keeps":"images"|"keys"|"nothing"}.
-- keys are as triggers write them, jsonb_build_array(<key columns>)::text; another text of a value is a key that is gone. Those locked are to be
-- asked for again: somebody writes them now, or the table is being altered, or there is no room ("nothing"). Those gone
-- are left alone, for their end was captured.
--
-- The rows stay locked while their versions are drawn and their images read, so no image is older than what was written under a
-- lower version, and no later change can get a lower one. Whoever holds a row is not waited for: a writer that wants a row of this
-- call's while it holds another would be told to give up. A writer waits for the end of the call: a thousand keys and few bytes a call.
--
-- Above the outbox's budget keys alone are kept, as those of updates: claim sends their rows as they stand then, as reads.
create function afluente.resend_rows("table" regclass, keys text[]) returns json
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
set jit = off
as $$
#variable_conflict use_variable
declare
  captured afluente.captured_tables := (select c from afluente.captured_tables c where c.table_oid = resend_rows."table");
  source_table text := captured.schema_name || '.' || captured.table_name;
  wanted text[] := array(select distinct k.key from unnest(resend_rows.keys) k (key) where k.key is not null order by 1);
  measured bigint := (select m.last_value from afluente.outbox_measured m);
  keeps int := measured % 4;
  moment timestamptz := clock_timestamp();
  leased boolean := (select bool_and(s.leased_until > clock_timestamp()) from afluente.shards s);
  sent bigint;
  busy text[];
  gone text[];
begin
  if captured.table_oid is null then
    raise exception using errcode = '42704', message = format('afluente: %s is not captured', coalesce("table"::text, 'null')),
      hint = 'select afluente.capture_table(''<table>'') captures it.';
  elsif captured.exclude <> '{}' and captured.numbers_of <> captured.table_oid then
    raise exception using errcode = '42P16', message = format('afluente: %s came out of a dump, and which columns it excludes is not known', source_table),
      hint = 'Capture it again: select afluente.capture_table(''<table>'', exclude => …).';
  elsif current_setting('transaction_isolation') <> 'read committed' then
    raise exception using errcode = '25001', message = 'afluente: under an old snapshot the rows are not seen as they are',
      hint = 'Call this in a transaction of the level READ COMMITTED.';
  end if;
  if abs(extract(epoch from moment) * 1000 - measured / 4) > 5000 then
    keeps := afluente.measure_outbox();
  end if;
  if keeps = 2 then
    return json_build_object('sent', 0, 'locked', wanted, 'gone', array[]::text[], 'keeps', 'nothing');
  end if;

  -- What is inserted was locked before, row by row, and its version drawn after that. Whoever has locked a row has a transaction id, as
  -- drawing a version wants (see afluente.settle). An image is that of the moment when its row was locked.
  execute format(
    'with found as materialized (select l.key, l.image, l.locked, l.there from afluente.%I($1) l),
    sent as (
      insert into afluente.outbox (version, source_table, topic, key, shard, op, after, occurred_at, traceparent)
      select
        nextval(''afluente.version''), $2, $3, f.key, afluente.shard_of(f.key, (select n.last_value from afluente.shard_count n)),
        case $4 when 0 then ''read'' else ''update'' end, case $4 when 0 then f.image end, $5, afluente.traceparent()
      from found f where f.locked
    )
    select
      count(*) filter (where f.locked), coalesce(array_agg(f.key) filter (where f.there and not f.locked), ''{}''),
      coalesce(array_agg(f.key) filter (where not f.there), ''{}'')
    from found f',
    afluente.locker_of(captured.function_name)
  ) into sent, busy, gone using wanted, source_table, captured.topic, keeps, moment;
  if keeps = 1 then
    perform afluente.note_once(source_table);
  end if;
  if not leased and sent > 0 and (select r.last_value from afluente.last_rung r) < extract(epoch from moment) * 1000 - 200 then
    perform afluente.ring();
  end if;
  return json_build_object('sent', sent, 'locked', busy, 'gone', gone, 'keeps', (array['images', 'keys'])[1 + keeps]);
exception
  -- The table is being altered; or a row moved to another partition meanwhile.
  when lock_not_available or serialization_failure then
    return json_build_object('sent', 0, 'locked', wanted, 'gone', array[]::text[], 'keeps', (array['images', 'keys', 'nothing'])[1 + keeps]);
end
$$;

revoke all on function afluente.resend_rows(regclass, text[]) from public, anon, authenticated;
grant execute on function afluente.resend_rows(regclass, text[]) to service_role;
