-- What keeps a captured table from being captured, in words, or null.
create function afluente.capture_problem("table" regclass) returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  captured afluente.captured_tables := (select c from afluente.captured_tables c where c.table_oid = capture_problem."table");
  expected text := format('%I.%I', captured.schema_name, captured.table_name);
  again text := format('select afluente.capture_table(%L)', expected);
  present pg_class := (select c from pg_class c where c.oid = capture_problem."table");
  key_columns text[] := afluente.primary_key("table");
  parent text := (select min(i.inhparent::regclass::text) from pg_inherits i where i.inhrelid = capture_problem."table");
  suffix text := right(captured.function_name, 8);
  missing text;
begin
  if present.oid is null then
    return format('the table was dropped: create it again and %s, or select afluente.release_table(%s)', again, captured.table_oid::oid);
  elsif to_regclass(expected) is distinct from "table" then
    return format('the table was renamed or moved: select afluente.capture_table(%s) under its new name', captured.table_oid::oid);
  end if;
  if key_columns is null then
    return format('the table lost its primary key: add one, then %s', again);
  elsif key_columns <> captured.key_columns then
    return format('the primary key is now (%s): %s', array_to_string(key_columns, ', '), again);
  elsif captured.numbers_of = "table" and captured.columns -> 'key' <> afluente.columns_of("table") -> 'key' then
    return format('the triggers were made for other types of the key''s columns, or for other columns of their names: %s', again);
  elsif exists (select from pg_index i where i.indrelid = present.oid and i.indisprimary and not i.indimmediate) then
    return format('the primary key is deferrable: make it NOT DEFERRABLE, then %s', again);
  elsif present.relispartition then
    return format('the table became a partition of %s: capture that one, and select afluente.release_table(%L)', parent, expected);
  elsif parent is not null then
    return format('what is written through %1$s fires no trigger of this table: alter table %2$s no inherit %1$s', parent, expected);
  elsif afluente.unlogged("table") is not null then
    return format('a crash empties %1$s, and no trigger fires: alter table %1$s set logged', afluente.unlogged("table"));
  end if;
  select string_agg(m.oid::regclass || '.' || t.name, ', ') into missing
  from unnest(present.oid || afluente.partitions(present.oid)) m (oid)
  join pg_class c on c.oid = m.oid
  cross join lateral (
    values
      ('afluente_insert', true), ('afluente_update', true), ('afluente_delete', true), ('afluente_truncate', true),
      ('afluente_merge', c.relkind = 'p'), ('afluente_moved_out_' || suffix, present.relkind = 'p'),
      ('afluente_moved_in_' || suffix, present.relkind = 'p'), ('afluente_never_' || suffix, present.relkind = 'p')
  ) t (name, wanted)
  where t.wanted and not exists (
    select from pg_trigger g
    where g.tgrelid = m.oid and g.tgname = t.name and g.tgenabled = 'A' and afluente.captures(g, captured.schema_name, captured.table_name)
  );
  if missing is not null then
    return format('triggers are missing or switched off (%s): %s', missing, again);
  elsif afluente.is_replicated(present.oid || afluente.partitions(present.oid)) then
    return 'a subscription of logical replication writes into the table, and fires no statement''s trigger: capture the table where its rows are written';
  elsif present.relkind = 'p' and not has_function_privilege(present.relowner, format('afluente.%I()', captured.function_name), 'execute') then
    return format('%s owns the table now, and could not make a partition of it: %s', present.relowner::regrole, again);
  end if;
  return null;
end
$$;

-- Marks the tables that have a problem: what it loses is in no stream, also once it is mended. A table whose entry somebody holds waits
-- for the next look.
create function afluente.note_problems() returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  update afluente.captured_tables c set reconcile_since = clock_timestamp()
  where c.table_oid in (
    select n.table_oid from afluente.captured_tables n
    where n.reconcile_since is null and afluente.capture_problem(n.table_oid) is not null
    for no key update skip locked
  )
$$;

-- How the source side stands, for status pages and alarms:
--   {"rows":n, "oldestMs":n|null, "leased":bool, "failures":n, "refused":text|null, "keeps":"images"|"keys"|"nothing",
--    "tables":[{"table","topic","failures","lastFailure","reconcileSince","keysOnlySince","problem"}]}
-- rows stops counting at 10 001. refused is why claim refuses. keeps is what the outbox keeps of a change for now: above its
-- budget the keys alone, four times above it nothing.
create function afluente.backlog() returns json
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set enable_sort = off
set jit = off
as $$
begin
  perform afluente.mend_shard_count();
  perform afluente.note_alterations();
  perform afluente.adopt_partitions();
  perform afluente.note_problems();
  perform afluente.fold_failures();
  return json_build_object(
    'rows', (
      select count(*)
      from (
        select from afluente.shards s
        cross join lateral (select from afluente.outbox o where o.shard = s.shard and o.version > s.settled limit 10001) o
        limit 10001
      ) o
    ),
    'oldestMs', (
      select floor(extract(epoch from clock_timestamp() - min(o.occurred_at)) * 1000)::bigint
      from afluente.shards s
      cross join lateral (select o.occurred_at from afluente.outbox o where o.shard = s.shard and o.version > s.settled order by o.version limit 1) o
    ),
    'leased', (select coalesce(bool_or(s.leased_until > clock_timestamp()), false) from afluente.shards s),
    'refused', afluente.recognize(),
    'keeps', (array['images', 'keys', 'nothing'])[1 + afluente.measure_outbox()],
    'failures', (select coalesce(sum(c.failures), 0) from afluente.captured_tables c),
    'tables', (
      select coalesce(json_agg(
        json_build_object(
          'table', c.schema_name || '.' || c.table_name, 'topic', c.topic, 'failures', c.failures, 'lastFailure', c.last_failure,
          'reconcileSince', to_char(least(c.reconcile_since, c.reconciling_since), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
          'keysOnlySince', to_char(c.keys_only_since, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'problem', afluente.capture_problem(c.table_oid)
        )
        order by c.schema_name, c.table_name
      ), '[]')
      from afluente.captured_tables c
    )
  );
end
$$;

revoke all on function afluente.capture_problem(regclass), afluente.note_problems(), afluente.backlog() from public, anon, authenticated;
grant execute on function afluente.backlog() to service_role;
