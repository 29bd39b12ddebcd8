-- Copies into silver."<live>__shadow" what silver."<live>" has newer, out of `blocks` of its pages from `from_block` on; never an old row over a new one.
-- `since` null looks at each row there. Otherwise all that was committed before the transaction `since` is in the shadow already, and what came later
-- is known by its own transaction's number: rows that aren't newer than that are passed over without a look at the shadow.
-- `next` is where the next step begins; null after the last page. Rows that move meanwhile are new, wherever they lie, to a round with a `since`.
drop function if exists ops.follow_shadow(text, bigint, bigint);
create or replace function ops.follow_shadow(live text, from_block bigint, blocks bigint, since xid8, out copied bigint, out next bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  relation regclass := format('silver.%I', live)::regclass;
  shadow text := format('silver.%I', live || '__shadow');
  -- How many transactions ago; a row that seems to be younger than the latest is looked at as well.
  youngest constant integer := age(since::xid);
  key_columns text[];
  statement text;
begin
  select array_agg(a.attname::text order by k.at) into strict key_columns
  from pg_index as i, unnest(i.indkey) with ordinality as k (attnum, at), pg_attribute as a
  where i.indrelid = relation and i.indisprimary and a.attrelid = relation and a.attnum = k.attnum;

  select format(
    'insert into %1$s as t (%2$s) select %3$s from %4$s as l where l.ctid >= $1 and l.ctid < $2 and %5$s
     on conflict (%6$s) do update set %7$s where excluded._version > t._version',
    shadow,
    string_agg(format('%I', a.attname), ', ' order by a.attnum),
    string_agg(format('l.%I', a.attname), ', ' order by a.attnum),
    relation,
    case
      when since is null then format(
        'not exists (select from %s as s where %s and s._version >= l._version)',
        shadow, (select string_agg(format('s.%1$I = l.%1$I', name), ' and ') from unnest(key_columns) as name)
      )
      else 'age(l.xmin) <= $3'
    end,
    (select string_agg(format('%I', name), ', ') from unnest(key_columns) as name),
    string_agg(format('%1$I = excluded.%1$I', a.attname), ', ' order by a.attnum) filter (where a.attname <> all (key_columns))
  ) into strict statement
  from pg_attribute as a
  where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';

  execute statement using format('(%s,0)', from_block)::tid, format('(%s,0)', least(from_block + blocks, 4294967295))::tid, youngest;
  get diagnostics copied = row_count;
  if (from_block + blocks) * current_setting('block_size')::bigint < pg_relation_size(relation) then
    next := from_block + blocks;
  end if;
end
$$;

revoke all on function ops.follow_shadow(text, bigint, bigint, xid8) from public;
