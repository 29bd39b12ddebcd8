-- What hangs on silver."<live>" and can't be handed over to its shadow by a swap, in words; null when nothing does.
create or replace function ops.shadow_obstacles(live text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with live as (select format('silver.%I', live)::regclass as oid), shadow as (select format('silver.%I', live || '__shadow')::regclass as oid)
  , obstacles (what) as (
    select format('the foreign key %s', c.conname) from pg_constraint as c, live where c.contype = 'f' and live.oid in (c.conrelid, c.confrelid)
    union
    select format('the materialized view %s', v.oid::regclass)
    from live, pg_depend as d join pg_rewrite as r on r.oid = d.objid join pg_class as v on v.oid = r.ev_class and v.relkind = 'm'
    where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = live.oid
    union
    select format('the rule %s', r.rulename) from pg_rewrite as r, live where r.ev_class = live.oid
    union
    select format('the function %s', d.objid::regprocedure) from pg_depend as d, live
    where d.classid = 'pg_proc'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = live.oid
    union
    select format('the publication %s', p.pubname) from pg_publication_rel as r join pg_publication as p on p.oid = r.prpubid, live where r.prrelid = live.oid
    union
    select format('the table %s, which inherits from it', i.inhrelid::regclass) from pg_inherits as i, live where i.inhparent = live.oid
    union
    select format('the column %s, which its shadow lacks', a.attname) from pg_attribute as a, live, shadow
    where a.attrelid = live.oid and a.attnum > 0 and not a.attisdropped
      and not exists (select from pg_attribute as s where s.attrelid = shadow.oid and s.attname = a.attname and s.atttypid = a.atttypid and not s.attisdropped)
    union
    select format('the index %s, which its shadow lacks', i.indexrelid::regclass) from pg_index as i, live, shadow
    where i.indrelid = live.oid and not exists (
      select from pg_index as s where s.indrelid = shadow.oid and s.indisunique = i.indisunique
        and substring(pg_get_indexdef(s.indexrelid) from ' USING .*') = substring(pg_get_indexdef(i.indexrelid) from ' USING .*')
    )
  )
  select string_agg(what, ', ' order by what) from obstacles
$$;

revoke all on function ops.shadow_obstacles(text) from public;
