-- ALTER changes rows that are there without firing any trigger: a column is given another type, or comes with a default; a label
-- of an enum is renamed.
-- What a table's columns were when they were last looked at tells it, for the sinks have the rows as they were before.

-- A table's columns as the catalog has them now: {"key":[[number,type,modifier,collation],…],
-- "columns":{"<number>":[type,written,{"<oid>":"<label of its enum>"}]}, "files":{"<oid>":file}, "triggers":{"<oid>":written}}.
-- written is the transaction that wrote the entry of a column, or of a trigger of ours, last; a file is another one once the table was
-- rewritten. Text and varchar print alike, and count as one type.
create function afluente.columns_of("table" regclass) returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with present as (
    select
      a.attnum as number, case a.atttypid when 'varchar'::regtype then 'text'::regtype::oid else a.atttypid end::bigint as type,
      a.atttypmod as modifier, a.attcollation::bigint as collation, a.xmin::text::bigint as written,
      coalesce(case when t.typcategory in ('E', 'A') then (
        select jsonb_object_agg(e.oid, e.enumlabel) from pg_enum e where e.enumtypid = any (array[t.oid, t.typelem, t.typbasetype])
      ) end, '{}') as labels
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
    where a.attrelid = columns_of."table" and a.attnum > 0 and not a.attisdropped
  )
  select jsonb_build_object(
    'key', (
      select jsonb_agg(jsonb_build_array(p.number, p.type, p.modifier, p.collation) order by k.position)
      from pg_index i
      cross join lateral unnest(i.indkey::smallint[]) with ordinality k (number, position)
      join present p on p.number = k.number
      where i.indrelid = columns_of."table" and i.indisprimary and k.position <= i.indnkeyatts
    ),
    'columns', (select coalesce(jsonb_object_agg(p.number, jsonb_build_array(p.type, p.written, p.labels)), '{}') from present p),
    'triggers', (
      select jsonb_object_agg(t.oid, t.xmin::text::bigint)
      from unnest(columns_of."table"::oid || afluente.partitions(columns_of."table")) m (oid)
      join pg_trigger t on t.tgrelid = m.oid
      where t.tgname like 'afluente\_%'
    ),
    'files', (
      select jsonb_object_agg(c.oid, c.relfilenode::bigint)
      from unnest(columns_of."table"::oid || afluente.partitions(columns_of."table")) m (oid) join pg_class c on c.oid = m.oid
    )
  )
$$;

-- The columns whose values in rows that are there may be others than before, by name; null when there are none. A column has
-- another type; or it is new and the old rows have a value in it; or its entry was written and the table as well, which is how a
-- USING that keeps the type and a default that differs from row to row come about; or a label of its enum was renamed. Excluded columns don't count.
create function afluente.altered_columns(captured afluente.captured_tables, present jsonb) returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
  from (
    select exists (
      select from jsonb_each(captured.columns -> 'files') f where present -> 'files' ? f.key and present -> 'files' -> f.key <> f.value
    ) as rewritten
  ) w
  cross join lateral (
    select n.key::smallint as number, captured.columns -> 'columns' -> n.key as former, n.value as now from jsonb_each(present -> 'columns') n
  ) c
  join pg_attribute a on a.attrelid = captured.table_oid and a.attnum = c.number
  where
    a.attnum <> all (captured.exclude_numbers)
    and case when c.former is null
      then w.rewritten or a.attgenerated <> '' or exists (
        select from pg_attribute m
        where m.attrelid = any (captured.table_oid::oid || captured.members) and m.attname = a.attname and m.atthasmissing
      )
      else c.former -> 0 <> c.now -> 0 or w.rewritten and c.former -> 1 <> c.now -> 1 or exists (
        select from jsonb_each_text(c.former -> 2) l where c.now -> 2 ->> l.key <> l.value
      )
    end
$$;

-- Marks a table to be reconciled when its columns are others than when they were last looked at, or its triggers were off meanwhile, and
-- keeps what they are now: so each change marks once. The key is kept as the triggers have it, until the table is captured anew: then another key marks as well, for
-- the sinks hold rows under the old one. Where the database is not the one it was, rebase marks every table.
create function afluente.note_altered("table" regclass, captured_anew boolean default false) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  captured afluente.captured_tables := (select c from afluente.captured_tables c where c.table_oid = note_altered."table");
  present jsonb := afluente.columns_of("table");
  altered text;
  switched boolean;
  reason text;
begin
  -- Numbers are those of the table that they were taken from.
  if captured.table_oid is null or captured.numbers_of <> "table" then
    return;
  end if;
  altered := afluente.altered_columns(captured, present);
  switched := exists (
    select from jsonb_each(captured.columns -> 'triggers') f where present -> 'triggers' ? f.key and present -> 'triggers' -> f.key <> f.value
  );
  if captured_anew and jsonb_path_query_array(captured.columns, '$.key[*][0 to 1]') <> jsonb_path_query_array(present, '$.key[*][0 to 1]') then
    reason := 'the primary key became another one: rows that were there before need a reconcile, which ends those under old keys';
  elsif altered is not null then
    reason := format('columns were changed, or added with a value: rows that were there before need a reconcile (%s)', altered);
  end if;
  if reason is null and switched then
    reason := 'triggers were switched off or changed for a while: what was written meanwhile needs a reconcile';
  end if;
  if reason is not null and afluente.moved((select i from afluente.installation i)) is not null then
    reason := null;
  end if;
  update afluente.captured_tables c
  set
    columns = jsonb_set(present, '{key}', captured.columns -> 'key'),
    failures = c.failures + (reason is not null)::int,
    last_failure = coalesce('55000: ' || left(reason, 300), c.last_failure),
    reconcile_since = coalesce(c.reconcile_since, case when reason is not null then clock_timestamp() end)
  where c.table_oid = "table" and c.columns = captured.columns;
end
$$;

-- Looks at the columns of every captured table, and captures those anew of which an excluded column was renamed: a dump keeps names
-- alone, so those of now must be among them. (Former ones stay excluded as well.) Called by each sweep; a table that somebody holds waits for the next.
create function afluente.note_alterations() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
declare
  captured record;
begin
  for captured in
    select c.table_oid, c.topic, c.with_before, afluente.excluded_names(c) as excluded, h.renamed
    from afluente.captured_tables c
    join pg_class r on r.oid = c.table_oid
    cross join lateral (
      select not c.exclude @> afluente.hidden_columns(c.table_oid, c.exclude_numbers) as renamed
    ) h
    where c.numbers_of = c.table_oid and (
      jsonb_set(afluente.columns_of(c.table_oid), '{key}', c.columns -> 'key') <> c.columns
      or h.renamed
    )
  loop
    begin
      perform afluente.note_altered(captured.table_oid);
      if captured.renamed then
        perform afluente.capture_table(captured.table_oid, captured.topic, captured.excluded, captured.with_before);
      end if;
    exception when others then
      raise log 'afluente: the columns of % wait for the next sweep (%)', captured.table_oid, sqlstate;
    end;
  end loop;
end
$$;

revoke all on function
  afluente.columns_of(regclass), afluente.altered_columns(afluente.captured_tables, jsonb), afluente.note_altered(regclass, boolean),
  afluente.note_alterations()
from public, anon, authenticated;
