-- silver."<live>" and silver."<live>__shadow" change places in one transaction, which also ends the swap's job: done twice it is done once. Writers wait
-- from the first lock on; what they wrote before is copied under it, so nothing in the live one is newer than in its successor: all of it is looked at, or,
-- where the shadow has all of before the transaction `since` and the live one still is the `file` that was followed then, what is younger. Readers wait for
-- the renames alone. Views on the live one, its grants, policies and triggers follow. `held` false: the epoch is over, and nothing was done;
-- `obstacles`: what stands in the way, and nothing was done.
drop function if exists ops.swap_shadow(text, text, integer, bigint, bigint, text);
create or replace function ops.swap_shadow(
  consumer text, topic text, "partition" integer, epoch bigint, job bigint, live text, since xid8, file oid, out held boolean, out obstacles text, out copied bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  old_one oid := format('silver.%I', live)::regclass;
  new_one oid;
  former text := live || '__shadow';
  floor bigint;
  scripts text[];
  script text;
begin
  perform from ops.consumer_progress as p where p.consumer = $1 and p.topic = $2 and p."partition" = $3 and p.epoch = $4 for no key update;
  held := found;
  copied := 0;
  perform from ops.replay_job as j where j.id = $5 and j.kind = 'swap' and j.state = 'running' for update;
  if not held or not found then
    return;
  end if;
  new_one := format('silver.%I', former)::regclass;
  obstacles := ops.shadow_obstacles(live);
  if obstacles is not null then
    return;
  end if;

  -- A wait in which nobody else waits for long; who asked tries again.
  perform set_config('lock_timeout', '500ms', true);
  execute format('lock table silver.%I, silver.%I in exclusive mode', live, former);
  select f.copied into copied
  from ops.follow_shadow(live, 0, 4294967295, case when pg_relation_filenode(old_one) = file then since end) as f;
  -- What a TRUNCATE has ended meanwhile, and only the shadow still has.
  select f.version into floor from ops.replay_job as j join ops.floor as f on f.source_table = j.source_table where j.id = $5;
  if floor is not null then
    execute format('delete from silver.%I where _version < $1 and _deleted_at is null', former) using floor;
  end if;

  -- Printed while the old names are there; carried out once they stand for the new one.
  select array_agg(t.script order by t.rank, t.script) into scripts from (
    select 1, format('drop policy %I on silver.%I', p.polname, live) from pg_policy as p where p.polrelid = new_one
    union all
    select 1, format('drop trigger %I on silver.%I', t.tgname, live) from pg_trigger as t where t.tgrelid = new_one and not t.tgisinternal
    union all
    select 2, format('alter table silver.%I %s row level security, %s row level security', live,
      case when c.relrowsecurity then 'enable' else 'disable' end, case when c.relforcerowsecurity then 'force' else 'no force' end)
    from pg_class as c where c.oid = old_one
    union all
    select 3, format('create policy %I on silver.%I as %s for %s to %s%s%s', p.policyname, live, p.permissive, p.cmd,
      (select string_agg(case when role = 'public' then 'public' else quote_ident(role) end, ', ') from unnest(p.roles) as role),
      ' using (' || p.qual || ')', ' with check (' || p.with_check || ')')
    from pg_policies as p where p.schemaname = 'silver' and p.tablename = live
    union all
    select 3, pg_get_triggerdef(t.oid) from pg_trigger as t where t.tgrelid = old_one and not t.tgisinternal
    union all
    select 4, format('alter table silver.%I %s trigger %I', live, case t.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end, t.tgname)
    from pg_trigger as t where t.tgrelid = old_one and not t.tgisinternal and t.tgenabled <> 'O'
    union all
    select 3, format('grant %s on silver.%I to %s%s', a.privilege_type, live, case a.grantee when 0 then 'public' else a.grantee::regrole::text end, case when a.is_grantable then ' with grant option' else '' end)
    from pg_class as c, aclexplode(c.relacl) as a where c.oid = old_one and a.grantee <> c.relowner
    union all
    select 3, format('grant %s (%I) on silver.%I to %s%s', a.privilege_type, c.attname, live, case a.grantee when 0 then 'public' else a.grantee::regrole::text end, case when a.is_grantable then ' with grant option' else '' end)
    from pg_attribute as c, aclexplode(c.attacl) as a where c.attrelid = old_one and not c.attisdropped
    union all
    select 3, format('alter table silver.%I owner to %s', live, old.relowner::regrole) from pg_class as old, pg_class as new
    where old.oid = old_one and new.oid = new_one and old.relowner <> new.relowner
    union all
    select distinct 5, format('create or replace view %s%s as %s', v.oid::regclass, ' with (' || array_to_string(v.reloptions, ', ') || ')', pg_get_viewdef(v.oid))
    from pg_depend as d join pg_rewrite as r on r.oid = d.objid join pg_class as v on v.oid = r.ev_class and v.relkind = 'v'
    where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = old_one
  ) as t (rank, script);

  execute format('lock table silver.%I, silver.%I in access exclusive mode', live, former);
  execute format('alter table silver.%I rename to %I', live, live || '__swap');
  execute format('alter table silver.%I rename to %I', former, live);
  execute format('alter table silver.%I rename to %I', live || '__swap', former);
  foreach script in array scripts loop
    execute script;
  end loop;

  update ops.replay_job as j set state = 'done', steps = j.steps + copied, problem = null, updated_at = clock_timestamp(), finished_at = clock_timestamp() where j.id = $5;
  update ops.shadow as s set state = 'former', updated_at = clock_timestamp()
  from ops.replay_job as j where j.id = $5 and s.consumer = j.consumer and s.source_table = j.source_table;
end
$$;

revoke all on function ops.swap_shadow(text, text, integer, bigint, bigint, text, xid8, oid) from public;
