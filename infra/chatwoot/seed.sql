-- A lively Chatwoot: 3 accounts, 12 inboxes, 30 agents, contacts and conversations of ninety days with what was said, first replies and
-- resolutions. Always the same. 3 000 conversations, or as many as the setting afluente.conversations says.

create function pg_temp.draw(seed text, below integer) returns integer language sql immutable
return (('x' || substr(md5(seed), 1, 7))::bit(28)::integer % below);

insert into accounts (name, domain, created_at, updated_at)
select name, domain, '2026-01-01', '2026-01-01'
from (values ('Padaria Pão Quente', 'paoquente.example'), ('Clínica São Lucas', 'saolucas.example'), ('Estúdio Ipê', null)) as given (name, domain);

insert into users (uid, encrypted_password, name, email, tokens, pubsub_token, created_at, updated_at)
select format('agente%s@example.com', n), md5('never a real one ' || n), (array['Bia', 'Téo', 'Íris', 'João', 'Zoë', 'Łukasz'])[n % 6 + 1] || ' ' || (array['Silva', 'd''Ávila', 'Nóbrega', '李', 'Müller'])[n % 5 + 1],
  format('agente%s@example.com', n), '{}', md5('token ' || n), '2026-01-01', '2026-01-01'
from generate_series(1, 30) as n;

insert into inboxes (channel_id, account_id, name, channel_type, created_at, updated_at)
select n, (n - 1) % 3 + 1, 'Caixa ' || n, (array['Channel::WebWidget', 'Channel::Whatsapp', 'Channel::Email', 'Channel::Instagram', 'Channel::Api'])[n % 5 + 1], '2026-01-01', '2026-01-01'
from generate_series(1, 12) as n;

insert into contacts (name, email, phone_number, account_id, identifier, last_activity_at, created_at, updated_at)
select
  (array['Ana', 'Maria Aparecida', 'Antônia', 'Caíque', 'Ольга', 'さくら', 'Siobhán', 'Raimundo'])[pg_temp.draw('first' || n, 8) + 1] || ' ' || (array['Souza', 'Gonçalves', 'O''Brien', 'Conceição', '小林', 'Itapuã'])[pg_temp.draw('last' || n, 6) + 1],
  case when pg_temp.draw('mail' || n, 10) < 8 then format('Contato%s@Example.com', n) end,
  case when pg_temp.draw('phone' || n, 10) < 7 then '+55119' || lpad(n::text, 8, '0') end,
  n % 3 + 1,
  case when pg_temp.draw('id' || n, 10) < 3 then 'crm-' || n end,
  '2026-06-01', '2026-01-01', '2026-06-01'
from generate_series(1, greatest(10, coalesce(nullif(current_setting('afluente.conversations', true), ''), '3000')::integer / 2)) as n;

-- n is drawn in the order of time, so that ids grow with it.
with drawn as (
  select
    n,
    n % 3 + 1 as account,
    timestamp '2026-03-01 08:00' + n * (interval '90 days' / total) + pg_temp.draw('us' || n, 1000000) * interval '1 microsecond' as began,
    pg_temp.draw('status' || n, 100) as status,
    pg_temp.draw('assignee' || n, 36) as assignee,
    pg_temp.draw('priority' || n, 10) as priority,
    (10 + pg_temp.draw('reply' || n, 7200)) * interval '1 second' as until_reply,
    (600 + pg_temp.draw('end' || n, 172800)) * interval '1 second' as until_end,
    total
  from (select coalesce(nullif(current_setting('afluente.conversations', true), ''), '3000')::integer as total) as size, generate_series(1, size.total) as n
)
insert into conversations (account_id, inbox_id, status, assignee_id, contact_id, created_at, updated_at, last_activity_at, first_reply_created_at, waiting_since,
  agent_last_seen_at, snoozed_until, priority, team_id, cached_label_list, additional_attributes, custom_attributes, uuid)
select
  account,
  account + 3 * pg_temp.draw('inbox' || n, 4),
  case when status < 60 then 1 when status < 85 then 0 when status < 95 then 2 when status < 99 then 3 else 4 end,
  case when assignee < 30 then assignee + 1 end,
  1 + pg_temp.draw('contact' || n, greatest(10, total / 2)),
  began,
  began + case when status < 60 then until_end else until_reply end,
  began + case when status < 60 then until_end else until_reply end,
  case when status < 85 then began + until_reply end,
  case when status >= 60 then began + until_reply end,
  began + until_reply,
  case when status between 95 and 98 then timestamp '2026-07-01' end,
  case when priority < 4 then priority end,
  case when assignee < 12 then assignee % 4 + 1 end,
  (array[null, '', 'vip', 'vip, troca', 'orçamento', 'entrega, reclamação, vip'])[pg_temp.draw('label' || n, 6) + 1],
  jsonb_build_object('browser', jsonb_build_object('browser_name', 'Firefox'), 'initiated_at', jsonb_build_object('timestamp', began)),
  case when pg_temp.draw('custom' || n, 4) = 0 then jsonb_build_object('pedido', n) else '{}' end,
  md5('conversation ' || n)::uuid
from drawn
order by n;

insert into messages (content, account_id, inbox_id, conversation_id, message_type, sender_type, sender_id, private, created_at, updated_at)
select
  case said.kind when 0 then 'Olá, preciso de ajuda 🙏' when 1 then 'Bom dia! Em que posso ajudar?' when 2 then 'A conversa foi resolvida' else 'Responderemos em breve' end,
  c.account_id, c.inbox_id, c.id, said.kind,
  case said.kind when 0 then 'Contact' when 1 then case when said.bot then 'AgentBot' else 'User' end end,
  case said.kind when 0 then c.contact_id when 1 then c.assignee_id end,
  said.private, said.at, said.at
from conversations as c
cross join lateral (
  select 0 as kind, false as bot, false as private, c.created_at as at
  union all
  select 1, false, false, c.first_reply_created_at where c.first_reply_created_at is not null
  union all
  select k % 2, k = 3 and c.id % 5 = 0, k = 5, c.created_at + interval '3 hours' + k * interval '7 minutes' from generate_series(1, 1 + c.id % 6) as k
  union all
  select 3, false, false, c.created_at + interval '1 second' where c.id % 4 = 0
  union all
  select 2, false, false, c.updated_at where c.status = 1
) as said
order by c.id, said.at;

insert into reporting_events (name, value, value_in_business_hours, account_id, inbox_id, user_id, conversation_id, event_start_time, event_end_time, created_at, updated_at)
select told.name, extract(epoch from told.ended - c.created_at), extract(epoch from told.ended - c.created_at) / 3, c.account_id, c.inbox_id, c.assignee_id, c.id,
  c.created_at, told.ended, told.ended + told.lag, told.ended + told.lag
from conversations as c
cross join lateral (
  select 'first_response' as name, c.first_reply_created_at as ended, interval '0.4 seconds' as lag where c.first_reply_created_at is not null
  union all
  select 'conversation_resolved', c.updated_at, interval '0.7 seconds' where c.status = 1
) as told
order by told.ended;
