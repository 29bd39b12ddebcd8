-- The rows of a claim, with the row of now where only a key was kept; up to 250 of those and max_bytes, cut says that others were
-- left. The row of now may have seen later changes: these lie in the outbox under higher versions, so the end is the same.
-- A table that can't be read (dropped, renamed) answers a read without an image, and counts as a failure. One that somebody has
-- locked, as ALTER TABLE does until its transaction ends, is left for later claims with all its rows: the others go out meanwhile.
create function afluente.read_images(claimed json, max_bytes bigint, out rows json, out cut boolean)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
declare
  oversize constant int := 33554432;
  wanted record;
  locked text[] := '{}';
  keys text[];
  images text[];
  found_tables text[] := '{}';
  found_keys text[] := '{}';
  found_images text[] := '{}';
begin
  for wanted in
    select b.item ->> 1 as source_table, array_agg(distinct b.item ->> 3) as keys
    from (select c.item from json_array_elements(claimed) c (item) where afluente.is_bare(c.item) limit 250) b
    group by b.item ->> 1
  loop
    begin
      execute format(
        'select array_agg(i.key), array_agg(i.image::text) from afluente.%I($1) i',
        (select afluente.reader_of(c.function_name) from afluente.captured_tables c
         where c.schema_name || '.' || c.table_name = wanted.source_table
           -- Of a table that came out of a dump nothing is read before it is captured anew: its columns have other numbers.
           and (c.exclude = '{}' or c.numbers_of = c.table_oid))
      ) into strict keys, images using wanted.keys;
      found_tables := found_tables || array_fill(wanted.source_table, array[cardinality(keys)]);
      found_keys := found_keys || keys;
      found_images := found_images || images;
    exception
      when lock_not_available then
        locked := locked || wanted.source_table;
      when others then
        perform afluente.note_failure(wanted.source_table, sqlstate, sqlerrm);
    end;
  end loop;

  select coalesce(json_agg(r.item order by r.position) filter (where r.fits), '[]'), coalesce(bool_or(not r.fits), false)
  into read_images.rows, read_images.cut
  from (
    select
      c.position,
      case
        when not c.bare then c.item
        else json_build_array(
          c.item -> 0, c.item -> 1, c.item -> 2, c.item -> 3, case when f.key is not null and f.image is null then 'delete' else 'read' end,
          null, case when octet_length(f.image) <= oversize then f.image end, c.item -> 7, c.item -> 8,
          case when octet_length(f.image) > oversize then octet_length(f.image) end
        )
      end as item,
      c.nth <= 250 and (row_number() over (order by c.position) = 1 or sum(octet_length(f.image)) over (order by c.position) <= max_bytes) is not false as fits
    from (
      select
        e.item, e.position, afluente.is_bare(e.item) as bare,
        count(*) filter (where afluente.is_bare(e.item)) over (order by e.position) as nth
      from json_array_elements(claimed) with ordinality e (item, position)
      where e.item ->> 1 <> all (locked)
    ) c
    left join unnest(found_tables, found_keys, found_images) f (source_table, key, image)
      on c.bare and f.source_table = c.item ->> 1 and f.key = c.item ->> 3
  ) r;
end
$$;

-- Whether a row of a claim is an insert or update of which the key alone was kept.
create function afluente.is_bare(item json) returns boolean
language sql
immutable
as $$
  select item ->> 4 in ('insert', 'update') and item ->> 5 is null and item ->> 6 is null and item ->> 9 is null
$$;

revoke all on function afluente.read_images(json, bigint), afluente.is_bare(json) from public, anon, authenticated;
