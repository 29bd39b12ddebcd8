-- What the triggers of every captured table share.

-- The caller's trace: a setting of the session, else PostgREST's request header. Read by pattern, for text that isn't JSON
-- must not raise; anything that isn't a W3C traceparent is none. Has no settings of its own, so that it can be inlined.
create function afluente.traceparent() returns text
language sql
stable
as $$
  select coalesce(
    substring(current_setting('afluente.traceparent', true) from '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'),
    substring(
      current_setting('request.headers', true)
      from '"traceparent"[[:space:]]*:[[:space:]]*"([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})"'
    )
  )
$$;

-- A row's JSON without some columns, the rest as it stood, byte for byte. json_each reads \u escapes and refuses some that json
-- holds (\u0000, half a surrogate), so they and double backslashes stand aside meanwhile, as a mark that the image can't hold.
create function afluente.without_columns(image json, hidden text[]) returns json
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select replace(replace(
    '{' || coalesce(string_agg(to_json(c.key)::text || ':' || c.value::text, ',' order by c.ordinality), '') || '}',
    m.mark || 'u', chr(92) || 'u'), m.mark || 'b', repeat(chr(92), 2)
  )::json
  from (select 'm' || md5(image::text) as mark) m
  left join lateral json_each(
    replace(replace(image::text, repeat(chr(92), 2), m.mark || 'b'), chr(92) || 'u', m.mark || 'u')::json
  ) with ordinality c
    on to_json(c.key)::text not in (
      select replace(replace(to_json(h.name)::text, repeat(chr(92), 2), m.mark || 'b'), chr(92) || 'u', m.mark || 'u') from unnest(hidden) h (name)
    )
  group by m.mark
$$;

-- The present names of excluded columns, told by number, so that renaming one doesn't let it out.
create function afluente.hidden_columns("table" regclass, numbers smallint[]) returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(array_agg(a.attname::text), '{}') from pg_attribute a
  where a.attrelid = hidden_columns."table" and a.attnum = any (hidden_columns.numbers) and not a.attisdropped
$$;

-- The names that are excluded: those of now, by number where the numbers hold, and all former ones, for a column that was dropped may come
-- back under its name.
create function afluente.excluded_names(captured afluente.captured_tables) returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select array(
    select n.name from unnest(captured.exclude) n (name)
    union
    select h.name from unnest(afluente.hidden_columns(captured.table_oid, captured.exclude_numbers)) h (name)
    where captured.numbers_of = captured.table_oid
    order by 1
  )
$$;

-- Notes that a statement's changes were not captured. Never raises. Only messages of kinds that can't quote a row's values
-- are kept in words; of the others, the code alone.
create function afluente.note_failure(source_table text, code text, message text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set client_min_messages = error
as $$
begin
  insert into afluente.failures (source_table, failed_at, failure)
  values (
    note_failure.source_table, clock_timestamp(),
    case when left(code, 2) in ('42', '53', '54', '55', '57', '58') then code || ': ' || left(message, 300) else code end
  );
exception when others then
  -- For the server's log alone: a message of level LOG would take the user's statement there as well, values and all.
  raise warning 'afluente: a change of % was not captured (%), and the failure could not be noted (%)', source_table, code, sqlstate;
end
$$;

-- Notes a state that lasts, once until it is folded: with a code that nothing of a table's changes could be kept, without one
-- that their keys alone were. Under SERIALIZABLE each time: to look first would make transactions on tables that have nothing to
-- do with each other fail each other.
create function afluente.note_once(source_table text, code text default null, message text default null) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if current_setting('transaction_isolation') = 'serializable' or not exists (
    select from afluente.failures f
    where f.source_table = note_once.source_table and left(f.failure, 5) is not distinct from note_once.code
  ) then
    insert into afluente.failures (source_table, failed_at, failure)
    values (note_once.source_table, clock_timestamp(), code || ': ' || message);
  end if;
end
$$;

-- Marks a table whose rows were written in a partition that no sweep has seen yet: were it gone before the next one, nothing else would
-- tell. Answers the op of the change.
create function afluente.note_newcomer(source_table text, op text) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform afluente.note_once(source_table, '55000', 'rows came into a partition before a sweep had seen it');
  return op;
end
$$;

-- A text with each {placeholder} replaced by its part, in one pass: what stands in a part is left alone.
create function afluente.fill(template text, parts json) returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select string_agg(t.piece || coalesce(parts ->> p.name[1], ''), '' order by t.position)
  from regexp_split_to_table(template, '\{[a-z ]+\}') with ordinality t (piece, position)
  left join regexp_matches(template, '\{([a-z ]+)\}', 'g') with ordinality p (name, position) using (position)
$$;

-- The function that reads rows of a table by their keys, beside the one of its triggers.
create function afluente.reader_of(function_name text) returns text
language sql
immutable
as $$
  select regexp_replace(function_name, '^capture', 'read')
$$;

-- The function that locks rows of a table by their keys.
create function afluente.locker_of(function_name text) returns text
language sql
immutable
as $$
  select regexp_replace(function_name, '^capture', 'lock')
$$;

-- The shard of a key. No settings of its own, and each argument used once: inlined.
create function afluente.shard_of(key text, shard_count bigint) returns int
language sql
immutable
as $$
  select mod(hashtextextended(key, 0) & 9223372036854775807, shard_count)::int
$$;

-- The columns of a table's primary key, in its order; null without one.
create function afluente.primary_key("table" regclass) returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select array_agg(a.attname::text order by k.position)
  from pg_index i
  cross join lateral unnest(i.indkey::smallint[]) with ordinality k (number, position)
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
  where i.indrelid = primary_key."table" and i.indisprimary and k.position <= i.indnkeyatts
$$;
