-- The functions of one captured table, as text: the one of its triggers, the one that reads rows by their keys, and the one that
-- locks them. Static SQL
-- with qualified names, so that its plans are kept and no session's search path matters.
--
-- Transition tables say which keys a statement touched, no more. The image is read back from the table when the version is
-- drawn, for a user's own trigger or a cascade may have written the row again meanwhile, and that statement's trigger ran
-- first. Gone means deleted. The lookup is a lateral fenced by OFFSET 0, with sequential scans and nested joins held down:
-- a plan made while the table was small, or by a statement of one row, must serve the next one of a million. (TABLESAMPLE
-- reads the few rows of shards whole, which that setting would forbid.)
--
-- Of a partitioned table it is called row by row as well, for a row that a MERGE moves is in no transition table that a trigger
-- sees (see afluente.expect_moves). It then runs as the trigger of a partition, with the whole's arguments.
--
-- Above the outbox's budget no image is kept. So it is when columns are excluded and the table is not the one that the function
-- was made for: a dump numbers columns anew, and what was excluded could leave under another's number. Names are hidden beside the
-- numbers, for the table that came out of the dump may have the old one's own number.
create function afluente.trigger_source(
  "table" regclass, function_name text, topic text, key_columns text[], hidden_numbers smallint[], hidden_names text[], with_before boolean
) returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $source$
declare
  relation pg_class := (select c from pg_class c where c.oid = trigger_source."table");
  schema_name text := (select n.nspname from pg_namespace n where n.oid = relation.relnamespace);
  full_name text := format('%I.%I', schema_name, relation.relname);
  key_text text;
  key_values text;
  key_members text;
  key_types text;
  key_found text;
  same_key text;
  prints_alike boolean;
  change text;
  source text;
begin
  -- r is the alias of whichever row a fragment is put beside. Equality is that of the primary key's index: the operator
  -- which a search path finds may belong to another type, and then no index serves it (citext). Where values can be equal
  -- and print differently (numeric 1.0 and 1.00), the key's text is compared as well.
  select
    format('jsonb_build_array(%s)::text', string_agg(format('r.%I', k.name), ', ' order by k.position)),
    string_agg(format('r.%I as key%s', k.name, k.position), ', ' order by k.position),
    string_agg(
      format('r.%I operator(%I.%s) touched.key%s', k.name, s.nspname, o.oprname, k.position), ' and ' order by k.position
    ),
    bool_and(
      t.typtype = 'e' or t.oid in (
        'uuid'::regtype, 'smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'boolean'::regtype, 'date'::regtype,
        'timestamp'::regtype, 'timestamptz'::regtype
      )
      or t.oid in ('text'::regtype, 'varchar'::regtype) and coalesce(l.collisdeterministic, true)
    ),
    string_agg(format('%L, k.key::json -> %s', 'key' || k.position, k.position - 1), ', ' order by k.position),
    string_agg(
      format('key%s %s', k.position, format_type(b.atttypid, b.atttypmod))
      || case when b.attcollation <> t.typcollation then format(' collate %I.%I', ls.nspname, l.collname) else '' end,
      ', ' order by k.position
    ),
    -- A key of jsonb may be the null of json, which a record takes for none.
    string_agg(
      case t.oid when 'jsonb'::regtype then format('coalesce(r.key%s, ''null'') as key%1$s', k.position) else format('r.key%s', k.position) end,
      ', ' order by k.position
    )
  into key_text, key_values, same_key, prints_alike, key_members, key_types, key_found
  from unnest(key_columns) with ordinality k (name, position)
  join pg_attribute b on b.attrelid = relation.oid and b.attname = k.name
  join pg_type t on t.oid = b.atttypid
  left join pg_collation l on l.oid = b.attcollation
  left join pg_namespace ls on ls.oid = l.collnamespace
  join pg_index i on i.indrelid = relation.oid and i.indisprimary
  join pg_opclass c on c.oid = i.indclass[k.position - 1]
  join pg_amop a
    on a.amopfamily = c.opcfamily and a.amoplefttype = c.opcintype and a.amoprighttype = c.opcintype and a.amopstrategy = 3
  join pg_operator o on o.oid = a.amopopr
  join pg_namespace s on s.oid = o.oprnamespace;
  -- One change for each key in {rows}: with the image of now where the key stands in the table; else its end, with the last
  -- image there was.
  change := $change$insert into afluente.outbox (version, source_table, topic, key, shard, op, before, after, occurred_at, traceparent)
    select
      nextval('afluente.version'), {name}, {topic}, touched.key,
      afluente.shard_of(touched.key, (select n.last_value from afluente.shard_count n)),
      case when present.there is null then 'delete'{newcomer} else {op} end,
      case when present.there is null or {before} then touched.image end, present.image, moment, trace
    from (select {image} as image, {key values}, {key text} as key from {rows} r{where}) touched
    left join lateral (select true as there,{place} {image} as image from {table} r where {same key}{same text}{own} offset 0) present on true;$change$;

  source := $function$
create or replace function afluente.{function}() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
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
  moment timestamptz;
  trace text;
  hidden text[];
  leased boolean;
  measured bigint;
  fresh boolean;
  keeps int;
  changes bigint;
begin
  -- Nothing is computed in the declarations: what fails there isn't caught below.
  moment := clock_timestamp();
  trace := afluente.traceparent();
  fresh := current_setting('transaction_isolation') = 'read committed';
  {member}
  -- Of an index that is gone nothing is known.
  if pg_index_has_property({index}, 'clusterable') is null and afluente.primary_key({relation}) is distinct from {key columns} then
    raise exception using errcode = '42P16', message = 'the table lost its primary key: add one, and call afluente.capture_table again';
  end if;
  select bool_and(s.leased_until > moment), (select m.last_value from afluente.outbox_measured m)
  into leased, measured from afluente.shards s tablesample system (100);
  keeps := measured % 4;
  if abs(extract(epoch from moment) * 1000 - measured / 4) > 5000 then
    keeps := afluente.measure_outbox();
  end if;{hidden}
  if keeps = 1 then
    perform afluente.note_once({name});
  elsif keeps = 2 then
    perform afluente.note_once({name}, '53100', 'the outbox is four times over its budget: changes were not kept');
    return null;
  end if;

  if {moved}tg_op = 'INSERT' then
    {inserted}
    get diagnostics changes = row_count;
  elsif tg_op = 'UPDATE' then
    {updated}
    get diagnostics changes = row_count;
    -- A changed key: gone under its old text (above), new under this one. Few keys are compared as a list, which is cheaper
    -- than the join that finds the new ones.
    if changes > 1000 or
      (select array_agg({key text}) from afluente_old r) is distinct from (select array_agg({key text}) from afluente_new r)
    then
      {renamed}
    end if;
  else
    {updated}
    get diagnostics changes = row_count;
  end if;

  if not leased and changes > 0 then
    if (select r.last_value from afluente.last_rung r) < extract(epoch from moment) * 1000 - 200 then
      perform afluente.ring();
    end if;
  end if;
  return null;
exception
  when serialization_failure then
    -- Between SERIALIZABLE transactions this is an answer to the user's own: tried again, it loses nothing.
    raise;
  when others then
    begin
      perform afluente.note_failure({name}, sqlstate, sqlerrm);
    exception when others then
      null;
    end;
    return null;
end
$capture$;

create or replace function afluente.{reader}(keys text[]) returns table (key text, image json)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set row_security = off
set enable_seqscan = off
set jit = off
as $read$
  select touched.key, present.image
  from (
    select k.key, {key found} from unnest(keys) k (key) cross join lateral json_to_record(json_build_object({key members})) r ({key types})
  ) touched
  left join lateral (select {read image} as image from {table} r where {same key}{same text} offset 0) present on true
$read$;

-- Locks against changes those rows of these keys that nobody holds, and gives the images that they have then: where somebody has
-- changed one since this statement began, its row is read anew once it is locked. Others that are there are told from those that
-- aren't. Only the text under which triggers know a key counts as that key.
create or replace function afluente.{locker}(keys text[]) returns table (key text, image json, locked boolean, there boolean)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set row_security = off
set enable_seqscan = off
set jit = off
as $lock$
  select touched.key, held.image, held.locked is not null, held.locked is not null or present.there is not null
  from (
    select k.key, {key found} from unnest(keys) k (key) cross join lateral json_to_record(json_build_object({key members})) r ({key types})
  ) touched
  left join lateral (
    select true as locked, {read image} as image from {table} r
    where {same key} and {key text} = touched.key offset 0 for share skip locked
  ) held on true
  left join lateral (
    select true as there from {table} r where held.locked is null and {same key} and {key text} = touched.key offset 0
  ) present on true
$lock$$function$;

  -- First what is Afluente's own text, then the user's names, all at once: nothing in a name is taken for a placeholder.
  change := replace(change, '{place}', case relation.relkind when 'p' then ' r.tableoid as place,' else '' end);
  change := replace(change, '{newcomer}', case relation.relkind when 'p'
    then ' when present.place <> all ({members}) then afluente.note_newcomer({name}, {op})' else '' end);
  source := replace(source, '{moved}', case relation.relkind when 'p' then $moved$tg_level = 'ROW' and tg_op = 'DELETE' then
    {moved out}
    get diagnostics changes = row_count;
  elsif tg_level = 'ROW' then
    {moved in}
    get diagnostics changes = row_count;
  elsif $moved$ else '' end);
  source := replace(source, '{moved out}', replace(replace(replace(replace(change,
    '{rows}', '(select old.*)'), '{where}', ''), '{op}', '''update'''), '{before}', with_before::text));
  source := replace(source, '{moved in}', replace(replace(replace(replace(change,
    '{rows}', '(select new.*)'), '{where}', ''), '{op}', '''insert'''), '{before}', 'false'));
  source := replace(source, '{inserted}', replace(replace(replace(replace(change,
    '{rows}', 'afluente_new'), '{where}', ''), '{op}', '''insert'''), '{before}', 'false'));
  source := replace(source, '{updated}', replace(replace(replace(replace(change,
    '{rows}', 'afluente_old'), '{where}', ''), '{op}', '''update'''), '{before}', with_before::text));
  source := replace(source, '{renamed}', replace(replace(replace(replace(change,
    '{rows}', 'afluente_new'), '{where}', '
      where not exists (select from (select {key text} as key from afluente_old r) former where former.key = {key text})'),
    '{op}', '''insert'''), '{before}', 'false'));
  -- An older snapshot than that of this statement may still see a row that somebody else has deleted since, beside the one that
  -- was put in its place. What stands under a touched key was written by this transaction: the other isn't.
  source := replace(source, '{own}', ' and (fresh or age(r.xmin) <= 0)');
  source := replace(source, '{same text}', case when prints_alike then '' else ' and {key text} = touched.key' end);
  -- Between being detached and the next sweep a partition has its triggers still, but what happens in it is no longer the table's.
  -- Only a mark tells of it should it be attached again before that sweep. A partition itself may have any name.
  source := replace(source, '{member}', case relation.relkind when 'p' then $member$if tg_relid <> {relation}::regclass and pg_partition_root(tg_relid) is distinct from {relation}::regclass then
    raise exception using errcode = '55000', message = 'a partition was written after it was detached, or the table was renamed';
  end if;$member$ else $member$if tg_table_name <> tg_argv[1] or tg_table_schema <> tg_argv[0] then
    raise exception using errcode = '42P16', message = 'the table was renamed: call afluente.capture_table again';
  end if;$member$ end);
  source := replace(source, '{hidden}', case when hidden_names = '{}' then '' else '
  hidden := {hidden columns};
  if {relation}::regclass <> ' || relation.oid || '::oid then
    keeps := greatest(keeps, 1);
  end if;' end);
  source := replace(source, '{image}', 'case when keeps = 0 then ' || case when hidden_names = '{}' then 'row_to_json(r.*)'
    else 'afluente.without_columns(row_to_json(r.*), hidden)' end || ' end');
  source := replace(source, '{read image}', case when hidden_names = '{}' then 'row_to_json(r.*)'
    else 'afluente.without_columns(row_to_json(r.*), {hidden columns})' end);
  -- The quotes around the functions' text are such as no name in it can hold.
  source := replace(replace(replace(source, '$capture$', '{quote}'), '$read$', '{quote}'), '$lock$', '{quote}');
  source := replace(source, '{hidden columns}', format('afluente.hidden_columns({relation}::regclass, %L) || {hidden names}', hidden_numbers));
  return afluente.fill(source, json_build_object(
    'same key', same_key, 'key text', key_text, 'key values', key_values, 'key members', key_members, 'key types', key_types, 'key found', key_found,
    'table', case relation.relkind when 'p' then '' else 'only ' end || full_name,
    'hidden names', format('%L::text[]', hidden_names), 'relation', quote_literal(full_name),
    'name', quote_literal(schema_name || '.' || relation.relname), 'topic', quote_literal(topic),
    'index', (select i.indexrelid::oid from pg_index i where i.indrelid = relation.oid and i.indisprimary),
    'key columns', format('%L::text[]', key_columns), 'members', format('%L::oid[]', afluente.partitions("table")),
    'quote', '$q' || md5(full_name || topic || key_text) || '$',
    'function', quote_ident(function_name), 'reader', quote_ident(afluente.reader_of(function_name)),
    'locker', quote_ident(afluente.locker_of(function_name))
  ));
end
$source$;
