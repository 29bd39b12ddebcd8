-- What the stand-in's tests call and read.

create schema afluente;
grant usage on schema afluente to service_role;
create schema hidden;

create table public.things (
  id int primary key,
  name text not null,
  amount numeric,
  tags text[],
  meta jsonb,
  owner text
);
insert into public.things select i, 'thing ' || i, i * 1.10, array['a', 'b'], '{"n": 1}', 'ana' from generate_series(1, 1200) i;

create table public.private (id int primary key, owner text not null);
insert into public.private values (1, 'ana'), (2, 'rui');
alter table public.private enable row level security;
create policy own on public.private for select to authenticated
  using (owner = current_setting('request.jwt.claims', true)::json ->> 'sub');

create function afluente.give(shard int, versions bigint[], note text default 'none') returns json
language sql as $$ select json_build_object('shard', shard, 'count', cardinality(versions), 'last', versions[cardinality(versions)], 'note', note) $$;
create function afluente.exact() returns json language sql as $$ select '{"n": 12345678901234567890.10, "n": 2,  "z":1}'::json $$;
create function afluente.repeated(text text, times int) returns json language sql as $$ select to_json(repeat(text, times)) $$;
create function public.nothing() returns void language sql as $$ $$;
create function public.one_number() returns numeric language sql as $$ select 1.50 $$;
create function public.things_from(first int) returns setof things language sql stable as $$ select * from things where id >= first $$;
create function public.who() returns json language sql as
$$ select json_build_object('role', current_user, 'timeout', current_setting('statement_timeout'), 'claims', current_setting('request.jwt.claims', true)::json) $$;
create function public.trace() returns text language sql as $$ select current_setting('request.headers', true)::json ->> 'traceparent' $$;
create function public.sleep(seconds float8) returns void language sql as $$ select pg_sleep(seconds) $$;
create function public.refuse(code text) returns void language plpgsql as $$ begin raise exception 'refused' using errcode = code, hint = 'ask otherwise'; end $$;
create function hidden.secret() returns json language sql as $$ select '1'::json $$;

create table public.ran (job text, started timestamptz default clock_timestamp(), ended timestamptz);
