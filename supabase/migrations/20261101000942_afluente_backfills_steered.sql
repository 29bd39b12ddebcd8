-- Pauses, resumes or cancels: {"status":"done"|"unchanged"|"declined","backfill":{…}}, or {"status":"unknown"}. declined: it has ended, or
-- was not begun. Whoever works on it learns of it with its next sending.
create function afluente.steer_backfill(id bigint, action text) returns json
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  held afluente.backfills;
  wanted text := case action when 'pause' then 'paused' when 'resume' then 'running' when 'cancel' then 'cancelled' end;
begin
  if wanted is null then
    raise exception using errcode = '22023', message = format('afluente: a backfill can not be asked to %s', coalesce(quote_literal(action), 'null')),
      hint = 'pause, resume or cancel.';
  end if;
  select b.* into held from afluente.backfills b where b.id = steer_backfill.id for update;
  if not found then
    return json_build_object('status', 'unknown');
  elsif held.state = wanted then
    return json_build_object('status', 'unchanged', 'backfill', afluente.backfill_json(held));
  elsif held.state not in ('running', 'paused') and not (held.state = 'offered' and wanted = 'cancelled') then
    return json_build_object('status', 'declined', 'backfill', afluente.backfill_json(held));
  end if;
  update afluente.backfills b
  set state = wanted, ended_at = case wanted when 'cancelled' then clock_timestamp() end
  where b.id = steer_backfill.id returning b.* into held;
  return json_build_object('status', 'done', 'backfill', afluente.backfill_json(held));
end
$$;

-- The backfills, newest first: {"backfills":[{…}]}. Those that have ended long ago are left out beyond the last hundred.
create function afluente.list_backfills() returns json
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
  select json_build_object('backfills', coalesce(json_agg(afluente.backfill_json(l.b) order by (l.b).id desc), '[]'))
  from (
    select b from afluente.backfills b order by b.state in ('cancelled', 'done'), b.id desc limit 100
  ) l
$$;

revoke all on function afluente.steer_backfill(bigint, text), afluente.list_backfills() from public, anon, authenticated;
grant execute on function afluente.steer_backfill(bigint, text), afluente.list_backfills() to service_role;
