-- Conversations with leads, over any channel. A session outlives its lead.

create table public.chat_sessions (
  id uuid primary key default gen_random_uuid(),
  lead_id uuid references public.leads (id) on delete set null,
  channel text constraint chat_sessions_channel_known check (channel in ('web', 'whatsapp', 'instagram', 'email', 'phone')),
  status text default 'open'
    constraint chat_sessions_status_known check (status in ('open', 'pending', 'resolved', 'abandoned')),
  agent text,
  started_at timestamptz default now(),
  ended_at timestamptz,
  last_message_at timestamptz,
  message_count int default 0,
  rating smallint constraint chat_sessions_rating_range check (rating between 1 and 5),
  summary text,
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);

create index chat_sessions_lead_id_idx on public.chat_sessions (lead_id);
create index chat_sessions_status_idx on public.chat_sessions (status);
create index chat_sessions_created_at_idx on public.chat_sessions (created_at);
create index chat_sessions_updated_at_idx on public.chat_sessions (updated_at);

alter table public.chat_sessions enable row level security;
grant select, insert, update, delete on public.chat_sessions to service_role;

create trigger set_updated_at before update on public.chat_sessions
for each row execute function public.set_updated_at();
