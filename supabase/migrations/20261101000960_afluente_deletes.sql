-- Deletes of keys that a sink has and the source has not, in two steps. A delete that is sent as soon as its key is not seen can kill a row
-- whose insert was open: its version would be drawn later than the insert's. So the versions are drawn first; then everybody who may have
-- drawn a lower one has to end; then the table is looked at once more, and what is not there now was not there under any lower version.

-- Draws a version for each key: {"fence":"…", "versions":[[key, version], …]}. Sends nothing.
create function afluente.draw_deletes("table" regclass, keys text[]) returns json
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  versions json;
begin
  perform from afluente.captured_tables c where c.table_oid = draw_deletes."table";
  if not found then
    raise exception 'afluente: % is not captured', coalesce("table"::text, 'null') using hint = 'select afluente.capture_table(''<table>'') captures it.';
  end if;
  select coalesce(json_agg(json_build_array(k.key, nextval('afluente.version'))), '[]') into versions
  from (select distinct k.key from unnest(draw_deletes.keys) k (key) where k.key is not null) k;
  -- After the versions: whoever drew a lower one wrote its row before, and so had a transaction id by then, which is a lower one.
  return json_build_object('fence', pg_current_xact_id()::text, 'versions', versions);
end
$$;

-- Sends deletes under versions that draw_deletes has drawn: {"status":"early", "waits":n} as long as a transaction from before is open,
-- and nothing was done; else {"status":"sent", "sent":n, "there":[key, …]}, where those there are rows of the table, and left alone.
create function afluente.send_deletes("table" regclass, fence text, keys text[], versions bigint[]) returns json
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $$
#variable_conflict use_variable
declare
  captured afluente.captured_tables := (select c from afluente.captured_tables c where c.table_oid = send_deletes."table");
  source_table text := captured.schema_name || '.' || captured.table_name;
  shards bigint := (select n.last_value from afluente.shard_count n);
  gone text[];
  there text[];
begin
  if captured.table_oid is null then
    raise exception 'afluente: % is not captured', coalesce("table"::text, 'null') using hint = 'select afluente.capture_table(''<table>'') captures it.';
  elsif cardinality(keys) <> cardinality(versions) or exists (select from unnest(versions) v (version), afluente.version s where v.version > s.last_value) then
    raise exception 'afluente: these are no keys and versions that draw_deletes has answered' using hint = 'Draw them first.';
  elsif current_setting('transaction_isolation') <> 'read committed' then
    raise exception using errcode = '25001', message = 'afluente: under an old snapshot the rows are not seen as they are',
      hint = 'Call this in a transaction of the level READ COMMITTED.';
  end if;
  if pg_snapshot_xmin(pg_current_snapshot()) <= fence::xid8 then
    return json_build_object('status', 'early');
  end if;
  execute format(
    'select coalesce(array_agg(r.key) filter (where r.image is null), ''{}''), coalesce(array_agg(r.key) filter (where r.image is not null), ''{}'') from afluente.%I($1) r',
    afluente.reader_of(captured.function_name)
  ) into gone, there using keys;
  -- These versions are old: whoever holds a shard may have settled above them by now, and would never look there again. Shards are locked
  -- before the outbox is written, in their order.
  perform from afluente.shards s where s.shard in (select afluente.shard_of(k.key, shards) from unnest(gone) k (key)) order by s.shard for no key update;
  update afluente.shards s set settled = least(s.settled, d.version - 1), horizon_version = 0, horizon_xid = null
  from (
    select afluente.shard_of(k.key, shards) as shard, min(k.version) as version
    from unnest(keys, versions) k (key, version) where k.key = any (gone) group by 1
  ) d
  where s.shard = d.shard;
  insert into afluente.outbox (version, source_table, topic, key, shard, op, occurred_at, traceparent)
  select k.version, source_table, captured.topic, k.key, afluente.shard_of(k.key, shards), 'delete', clock_timestamp(), afluente.traceparent()
  from unnest(keys, versions) k (key, version) where k.key = any (gone)
  on conflict do nothing;
  if gone <> '{}' and not (select bool_and(s.leased_until > clock_timestamp()) from afluente.shards s) then
    perform afluente.ring();
  end if;
  return json_build_object('status', 'sent', 'sent', cardinality(gone), 'there', there);
end
$$;

revoke all on function afluente.draw_deletes(regclass, text[]), afluente.send_deletes(regclass, text, text[], bigint[]) from public, anon, authenticated;
grant execute on function afluente.draw_deletes(regclass, text[]), afluente.send_deletes(regclass, text, text[], bigint[]) to service_role;
