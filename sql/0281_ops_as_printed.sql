-- Runs a statement that reads, with values printed as the source prints them for its outbox, whatever the session's settings are: a pooler
-- keeps none. The statement takes two arrays of text ($1, $2) and gives one column of text. It has the caller's rights, and can't write.
create or replace function ops.as_printed(statement text, first text[], second text[]) returns setof text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set row_security = off
set jit = off
as $$
begin
  return query execute statement using first, second;
end
$$;

revoke all on function ops.as_printed(text, text[], text[]) from public;
