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
      from '"traceparent"\s*:\s*"([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})"'
    )
  )
$$;

-- A row's JSON without some columns, the rest as it stood, byte for byte.
create function afluente.without_columns(image json, hidden text[]) returns json
language sql
immutable
set search_path = ''
as $$
  select ('{' || coalesce(string_agg(to_json(c.key)::text || ':' || c.value::text, ',' order by c.ordinality), '') || '}')::json
  from json_each(image) with ordinality c
  where c.key <> all (hidden)
$$;

-- The present names of excluded columns, told by number, so that renaming one doesn't let it out.
create function afluente.hidden_columns("table" regclass, numbers smallint[]) returns text[]
language sql
stable
set search_path = ''
as $$
  select coalesce(array_agg(a.attname::text), '{}') from pg_attribute a
  where a.attrelid = hidden_columns."table" and a.attnum = any (hidden_columns.numbers) and not a.attisdropped
$$;

-- Notes that a statement's changes were not captured. Never raises. Only messages of kinds that can't quote a row's values
-- are kept in words; of the others, the code alone.
create function afluente.note_failure(source_table text, code text, message text) returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into afluente.failures (source_table, failed_at, failure)
  values (
    note_failure.source_table, clock_timestamp(),
    case when left(code, 2) in ('42', '53', '54', '55', '57', '58') then code || ': ' || left(message, 300) else code end
  );
exception when others then
  raise log 'afluente: a change of % was not captured (%), and the failure could not be noted (%)', source_table, code, sqlstate;
end
$$;

-- Notes a state that lasts, once until it is folded: with a code that nothing of a table's changes could be kept, without one
-- that their keys alone were.
create function afluente.note_once(source_table text, code text default null, message text default null) returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  if not exists (
    select from afluente.failures f
    where f.source_table = note_once.source_table and left(f.failure, 5) is not distinct from note_once.code
  ) then
    insert into afluente.failures (source_table, failed_at, failure)
    values (note_once.source_table, clock_timestamp(), code || ': ' || message);
  end if;
end
$$;

-- A text with each {placeholder} replaced by its part, in one pass: what stands in a part is left alone.
create function afluente.fill(template text, parts json) returns text
language sql
immutable
set search_path = ''
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

-- The shard of a key. No settings of its own: inlined.
create function afluente.shard_of(key text, shard_count bigint) returns int
language sql
immutable
as $$
  select case shard_count when 1 then 0 else mod(hashtextextended(key, 0) & 9223372036854775807, shard_count)::int end
$$;

-- The columns of a table's primary key, in its order; null without one.
create function afluente.primary_key("table" regclass) returns text[]
language sql
stable
set search_path = ''
as $$
  select array_agg(a.attname::text order by k.position)
  from pg_index i
  cross join lateral unnest(i.indkey::smallint[]) with ordinality k (number, position)
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
  where i.indrelid = primary_key."table" and i.indisprimary and k.position <= i.indnkeyatts
$$;
