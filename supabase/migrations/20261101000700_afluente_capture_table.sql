-- Captures a table's changes from now on, or changes how. Rows already there are sent by a backfill. Refuses what it could
-- not capture faithfully, each time with what to do instead. Of a partitioned table every partition gets the triggers, for a
-- write straight into one fires only its own. Those of moved rows are made on the whole: Postgres gives them to every
-- partition, also later ones, and takes them away again.
create function afluente.capture_table(
  "table" regclass, topic text default null, exclude text[] default '{}', with_before boolean default false
) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  relation pg_class := (select c from pg_class c where c.oid = capture_table."table");
  own_schema text := (select n.nspname from pg_namespace n where n.oid = relation.relnamespace);
  full_name text := case when relation.oid is not null then format('%I.%I', own_schema, relation.relname) end;
  topic_name text := coalesce(topic, format('afluente.%s.%s', own_schema, relation.relname));
  function_name text := format(
    'capture_%s_%s',
    left(regexp_replace(lower(own_schema || '_' || relation.relname), '[^a-z0-9]+', '_', 'g'), 40),
    left(md5(own_schema || '.' || relation.relname), 8)
  );
  -- Of the row triggers: a captured table may become a partition of another one, which has its own.
  suffix text := right(function_name, 8);
  former afluente.captured_tables := (select c from afluente.captured_tables c where c.table_oid = capture_table."table");
  key_columns text[];
  hidden_numbers smallint[];
  wrong text;
  member record;
  replaced afluente.captured_tables;
  -- Changes went by unseen: the triggers were off or gone, or another table had this name.
  unseen boolean := exists (
    select from afluente.captured_tables c
    where c.schema_name = own_schema and c.table_name = relation.relname and c.table_oid <> capture_table."table"
    or c.table_oid = capture_table."table" and exists (
      select from unnest(c.table_oid::oid || c.members) m (oid)
      where exists (select from pg_class p where p.oid = m.oid) and 4 > (
        select count(*) from pg_trigger t
        where t.tgrelid = m.oid and t.tgenabled = 'A'
        and t.tgname in ('afluente_insert', 'afluente_update', 'afluente_delete', 'afluente_truncate')
      )
    )
  );
begin
  exclude := coalesce(exclude, '{}');
  with_before := coalesce(with_before, false);
  if relation.oid is null then
    raise exception 'afluente: there is no table %', "table" using hint = 'Create the table first, then capture it.';
  elsif relation.relkind not in ('r', 'p') then
    raise exception 'afluente: % is % and has no rows of its own to capture', full_name,
      case relation.relkind when 'v' then 'a view' when 'm' then 'a materialized view' when 'f' then 'a foreign table' else 'no table' end
      using hint = 'Capture the tables behind it.';
  elsif relation.relpersistence = 't' then
    raise exception 'afluente: % is a temporary table', full_name using hint = 'Capture a permanent table.';
  elsif afluente.unlogged("table") is not null then
    -- A crash empties it, and no trigger fires.
    raise exception 'afluente: % is unlogged: a crash would empty it, and nobody would learn of it', afluente.unlogged("table")
      using hint = format('alter table %s set logged', afluente.unlogged("table"));
  elsif own_schema in ('afluente', 'information_schema') or own_schema like 'pg\_%' then
    raise exception 'afluente: tables of the schema % are not captured', own_schema using hint = 'Capture your own tables.';
  elsif relation.relispartition then
    raise exception 'afluente: % is a partition', full_name
      using hint = format('Capture the whole: select afluente.capture_table(%L).', pg_partition_root("table")::text);
  elsif relation.relkind = 'r' and exists (select from pg_inherits i where i.inhparent = relation.oid) then
    raise exception 'afluente: other tables inherit from %', full_name using hint = 'Make them partitions, or tables of their own.';
  elsif exists (select from pg_inherits i where i.inhrelid = relation.oid) then
    -- What is written through the parent fires the parent's triggers alone.
    raise exception 'afluente: % inherits from %', full_name, (select min(i.inhparent::regclass::text) from pg_inherits i where i.inhrelid = relation.oid)
      using hint = format('Make it a table of its own: alter table %s no inherit %s.', full_name,
        (select min(i.inhparent::regclass::text) from pg_inherits i where i.inhrelid = relation.oid));
  elsif exists (select from pg_class c where c.oid = any (afluente.partitions("table")) and c.relkind = 'f') then
    -- Postgres refuses writes that reach one from a table with our triggers.
    raise exception 'afluente: %, a partition of %, is a foreign table',
      (select min(c.oid::regclass::text) from pg_class c where c.oid = any (afluente.partitions("table")) and c.relkind = 'f'), full_name
      using hint = 'Detach it, or capture the other partitions as tables of their own.';
  elsif afluente.is_replicated(array["table"::oid] || afluente.partitions("table")) then
    raise exception 'afluente: rows come into % by logical replication, which fires no statement''s trigger', full_name
      using hint = 'Capture the table where its rows are written.';
  elsif not pg_has_role(current_user, relation.relowner, 'USAGE') then
    raise exception 'afluente: % belongs to %, and % may not put triggers on it', full_name, relation.relowner::regrole, current_user
      using hint = format('alter table %s owner to %I; or: grant %s to %I', full_name, current_user, relation.relowner::regrole, current_user);
  elsif row_security_active("table") then
    raise exception 'afluente: row-level security hides rows of % from %', full_name, current_user
      using hint = format('alter table %s no force row level security; or let a role with BYPASSRLS own the schema afluente.', full_name);
  elsif topic_name !~ '^[A-Za-z0-9._-]{1,245}$' or topic_name in ('.', '..') then
    -- Kafka takes 249 characters; that of its dead letters ends with .dlq.
    raise exception 'afluente: % is no name for a Kafka topic', quote_literal(topic_name)
      using hint = 'Give one of up to 245 letters, digits, ".", "_" and "-": select afluente.capture_table(''<table>'', topic => ''<topic>'').';
  end if;

  select format('%I.%I', c.schema_name, c.table_name) into wrong from afluente.captured_tables c
  where
    c.schema_name || '.' || c.table_name = own_schema || '.' || relation.relname
    and (c.schema_name, c.table_name) <> (own_schema, relation.relname::text);
  if wrong is not null then
    raise exception 'afluente: % and % would both be called %.%', full_name, wrong, own_schema, relation.relname
      using hint = 'Rename one of them.';
  end if;

  key_columns := afluente.primary_key("table");
  if key_columns is null then
    raise exception 'afluente: % has no primary key, and without one its rows can''t be told apart', full_name
      using hint = format('alter table %s add primary key (…)', full_name);
  elsif exists (select from pg_index i where i.indrelid = relation.oid and i.indisprimary and not i.indimmediate) then
    raise exception 'afluente: the primary key of % is deferrable: a delete could come after the insert that followed it', full_name
      using hint = 'Make the primary key NOT DEFERRABLE.';
  end if;

  select string_agg(coalesce(quote_ident(x.name), 'NULL'), ', ') into wrong from unnest(exclude) x (name)
  where
    -- One that was excluded already may be gone: should it come back, it stays excluded.
    x.name <> all (coalesce(former.exclude, '{}'))
    and not exists (select from pg_attribute a where a.attrelid = relation.oid and a.attname = x.name and a.attnum > 0 and not a.attisdropped);
  if wrong is not null then
    raise exception 'afluente: % has no column %', full_name, wrong using hint = 'Exclude columns by the names they have now.';
  end if;
  select string_agg(quote_ident(x.name), ', ') into wrong from unnest(exclude) x (name) where x.name = any (key_columns);
  if wrong is not null then
    raise exception 'afluente: % belongs to the primary key of % and can''t be excluded', wrong, full_name
      using hint = 'The key names the row at every sink: exclude other columns, or give the table a key without that one.';
  end if;

  select coalesce(array_agg(a.attnum), '{}') into hidden_numbers
  from pg_attribute a where a.attrelid = relation.oid and a.attname = any (exclude) and not a.attisdropped;

  -- Before the triggers are made anew: whether they were off for a while is read off them.
  perform afluente.note_altered("table", captured_anew => true);
  execute afluente.trigger_source("table", function_name, topic_name, key_columns, hidden_numbers, exclude, with_before);
  execute format(
    'revoke all on function afluente.%I(), afluente.%I(text[]), afluente.%I(text[]) from public, anon, authenticated',
    function_name, afluente.reader_of(function_name), afluente.locker_of(function_name)
  );
  -- Whoever makes a partition is asked for the right to the functions of the row triggers that Postgres gives it.
  execute format('grant execute on function afluente.%I(), afluente.expect_moves() to %I', function_name, pg_get_userbyid(relation.relowner));

  for member in
    select n.nspname as schema, c.relname as name, c.relkind = 'p' as parted
    from unnest(relation.oid || afluente.partitions("table")) t (oid)
    join pg_class c on c.oid = t.oid
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p')
  loop
    execute format($triggers$
      create or replace trigger afluente_insert after insert on %1$I.%2$I referencing new table as afluente_new
      for each statement execute function afluente.%3$I(%4$L, %5$L);
      create or replace trigger afluente_update after update on %1$I.%2$I referencing old table as afluente_old new table as afluente_new
      for each statement execute function afluente.%3$I(%4$L, %5$L);
      create or replace trigger afluente_delete after delete on %1$I.%2$I referencing old table as afluente_old
      for each statement execute function afluente.%3$I(%4$L, %5$L);
      create or replace trigger afluente_truncate before truncate on %1$I.%2$I
      for each statement execute function afluente.capture_truncate(%4$L, %5$L);
      alter table %1$I.%2$I enable always trigger afluente_insert, enable always trigger afluente_update,
        enable always trigger afluente_delete, enable always trigger afluente_truncate
    $triggers$, member.schema, member.name, function_name, own_schema, relation.relname);
    if member.parted then
      execute format($trigger$
        create or replace trigger afluente_merge before update on %1$I.%2$I for each statement execute function afluente.expect_moves(%3$L, %4$L);
        alter table %1$I.%2$I enable always trigger afluente_merge
      $trigger$, member.schema, member.name, own_schema, relation.relname);
    end if;
  end loop;
  if relation.relkind = 'p' then
    -- The first condition notes for the second that rows go: it is asked at each row, and that of a moved one's end before that
    -- of its beginning. Rows that a MERGE inserts without moving any thus cost nothing more.
    -- The trigger that never fires is there to be there: without any before an INSERT, Postgres (15 to 18) puts the row that a
    -- MERGE inserted last among the new rows of its updates, in place of each of them, and their new keys would be lost.
    execute format($trigger$
      create or replace trigger afluente_truncated after truncate on %1$I.%2$I
      for each statement execute function afluente.capture_truncate(%1$L, %2$L);
      create or replace trigger %4$I after delete on %1$I.%2$I for each row
      when (
        coalesce(current_setting('afluente.merging', true), '') <> ''
        and set_config('afluente.moving', current_setting('afluente.merging'), true) = extract(epoch from statement_timestamp())::text
      )
      execute function afluente.%3$I(%1$L, %2$L);
      create or replace trigger %5$I after insert on %1$I.%2$I for each row
      when (
        coalesce(current_setting('afluente.moving', true), '') <> ''
        and current_setting('afluente.moving') = extract(epoch from statement_timestamp())::text
      )
      execute function afluente.%3$I(%1$L, %2$L);
      create or replace trigger %6$I before insert on %1$I.%2$I for each row when (false) execute function afluente.expect_moves(%1$L, %2$L);
      alter table %1$I.%2$I enable always trigger afluente_truncated, enable always trigger %6$I, enable always trigger %4$I,
        enable always trigger %5$I
    $trigger$, own_schema, relation.relname, function_name, 'afluente_moved_out_' || suffix, 'afluente_moved_in_' || suffix, 'afluente_never_' || suffix);
  end if;
  if former.function_name <> function_name then
    execute format(
      'drop function if exists afluente.%I(), afluente.%I(text[]), afluente.%I(text[])',
      former.function_name, afluente.reader_of(former.function_name), afluente.locker_of(former.function_name)
    );
  end if;

  -- A dropped table may have left its name behind, and with it what is known against the copies of that name.
  perform afluente.fold_failures();
  delete from afluente.captured_tables c
  where c.table_oid <> "table" and c.schema_name = own_schema and c.table_name = relation.relname
  returning c.* into replaced;
  insert into afluente.captured_tables as c (
    table_oid, schema_name, table_name, topic, key_columns, exclude, exclude_numbers, numbers_of, with_before, function_name, members, columns,
    reconcile_since, keys_only_since, failures, last_failure
  )
  values (
    "table", own_schema, relation.relname, topic_name, key_columns, exclude, hidden_numbers, "table", with_before, function_name,
    afluente.partitions("table"), afluente.columns_of("table"),
    replaced.reconcile_since, replaced.keys_only_since, coalesce(replaced.failures, 0), replaced.last_failure
  )
  on conflict (table_oid) do update set
    schema_name = excluded.schema_name, table_name = excluded.table_name, topic = excluded.topic, key_columns = excluded.key_columns,
    exclude = excluded.exclude, exclude_numbers = excluded.exclude_numbers, numbers_of = excluded.numbers_of,
    with_before = excluded.with_before, function_name = excluded.function_name, members = excluded.members, columns = excluded.columns,
    reconcile_since = least(c.reconcile_since, excluded.reconcile_since), keys_only_since = least(c.keys_only_since, excluded.keys_only_since),
    failures = c.failures + excluded.failures, last_failure = coalesce(excluded.last_failure, c.last_failure);
  if former.function_name is null then
    perform afluente.offer_backfill("table");
  end if;
  if unseen then
    perform afluente.note_failure(
      own_schema || '.' || relation.relname, '55000', 'the table was written while it was not captured: it needs a reconcile'
    );
  end if;
end
$$;
