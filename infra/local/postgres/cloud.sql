-- What Supabase's cloud puts around a project's database, as far as Afluente meets it: roles, pg_net, Vault, pg_cron and
-- the function behind a webhook made in Studio. For a plain Postgres only, applied by a superuser before the migrations;
-- applying it again changes nothing. The queue is drained and the jobs are run by a process beside this database.

set client_min_messages = warning;

-- Roles ---------------------------------------------------------------------------------------------------------------

do $roles$
begin
  if to_regrole('anon') is null then create role anon nologin noinherit; end if;
  if to_regrole('authenticated') is null then create role authenticated nologin noinherit; end if;
  if to_regrole('service_role') is null then create role service_role nologin noinherit bypassrls; end if;
  if to_regrole('authenticator') is null then create role authenticator login noinherit password 'authenticator'; end if;
  -- In the cloud the role `postgres` owns the schema and is no superuser. Here `postgres` may well be one, so that role's
  -- rights go by another name: migrations applied as project_owner meet the cloud's limits.
  if to_regrole('project_owner') is null then
    create role project_owner login createdb createrole bypassrls password 'project_owner';
  end if;
end
$roles$;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to project_owner;

do $owner$
begin
  execute format('grant all on database %I to project_owner', current_database());
end
$owner$;
grant all on schema public to project_owner;
grant usage on schema public to anon, authenticated, service_role;

-- New tables of `public` are open to the API's roles; row-level security is what keeps rows from them.
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges for role project_owner in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges for role project_owner in schema public grant all on sequences to anon, authenticated, service_role;

create schema if not exists extensions;
grant usage on schema extensions to public;

-- pg_net: an UNLOGGED queue, one try ------------------------------------------------------------------------------------

create schema if not exists net;
grant usage on schema net to anon, authenticated, service_role, project_owner;

create unlogged table if not exists net.http_request_queue (
  id bigserial not null,
  method text not null,
  url text not null,
  headers jsonb not null,
  body bytea,
  timeout_milliseconds int not null
);

create unlogged table if not exists net._http_response (
  id bigint,
  status_code int,
  content_type text,
  headers jsonb,
  content text,
  timed_out bool,
  error_msg text,
  created timestamptz not null default now()
);
create index if not exists _http_response_created_idx on net._http_response (created);

-- The worker wakes when the transaction that asked has committed, never before: NOTIFY is sent at commit.
create or replace function net.http_post(
  url text,
  body jsonb default '{}'::jsonb,
  params jsonb default '{}'::jsonb,
  headers jsonb default '{"Content-Type": "application/json"}'::jsonb,
  timeout_milliseconds int default 5000
) returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
  query text;
  request_id bigint;
begin
  if not exists (select from jsonb_object_keys(http_post.headers) k where lower(k) = 'content-type') then
    headers := headers || '{"Content-Type": "application/json"}';
  end if;
  select string_agg(key || '=' || value, '&') into query from jsonb_each_text(params);
  insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
  values (
    'POST', http_post.url || coalesce('?' || query, ''), http_post.headers,
    convert_to(http_post.body::text, 'UTF8'), http_post.timeout_milliseconds
  )
  returning id into request_id;
  perform pg_notify('pg_net_wake', '');
  return request_id;
end
$$;

create or replace function net.http_get(
  url text,
  params jsonb default '{}'::jsonb,
  headers jsonb default '{}'::jsonb,
  timeout_milliseconds int default 5000
) returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
  query text;
  request_id bigint;
begin
  select string_agg(key || '=' || value, '&') into query from jsonb_each_text(params);
  insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
  values ('GET', http_get.url || coalesce('?' || query, ''), http_get.headers, null, http_get.timeout_milliseconds)
  returning id into request_id;
  perform pg_notify('pg_net_wake', '');
  return request_id;
end
$$;

-- Vault: here the secrets lie in the clear, there they don't --------------------------------------------------------------

create schema if not exists vault;
grant usage on schema vault to service_role, project_owner;

create table if not exists vault.secrets (
  id uuid primary key default gen_random_uuid(),
  name text unique,
  description text not null default '',
  secret text not null,
  key_id uuid,
  nonce bytea,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create or replace view vault.decrypted_secrets as
  select id, name, description, secret, secret as decrypted_secret, key_id, nonce, created_at, updated_at from vault.secrets;

revoke all on vault.secrets, vault.decrypted_secrets from public;
grant select, delete on vault.secrets, vault.decrypted_secrets to service_role, project_owner;

create or replace function vault.create_secret(
  new_secret text,
  new_name text default null,
  new_description text default '',
  new_key_id uuid default null
) returns uuid
language sql
security definer
set search_path = ''
as $$
  insert into vault.secrets (secret, name, description, key_id)
  values (new_secret, new_name, coalesce(new_description, ''), new_key_id)
  returning id
$$;

create or replace function vault.update_secret(
  secret_id uuid,
  new_secret text default null,
  new_name text default null,
  new_description text default null,
  new_key_id uuid default null
) returns void
language sql
security definer
set search_path = ''
as $$
  update vault.secrets
  set
    secret = coalesce(new_secret, secret), name = coalesce(new_name, name),
    description = coalesce(new_description, description), key_id = coalesce(new_key_id, key_id), updated_at = now()
  where id = secret_id
$$;

revoke all on function vault.create_secret(text, text, text, uuid) from public;
revoke all on function vault.update_secret(uuid, text, text, text, uuid) from public;
grant execute on function vault.create_secret(text, text, text, uuid) to service_role, project_owner;
grant execute on function vault.update_secret(uuid, text, text, text, uuid) to service_role, project_owner;

-- pg_cron: the jobs; five fields or '<n> seconds' ------------------------------------------------------------------------

create schema if not exists cron;
grant usage on schema cron to project_owner;

create table if not exists cron.job (
  jobid bigint generated by default as identity primary key,
  schedule text not null,
  command text not null,
  jobname text unique,
  active boolean not null default true
);
grant select on cron.job to project_owner;

create or replace function cron.schedule(job_name text, schedule text, command text) returns bigint
language sql
security definer
set search_path = ''
as $$
  insert into cron.job (jobname, schedule, command) values (job_name, schedule, command)
  on conflict (jobname) do update set schedule = excluded.schedule, command = excluded.command, active = true
  returning jobid
$$;

create or replace function cron.unschedule(job_name text) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from cron.job where jobname = job_name;
  if not found then
    raise exception 'could not find valid entry for job ''%''', job_name;
  end if;
  return true;
end
$$;

revoke all on function cron.schedule(text, text, text) from public;
revoke all on function cron.unschedule(text) from public;
grant execute on function cron.schedule(text, text, text) to project_owner;
grant execute on function cron.unschedule(text) to project_owner;

-- Webhooks made in Studio --------------------------------------------------------------------------------------------------

create schema if not exists supabase_functions;
grant usage on schema supabase_functions to anon, authenticated, service_role, project_owner;

create table if not exists supabase_functions.hooks (
  id bigserial primary key,
  hook_table_id integer not null,
  hook_name text not null,
  created_at timestamptz not null default now(),
  request_id bigint
);

-- Arguments as Studio writes them: url, method, headers, params, timeout in milliseconds.
create or replace function supabase_functions.http_request() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  url text := nullif(tg_argv[0], 'null');
  method text := nullif(tg_argv[1], 'null');
  headers jsonb := coalesce(nullif(tg_argv[2], 'null'), '{"Content-Type": "application/json"}')::jsonb;
  params jsonb := coalesce(nullif(tg_argv[3], 'null'), '{}')::jsonb;
  timeout_ms int := coalesce(nullif(tg_argv[4], 'null'), '1000')::int;
  request_id bigint;
begin
  if url is null then raise exception 'url argument is missing'; end if;
  if method is null then raise exception 'method argument is missing'; end if;
  if method = 'GET' then
    request_id := net.http_get(url, params, headers, timeout_ms);
  elsif method = 'POST' then
    request_id := net.http_post(
      url,
      jsonb_build_object(
        'type', tg_op, 'table', tg_table_name, 'schema', tg_table_schema,
        'record', case when tg_op <> 'DELETE' then to_jsonb(new) end,
        'old_record', case when tg_op <> 'INSERT' then to_jsonb(old) end
      ),
      params, headers, timeout_ms
    );
  else
    raise exception 'method argument % is invalid', method;
  end if;
  insert into supabase_functions.hooks (hook_table_id, hook_name, request_id) values (tg_relid::integer, tg_name, request_id);
  return coalesce(new, old);
end
$$;
