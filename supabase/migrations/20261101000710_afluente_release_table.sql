-- Stops capturing a table, a dropped one too (by its number). Changes already in the outbox still go out. Were it captured again, it
-- would be marked, for what is written from now on is in no stream.
create function afluente.release_table("table" regclass) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  captured afluente.captured_tables;
begin
  delete from afluente.captured_tables c where c.table_oid = "table" returning c.* into captured;
  if captured is null then
    raise exception 'afluente: % is not captured', "table" using hint = 'select table_oid from afluente.captured_tables lists what is.';
  end if;
  perform afluente.drop_triggers(
    "table"::oid || captured.members || afluente.partitions("table"), captured.schema_name, captured.table_name
  );
  execute format(
    'drop function if exists afluente.%I(), afluente.%I(text[]), afluente.%I(text[])',
    captured.function_name, afluente.reader_of(captured.function_name), afluente.locker_of(captured.function_name)
  );
  perform afluente.note_failure(captured.schema_name || '.' || captured.table_name, '55000', 'the table was not captured for a while: it needs a reconcile');
end
$$;

revoke all on all functions in schema afluente from public, anon, authenticated;
