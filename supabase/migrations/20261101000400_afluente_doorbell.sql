-- The doorbell: a webhook call that says "there is work". It carries nothing and may be lost; the sweep finds what it left.

-- Rings. Where to and with which secret stands in Vault, under the names afluente_capture_url and afluente_webhook_secret.
-- Without pg_net, Vault or those two names nobody is rung. Never raises, and waits for nobody who has locked them: it runs
-- inside users' transactions.
create function afluente.ring() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms'
as $$
declare
  url text;
  secret text;
begin
  perform setval('afluente.last_rung', (extract(epoch from clock_timestamp()) * 1000)::bigint);
  select
    max(s.decrypted_secret) filter (where s.name = 'afluente_capture_url'),
    max(s.decrypted_secret) filter (where s.name = 'afluente_webhook_secret')
  into url, secret
  from vault.decrypted_secrets s
  where s.name in ('afluente_capture_url', 'afluente_webhook_secret');
  if url is not null and secret is not null then
    perform net.http_post(
      url => url,
      body => '{}'::jsonb,
      headers => jsonb_build_object('Content-Type', 'application/json', 'Authorization', 'Bearer ' || secret),
      timeout_milliseconds => 5000
    );
  end if;
exception when others then
  null;
end
$$;

-- Rings when changes have waited for two seconds and nobody is at work, and looks after columns, partitions and shards. Answers whether it
-- rang.
create function afluente.sweep() returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  waiting boolean;
begin
  -- First what may take long: the others hold locks on tables until this ends.
  perform afluente.mend_shard_count();
  perform afluente.note_alterations();
  perform afluente.adopt_partitions();
  perform afluente.note_problems();
  perform afluente.fold_failures();
  perform from afluente.shards s
  where
    s.leased_until <= clock_timestamp()
    and (
      select o.occurred_at from afluente.outbox o where o.shard = s.shard and o.version > s.settled order by o.version limit 1
    ) < clock_timestamp() - interval '2 seconds';
  waiting := found;
  if waiting then
    perform afluente.ring();
  end if;
  return waiting;
end
$$;

-- Lets pg_cron sweep every five seconds where it is installed (each minute where it is too old for seconds). Answers
-- whether it is scheduled; enabling pg_cron later, call this again.
create function afluente.schedule_sweep() returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if to_regprocedure('cron.schedule(text,text,text)') is null then
    return false;
  end if;
  begin
    perform cron.schedule('afluente-sweep', '5 seconds', 'select afluente.sweep()');
  exception when others then
    perform cron.schedule('afluente-sweep', '* * * * *', 'select afluente.sweep()');
  end;
  return true;
exception when others then
  raise warning 'afluente: pg_cron could not take the sweep (%). Allow this role to call cron.schedule, then call afluente.schedule_sweep() again.', sqlerrm;
  return false;
end
$$;

revoke all on function afluente.ring(), afluente.sweep(), afluente.schedule_sweep() from public, anon, authenticated;
grant execute on function afluente.ring(), afluente.sweep() to service_role;

select afluente.schedule_sweep();
