-- Prospective customers. Row-level security without a policy: only the service role reads and writes until the product adds one.

create table public.leads (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  email text constraint leads_email_shape check (email ~ '^[^@\s]+@[^@\s]+\.[^@\s]+$'),
  phone text,
  company text,
  job_title text,
  source text,
  status text default 'new'
    constraint leads_status_known check (status in ('new', 'contacted', 'qualified', 'proposal', 'won', 'lost')),
  score smallint constraint leads_score_range check (score between 0 and 100),
  estimated_value numeric(14, 2),
  tags text[],
  metadata jsonb,
  assigned_to uuid,
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);

create index leads_status_idx on public.leads (status);
create index leads_email_idx on public.leads (email);
create index leads_created_at_idx on public.leads (created_at);
create index leads_updated_at_idx on public.leads (updated_at);

alter table public.leads enable row level security;
grant select, insert, update, delete on public.leads to service_role;

-- The clock, not now(): two updates in one transaction are two moments.
create function public.set_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end
$$;

revoke all on function public.set_updated_at() from public, anon, authenticated;

create trigger set_updated_at before update on public.leads
for each row execute function public.set_updated_at();
