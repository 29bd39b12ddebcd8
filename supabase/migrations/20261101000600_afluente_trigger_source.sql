-- The trigger function of one captured table, as text: static SQL with qualified names, so that its plans are kept and no
-- session's search path matters.
--
-- Transition tables say which keys a statement touched, no more. The image is read back from the table when the version is
-- drawn, for a user's own trigger or a cascade may have written the row again meanwhile, and that statement's trigger ran
-- first. Gone means deleted. The lookups are laterals fenced by OFFSET 0, with sequential scans and nested joins held down:
-- a plan made while the table was small, or by a statement of one row, must serve the next one of a million.
create function afluente.trigger_source(
  "table" regclass, function_name text, topic text, key_columns text[], exclude text[], with_before boolean
) returns text
language plpgsql
stable
set search_path = ''
as $source$
declare
  relation pg_class := (select c from pg_class c where c.oid = trigger_source."table");
  schema_name text := (select n.nspname from pg_namespace n where n.oid = relation.relnamespace);
  scan text := case relation.relkind when 'p' then '' else 'only ' end || format('%I.%I', schema_name, relation.relname);
  hidden_numbers smallint[];
  key_text text;
  key_values text;
  same_key text;
  same_text text;
  image text := 'row_to_json(r.*)';
  present text;
  gone text;
  source text;
begin
  -- r is the alias of whichever row a fragment is put beside. Equality is that of the primary key's index: the operator
  -- which a search path finds may belong to another type, and then no index serves it (citext). Beside it the key's text
  -- is compared, for values can be equal and print differently (numeric 1.0 and 1.00).
  select
    format('jsonb_build_array(%s)::text', string_agg(format('r.%I', k.name), ', ' order by k.position)),
    string_agg(format('r.%I as key%s', k.name, k.position), ', ' order by k.position),
    string_agg(
      format('r.%I operator(%I.%s) touched.key%s', k.name, s.nspname, o.oprname, k.position), ' and ' order by k.position
    )
  into key_text, key_values, same_key
  from unnest(key_columns) with ordinality k (name, position)
  join pg_index i on i.indrelid = trigger_source."table" and i.indisprimary
  join pg_opclass c on c.oid = i.indclass[k.position - 1]
  join pg_amop a
    on a.amopfamily = c.opcfamily and a.amoplefttype = c.opcintype and a.amoprighttype = c.opcintype and a.amopstrategy = 3
  join pg_operator o on o.oid = a.amopopr
  join pg_namespace s on s.oid = o.oprnamespace;

  select array_agg(a.attnum) into hidden_numbers
  from pg_attribute a
  where a.attrelid = trigger_source."table" and a.attname = any (exclude) and not a.attisdropped;

  if hidden_numbers is not null then
    image := 'afluente.without_columns(row_to_json(r.*), hidden)';
  end if;

  -- Of the keys in {rows}, those that stand in the table, with the image of now …
  present := $present$insert into afluente.outbox (version, source_table, topic, key, shard, op, before, after, occurred_at, traceparent)
    select nextval('afluente.version'), {name}, {topic}, touched.key, {shard}, '{op}', touched.before, present.image, moment, trace
    from (select {key values}, {key text} as key, {before} as before from {rows} r) touched
    cross join lateral (select {image} as image from {table} r where {same key} offset 0) present;$present$;
  -- … and those that don't, with the last image there was.
  gone := $gone$insert into afluente.outbox (version, source_table, topic, key, shard, op, before, after, occurred_at, traceparent)
    select nextval('afluente.version'), {name}, {topic}, touched.key, {shard}, 'delete', touched.before, null, moment, trace
    from (select {key values}, {key text} as key, {image} as before from {rows} r) touched
    left join lateral (select true as found from {table} r where {same key} offset 0) present on true
    where present.found is null;$gone$;

  source := $function$
create or replace function afluente.{function}() returns trigger
language plpgsql
security definer
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set row_security = off
set enable_seqscan = off
set enable_nestloop = off
set jit = off
as $capture$
#variable_conflict use_variable
declare
  moment timestamptz := clock_timestamp();
  trace text := afluente.traceparent();
  hidden text[]{hidden};
  shard_count bigint;
  leased boolean;
  touched_rows bigint;
  captured_rows bigint;
begin
  if tg_table_schema <> tg_argv[0] or tg_table_name <> tg_argv[1] then
    raise exception using errcode = '42P16', message = 'the table was renamed: call afluente.capture_table again';
  end if;
  select count(*), bool_and(s.leased_until > moment) into shard_count, leased from afluente.shards s;

  if tg_op = 'INSERT' then
    {inserted}
    get diagnostics captured_rows = row_count;
    select count(*) into touched_rows from afluente_new;
    if captured_rows < touched_rows then
      {gone new}
    end if;
  elsif tg_op = 'UPDATE' then
    {updated}
    get diagnostics captured_rows = row_count;
    select count(*) into touched_rows from afluente_old;
    if captured_rows < touched_rows then
      {gone old}
    end if;
    -- A changed key: gone under its old text (above), new under this one.
    {renamed}
  else
    {gone old}
    get diagnostics captured_rows = row_count;
    select count(*) into touched_rows from afluente_old;
    if captured_rows < touched_rows then
      {updated}
    end if;
  end if;

  if not leased and touched_rows > 0
    and (select r.last_value from afluente.last_rung r) < extract(epoch from moment) * 1000 - 200 then
    perform afluente.ring();
  end if;
  return null;
exception when others then
  perform afluente.note_failure({name}, sqlstate, sqlerrm);
  return null;
end
$capture$$function$;

  -- Names of the user's come last, so that nothing in them is taken for a placeholder.
  source := replace(source, '{inserted}', replace(replace(replace(present, '{rows}', 'afluente_new'), '{op}', 'insert'), '{before}', 'null::json'));
  source := replace(source, '{updated}', replace(replace(replace(present, '{rows}', 'afluente_old'), '{op}', 'update'), '{before}',
    case when with_before then '{image}' else 'null::json' end));
  source := replace(source, '{renamed}', replace(replace(replace(present, '{rows}', '(
      select r.* from afluente_new r
      where not exists (select from (select {key text} as key from afluente_old r) former where former.key = {key text})
    )'), '{op}', 'insert'), '{before}', 'null::json'));
  source := replace(source, '{gone new}', replace(gone, '{rows}', 'afluente_new'));
  source := replace(source, '{gone old}', replace(gone, '{rows}', 'afluente_old'));
  source := replace(source, '{shard}', 'case shard_count when 1 then 0 else mod(hashtextextended(touched.key, 0) & 9223372036854775807, shard_count) end');
  source := replace(source, '{image}', image);
  source := replace(source, '{hidden}', case when hidden_numbers is null then '' else format(' := afluente.hidden_columns(tg_relid, %L)', hidden_numbers) end);
  source := replace(source, '{function}', quote_ident(function_name));
  source := replace(source, '{key values}', key_values);
  source := replace(source, '{key text}', key_text);
  source := replace(source, '{same key}', same_key);
  source := replace(source, '{table}', scan);
  source := replace(source, '{topic}', quote_literal(topic));
  return replace(source, '{name}', quote_literal(schema_name || '.' || relation.relname));
end
$source$;
