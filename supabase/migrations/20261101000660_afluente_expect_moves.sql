-- A row that an UPDATE moves to another partition is in the transition tables of its triggers. One that a MERGE moves is in those of
-- no UPDATE, but among the deleted and the inserted rows, whose triggers don't fire unless the MERGE has such actions as well.
-- Triggers of each row do fire, and would double what every INSERT and DELETE costs. So they have conditions (see
-- afluente.capture_table), and this one, before an UPDATE or a MERGE of a partitioned table, opens them until the client's message is done.
--
-- Only where it is sure to be no MERGE are they left closed: a client sent the statement itself, and without that word in its text.
-- What a prepared statement says is in no such text, and very long ones aren't searched. Opened for nothing, a change that was
-- sent already is sent once more.
create function afluente.expect_moves() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  callers text;
  sent text;
begin
  get diagnostics callers = pg_context;
  sent := left(current_query(), 10001);
  if strpos(callers, e'\n') > 0 or (length(sent) <= 10000 and sent !~* 'merge|exec') is not true then
    perform set_config('afluente.merging', extract(epoch from statement_timestamp())::text, true);
  end if;
  return null;
end
$$;
