-- Partitions come and go without firing any trigger of rows. Gives the triggers to those that were attached, takes them off those
-- that were detached, and marks the table to be reconciled when rows came or went with them: a partition that was never written
-- came without any, one that is empty now may have lost what came through the root. Called by each sweep; a table that
-- somebody is working on waits for the next.
create function afluente.adopt_partitions() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
declare
  captured afluente.captured_tables;
  former oid[];
  present oid[];
  member oid;
  moved boolean;
begin
  for captured in
    select c.* from afluente.captured_tables c join pg_class r on r.oid = c.table_oid
    where r.relkind = 'p' and c.members <> afluente.partitions(c.table_oid)
  loop
    begin
      former := captured.members;
      present := afluente.partitions(captured.table_oid);
      moved := not present @> former;
      perform afluente.capture_table(
        captured.table_oid, captured.topic, afluente.excluded_names(captured), captured.with_before
      );
      foreach member in array former loop
        if not member = any (present) and exists (select from pg_class c where c.oid = member) then
          perform afluente.drop_triggers(array[member], captured.schema_name, captured.table_name);
        end if;
      end loop;
      moved := moved or exists (
        select from pg_class c
        where c.oid = any (present) and c.oid <> all (former) and c.relkind = 'r'
          and (pg_relation_size(c.oid) > 0 or pg_relation_filenode(c.oid) <> c.oid or c.reltuples >= 0)
      );
      if moved then
        perform afluente.note_failure(
          captured.schema_name || '.' || captured.table_name, '55000', 'partitions with rows were attached, detached or dropped'
        );
      end if;
    exception when others then
      raise log 'afluente: the partitions of % wait for the next sweep (%)', captured.table_oid, sqlstate;
    end;
  end loop;
end
$$;

revoke all on function afluente.adopt_partitions() from public, anon, authenticated;
