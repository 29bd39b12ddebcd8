-- A TRUNCATE fires no row's trigger: before it happens a delete goes out for each key, up to 100 000 rows. Above that one change
-- says it all: under the key [] and with op truncate, its version is the table's floor, and every row below is dead. No
-- version of the table can lie on the wrong side of it: the TRUNCATE has the table to itself until it commits. So it is under
-- REPEATABLE READ and above, however few rows: a snapshot older than the TRUNCATE's lock doesn't see all that it ends.
--
-- A partitioned table speaks for all its partitions. One that is truncated alone sends its deletes, however many: a floor would
-- be the whole table's. Under such a snapshot its table is marked to be reconciled as well.
create function afluente.capture_truncate() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set row_security = off
as $$
declare
  captured record;
  source_table text;
  target text;
  whole boolean;
  partitioned boolean;
  fresh boolean;
  members text;
  rows bigint;
  keeps int;
  hidden text[];
  images boolean;
begin
  source_table := format('%s.%s', tg_argv[0], tg_argv[1]);
  target := format('%I.%I', tg_table_schema, tg_table_name);
  whole := tg_table_schema = tg_argv[0] and tg_table_name = tg_argv[1];
  -- An old snapshot may see two rows of one table: the one before somebody else's TRUNCATE, and the one after this transaction's.
  partitioned := exists (select from pg_class c where c.oid = tg_relid and c.relkind = 'p');
  fresh := current_setting('transaction_isolation') = 'read committed';
  if tg_when = 'AFTER' then
    perform set_config('afluente.truncating', '', true);
    return null;
  elsif not whole and (partitioned or current_setting('afluente.truncating', true) = source_table) then
    return null;
  end if;
  select c.* into strict captured from afluente.captured_tables c where c.schema_name = tg_argv[0] and c.table_name = tg_argv[1];
  if not whole and pg_partition_root(tg_relid) is distinct from captured.table_oid then
    raise exception using errcode = '55000', message = 'a partition was truncated after it was detached, or the table was renamed';
  end if;
  -- A version must not be drawn before the transaction has an id (see afluente.settle).
  perform pg_current_xact_id();

  members := case when partitioned then '' else 'only ' end || target;
  execute format('select count(*) from (select from %s limit 100001) r', members) into rows;
  if whole and (rows > 100000 or not fresh) then
    insert into afluente.outbox (version, source_table, topic, key, shard, op, occurred_at, traceparent)
    values (
      nextval('afluente.version'), source_table, captured.topic, '[]',
      afluente.shard_of('[]', (select n.last_value from afluente.shard_count n)), 'truncate', clock_timestamp(), afluente.traceparent()
    );
  else
    keeps := afluente.measure_outbox();
    if keeps = 2 then
      raise exception using errcode = '53100', message = 'the outbox is four times over its budget: deletes were not kept';
    end if;
    -- Of very many rows, and where a dump numbered the columns anew, the keys alone: a delete needs no more.
    hidden := afluente.hidden_columns(captured.table_oid, captured.exclude_numbers) || captured.exclude;
    images := keeps = 0 and rows <= 100000 and (captured.exclude = '{}' or captured.numbers_of = captured.table_oid);
    execute format(
      $insert$insert into afluente.outbox (version, source_table, topic, key, shard, op, before, occurred_at, traceparent)
      select
        nextval('afluente.version'), %1$L, %2$L, r.key,
        afluente.shard_of(r.key, (select n.last_value from afluente.shard_count n)), 'delete', r.image, clock_timestamp(), afluente.traceparent()
      from (select jsonb_build_array(%3$s)::text as key, case when $1 then %4$s end as image from %5$s r) r$insert$,
      source_table, captured.topic,
      (select string_agg(format('r.%I', k.name), ', ' order by k.position) from unnest(captured.key_columns) with ordinality k (name, position)),
      case when hidden = '{}' then 'row_to_json(r.*)' else 'afluente.without_columns(row_to_json(r.*), $2)' end,
      members
    ) using images, hidden;
  end if;
  if not whole and not fresh then
    perform afluente.note_failure(source_table, '55000', 'a partition was truncated under an old snapshot: deletes may be missing');
  end if;
  if partitioned then
    perform set_config('afluente.truncating', source_table, true);
  end if;
  if (rows > 0 or not fresh) and exists (select from afluente.shards s where s.leased_until <= clock_timestamp()) then
    perform afluente.ring();
  end if;
  return null;
exception
  when serialization_failure then
    raise;
  when others then
    begin
      perform afluente.note_failure(source_table, sqlstate, sqlerrm);
    exception when others then
      null;
    end;
    return null;
end
$$;
