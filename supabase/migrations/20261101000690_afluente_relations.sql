-- What capture has to know of a table: its partitions, whether it has a log, which triggers are ours.

-- The partitions of a table, at every depth, by number; empty for a table that has none. Not by pg_partition_tree, which locks them:
-- a sweep would wait behind somebody's ALTER TABLE.
create function afluente.partitions("table" regclass) returns oid[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive tree (oid) as (
    select i.inhrelid from pg_inherits i join pg_class c on c.oid = i.inhparent
    where i.inhparent = partitions."table" and c.relkind = 'p' and not i.inhdetachpending
    union all
    select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid where not i.inhdetachpending
  )
  select coalesce(array_agg(t.oid order by t.oid), '{}') from tree t
$$;

-- A table without a log, or one of its partitions, by name; null when there is none.
create function afluente.unlogged("table" regclass) returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select min(c.oid::regclass::text)
  from unnest(unlogged."table"::oid || afluente.partitions(unlogged."table")) m (oid) join pg_class c on c.oid = m.oid
  where c.relkind = 'r' and c.relpersistence = 'u'
$$;

-- Whether a subscription writes into one of these tables.
create function afluente.is_replicated(tables oid[]) returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (select from pg_subscription_rel s where s.srrelid = any (is_replicated.tables))
$$;

-- Takes the triggers off tables that were captured under this name: they may be another one's by now, captured alone or attached
-- elsewhere. What Postgres gave to partitions goes with that of the whole.
create function afluente.drop_triggers(tables oid[], schema_name text, table_name text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  found record;
begin
  for found in
    select n.nspname as schema, c.relname as table, t.tgname as trigger
    from pg_trigger t
    join pg_class c on c.oid = t.tgrelid
    join pg_namespace n on n.oid = c.relnamespace
    where c.oid = any (tables) and t.tgparentid = 0 and afluente.captures(t, drop_triggers.schema_name, drop_triggers.table_name)
  loop
    execute format('drop trigger %I on %I.%I', found.trigger, found.schema, found.table);
  end loop;
end
$$;

-- Whether a trigger is one of ours, made for the table of this name.
create function afluente.captures(trigger pg_trigger, schema_name text, table_name text) returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select trigger.tgname like 'afluente\_%'
    and trigger.tgargs = convert_to(schema_name, 'UTF8') || decode('00', 'hex') || convert_to(table_name, 'UTF8') || decode('00', 'hex')
$$;
