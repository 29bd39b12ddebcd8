-- The changes of one key that are committed and not yet acknowledged, newest first: {"changes":[[version, op, occurred_at, traceparent], …]}.
-- No images: whoever asks where a row is need not see what it holds. The keys of other rows are passed over in their shard's order, above
-- what is settled, so it is fast behind dead rows as well.
create function afluente.waiting(source_table text, key text, max_rows int) returns json
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
  select json_build_object('changes', coalesce(json_agg(
    json_build_array(w.version, w.op, to_char(w.occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), w.traceparent) order by w.version desc
  ), '[]'))
  from (
    select o.version, o.op, o.occurred_at, o.traceparent
    from afluente.shards s
    join afluente.outbox o on o.shard = s.shard and o.version > s.settled
    where s.shard = afluente.shard_of(waiting.key, (select n.last_value from afluente.shard_count n))
      and o.source_table = waiting.source_table and o.key = waiting.key
    order by o.version desc
    limit waiting.max_rows
  ) w
$$;

revoke all on function afluente.waiting(text, text, int) from public, anon, authenticated;
grant execute on function afluente.waiting(text, text, int) to service_role;
