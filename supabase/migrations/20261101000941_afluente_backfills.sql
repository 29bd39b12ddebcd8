-- Backfills: rows that were there before go out as reads. What is to be sent and how far it got lies here, so that one that was
-- killed goes on where it was, and one that runs can be paused from elsewhere. Who runs it reads keys in their order, and
-- sends them with afluente.send_backfill, chunk by chunk.

create table afluente.backfills (
  id bigint generated always as identity constraint backfills_pkey primary key,
  source_table text not null,
  -- A condition in SQL, for the role that reads the keys; null for every row. Nothing here ever runs it.
  condition text,
  -- How far back the rows' own times may lie, and the moment which that was when it began.
  span interval,
  since timestamptz,
  row_limit bigint constraint backfills_row_limit_check check (row_limit > 0),
  -- offered: nobody has begun. Who works on one that is running holds its lease; without a holder it was interrupted.
  state text not null constraint backfills_state_check check (state in ('offered', 'running', 'paused', 'cancelled', 'done')),
  -- The last key of those that were sent, or given to waiting.
  reached text,
  -- Keys that somebody held, or for which there was no room. They are asked for again.
  waiting text[] not null default '{}',
  -- About how many rows there are to see.
  estimate bigint,
  seen bigint not null default 0,
  sent bigint not null default 0,
  -- Rows that were deleted between the reading of their keys and their turn: their end was captured.
  gone bigint not null default 0,
  -- Rows that could not be printed.
  failed bigint not null default 0,
  owner text,
  epoch bigint not null default 0,
  leased_until timestamptz not null default '-infinity',
  began_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Of what is asked for in the same words there is one at a time.
create unique index backfills_asked_key on afluente.backfills (
  source_table, coalesce(condition, ''), coalesce(span, '-1 day'), coalesce(row_limit, 0)
) where state in ('offered', 'running', 'paused');

alter table afluente.backfills enable row level security;
revoke all on afluente.backfills from public, anon, authenticated;

-- A backfill as everybody is told of it.
create function afluente.backfill_json(backfill afluente.backfills) returns json
language sql
volatile
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
  select json_build_object(
    'id', backfill.id, 'table', backfill.source_table, 'condition', backfill.condition,
    'since', to_char(backfill.since, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'limit', backfill.row_limit, 'state', backfill.state,
    'worked', backfill.state in ('running', 'paused') and backfill.leased_until > clock_timestamp(),
    'reached', backfill.reached, 'waiting', backfill.waiting, 'estimate', backfill.estimate, 'seen', backfill.seen, 'sent', backfill.sent,
    'gone', backfill.gone, 'failed', backfill.failed, 'beganAt', to_char(backfill.began_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'endedAt', to_char(backfill.ended_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  )
$$;

-- Begins a backfill of a table (<schema>.<table>), or takes up the one that was asked for in the same words and has not ended: its answer tells by what it
-- has seen, and by its state.
create function afluente.start_backfill(
  "table" text, condition text default null, span interval default null, row_limit bigint default null, estimate bigint default null
) returns json
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  begun afluente.backfills;
begin
  if not exists (select from afluente.captured_tables c where c.schema_name || '.' || c.table_name = start_backfill."table") then
    raise exception using errcode = '42704', message = format('afluente: %s is not captured', coalesce(start_backfill."table", 'null')),
      hint = 'select afluente.capture_table(''<table>'') captures it.';
  end if;
  insert into afluente.backfills as b (source_table, condition, span, since, row_limit, state, estimate)
  values (
    start_backfill."table", start_backfill.condition, start_backfill.span, clock_timestamp() - start_backfill.span, start_backfill.row_limit,
    'running', start_backfill.estimate
  )
  on conflict (source_table, coalesce(condition, ''), coalesce(span, '-1 day'), coalesce(row_limit, 0)) where state in ('offered', 'running', 'paused')
  do update set
    state = case b.state when 'offered' then 'running' else b.state end,
    began_at = case b.state when 'offered' then clock_timestamp() else b.began_at end,
    estimate = case b.state when 'offered' then excluded.estimate else b.estimate end
  returning b.* into begun;
  return afluente.backfill_json(begun);
end
$$;

-- Says that a table which is captured from now on has rows already, and what sends them.
create function afluente.offer_backfill("table" regclass) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
declare
  schema_name text;
  table_name text;
  filled boolean;
begin
  select n.nspname, c.relname into schema_name, table_name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = offer_backfill."table";
  execute format('select exists (select from %I.%I)', schema_name, table_name) into filled;
  if filled then
    insert into afluente.backfills (source_table, state) values (schema_name || '.' || table_name, 'offered') on conflict do nothing;
    raise notice 'afluente: % has rows already, which wait for their next change. This sends them now: npx afluente backfill %',
      format('%I.%I', schema_name, table_name), schema_name || '.' || table_name;
  end if;
end
$$;

-- Takes a backfill, and with it the right to send, for a lease that each sending renews:
--   {"status":"held","epoch":3,"backfill":{…}}, {"status":"busy","retryMs":900,"backfill":{…}} while somebody else works on it,
--   {"status":"ended","backfill":{…}}, or {"status":"unknown"}.
-- Whoever had it before is refused from then on.
create function afluente.hold_backfill(id bigint, owner text, lease interval default '10 seconds') returns json
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  held afluente.backfills;
begin
  select b.* into held from afluente.backfills b where b.id = hold_backfill.id for update;
  if not found then
    return json_build_object('status', 'unknown');
  elsif held.state not in ('running', 'paused') then
    return json_build_object('status', 'ended', 'backfill', afluente.backfill_json(held));
  elsif held.leased_until > clock_timestamp() and held.owner <> hold_backfill.owner then
    return json_build_object(
      'status', 'busy', 'retryMs', ceil(extract(epoch from held.leased_until - clock_timestamp()) * 1000)::bigint,
      'backfill', afluente.backfill_json(held)
    );
  end if;
  update afluente.backfills b set epoch = b.epoch + 1, owner = hold_backfill.owner, leased_until = clock_timestamp() + lease
  where b.id = hold_backfill.id returning b.* into held;
  return json_build_object('status', 'held', 'epoch', held.epoch, 'backfill', afluente.backfill_json(held));
end
$$;

-- Sends the rows of these keys, and notes in the same transaction how far the backfill got; with no keys it renews the lease alone.
-- seen is how many rows are new, reached the last key of them (null when the keys were waiting); failed are keys whose rows
-- could not be printed: they are not among keys, and never asked for again.
--   {"status":"held","room":true,"backfill":{…}}, or {"status":"fenced"} and nothing done when somebody else has taken it over.
-- Nothing is sent unless it is running. What was reached already is not sent again, nor what no longer waits: the answer may have been
-- lost.
-- room says whether to send more now: the outbox is small, in rows and against its budget, so that changes of users don't wait behind.
create function afluente.send_backfill(
  id bigint, epoch bigint, keys text[] default '{}', seen int default 0, reached text default null, failed text[] default '{}',
  lease interval default '10 seconds'
) returns json
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
#variable_conflict use_variable
declare
  held afluente.backfills;
  captured regclass;
  answer json;
begin
  select b.* into held from afluente.backfills b where b.id = send_backfill.id for update;
  if held.epoch is distinct from send_backfill.epoch then
    return json_build_object('status', 'fenced');
  end if;
  if held.state = 'running' and (send_backfill.reached is null or held.reached is distinct from send_backfill.reached) then
    if send_backfill.reached is null then
      keys := array(select k.key from unnest(keys) k (key) where k.key = any (held.waiting));
      failed := array(select f.key from unnest(failed) f (key) where f.key = any (held.waiting));
    end if;
    if cardinality(keys) > 0 then
      select c.table_oid into captured from afluente.captured_tables c where c.schema_name || '.' || c.table_name = held.source_table;
      answer := afluente.resend_rows(captured, keys);
      held.waiting := array(
        select w.key from unnest(held.waiting) with ordinality w (key, rank) where w.key <> all (keys) order by w.rank
      ) || array(select json_array_elements_text(answer -> 'locked'));
      held.sent := held.sent + (answer ->> 'sent')::int;
      held.gone := held.gone + json_array_length(answer -> 'gone');
    end if;
    if failed <> '{}' then
      perform afluente.note_failure(held.source_table, '55000', format('%s row(s) could not be printed for a backfill', cardinality(failed)));
      held.waiting := array(
        select w.key from unnest(held.waiting) with ordinality w (key, rank) where w.key <> all (failed) order by w.rank
      );
    end if;
    held.seen := held.seen + seen;
    held.failed := held.failed + cardinality(failed);
    held.reached := coalesce(send_backfill.reached, held.reached);
  end if;
  update afluente.backfills b
  set
    waiting = held.waiting, seen = held.seen, sent = held.sent, gone = held.gone, failed = held.failed, reached = held.reached,
    leased_until = clock_timestamp() + lease
  where b.id = send_backfill.id
  returning b.* into held;
  return json_build_object('status', 'held', 'room', afluente.has_room(), 'backfill', afluente.backfill_json(held));
end
$$;

-- Whether rows may be sent once more now: fewer than 5000 changes wait, and a quarter of the outbox's budget isn't taken.
create function afluente.has_room() returns boolean
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
  select
    0 = (
      select case
        when abs(extract(epoch from clock_timestamp()) * 1000 - m.last_value / 4) > 5000 then afluente.measure_outbox() else m.last_value % 4
      end
      from afluente.outbox_measured m
    )
    and 5000 > (
      select count(*) from (
        select from afluente.shards s
        cross join lateral (select from afluente.outbox o where o.shard = s.shard and o.version > s.settled limit 5000) o
        limit 5000
      ) o
    )
    and (select afluente.outbox_bytes(i.outbox_budget / 4) < i.outbox_budget / 4 from afluente.installation i)
$$;

-- Lets go of a backfill; with done, notes that every row was sent. {"status":"done","backfill":{…}}, or {"status":"fenced"}.
create function afluente.release_backfill(id bigint, epoch bigint, done boolean default false) returns json
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  held afluente.backfills;
begin
  update afluente.backfills b
  set
    leased_until = clock_timestamp(), state = case when done and b.state = 'running' and b.waiting = '{}' then 'done' else b.state end,
    ended_at = case when done and b.state = 'running' and b.waiting = '{}' then clock_timestamp() else b.ended_at end
  where b.id = release_backfill.id and b.epoch = release_backfill.epoch
  returning b.* into held;
  if not found then
    return json_build_object('status', 'fenced');
  end if;
  return json_build_object('status', 'done', 'backfill', afluente.backfill_json(held));
end
$$;

revoke all on function
  afluente.backfill_json(afluente.backfills), afluente.start_backfill(text, text, interval, bigint, bigint), afluente.offer_backfill(regclass),
  afluente.hold_backfill(bigint, text, interval), afluente.send_backfill(bigint, bigint, text[], int, text, text[], interval), afluente.has_room(),
  afluente.release_backfill(bigint, bigint, boolean)
from public, anon, authenticated;
grant execute on function
  afluente.start_backfill(text, text, interval, bigint, bigint), afluente.hold_backfill(bigint, text, interval),
  afluente.send_backfill(bigint, bigint, text[], int, text, text[], interval), afluente.release_backfill(bigint, bigint, boolean)
to service_role;
