-- One row a conversation, for a Chatwoot database. Apply it as the owner of Chatwoot's tables; role.sql makes a role that reads it.
-- It reads accounts, inboxes, contacts, users, conversations, messages and reporting_events, and nothing else.
--
-- A page costs a page: everything beside the conversation is looked up by it. What is looked up for columns that a query does not
-- ask for costs nothing: each lookup gives one row at most in a form that Postgres can prove, so it leaves the join out.
--
-- First response and resolution stand in reporting_events, which may have no index on conversation_id. Where it has one, that is used
-- (asked once a query). Where it has none, a conversation's event is looked for along (account_id, name, created_at), from the
-- moments at which it must have been written, and never further than 100 entries: an event is written seconds after its reply or
-- resolution. The comparison of whole rows is there since no other index than that one can answer it; behind a moment that is
-- NULL it would read everything. Times are UTC without a zone, as Chatwoot keeps them.
create or replace view vw_conversations_analytics_final as
select
  c.id as conversation_id,
  c.display_id,
  c.uuid as conversation_uuid,
  c.account_id,
  a.name as account_name,
  c.inbox_id,
  i.name as inbox_name,
  case i.channel_type
    when 'Channel::WebWidget' then 'web_widget'
    when 'Channel::Api' then 'api'
    when 'Channel::Email' then 'email'
    when 'Channel::Whatsapp' then 'whatsapp'
    when 'Channel::FacebookPage' then 'facebook'
    when 'Channel::Instagram' then 'instagram'
    when 'Channel::Telegram' then 'telegram'
    when 'Channel::Line' then 'line'
    when 'Channel::Sms' then 'sms'
    when 'Channel::TwilioSms' then 'twilio_sms'
    when 'Channel::TwitterProfile' then 'twitter'
    else i.channel_type
  end as channel,
  c.contact_id,
  p.name as contact_name,
  p.email as contact_email,
  p.phone_number as contact_phone,
  p.identifier as contact_identifier,
  p.blocked as contact_blocked,
  c.assignee_id,
  u.name as assignee_name,
  u.email as assignee_email,
  c.team_id,
  case c.status when 0 then 'open' when 1 then 'resolved' when 2 then 'pending' when 3 then 'snoozed' else 'unknown(' || c.status || ')' end as status,
  case c.priority when 0 then 'low' when 1 then 'medium' when 2 then 'high' when 3 then 'urgent' else 'unknown(' || c.priority || ')' end as priority,
  string_to_array(replace(coalesce(c.cached_label_list, ''), ', ', ','), ',') as labels,
  m.messages_total,
  m.messages_from_contact,
  m.messages_from_user,
  m.messages_from_bot,
  m.messages_from_system,
  m.messages_private,
  m.last_message_at,
  f.seconds as first_response_seconds,
  f.business_seconds as first_response_business_seconds,
  r.seconds as resolution_seconds,
  r.business_seconds as resolution_business_seconds,
  r.ended_at as resolved_at,
  c.first_reply_created_at as first_reply_at,
  c.waiting_since,
  c.snoozed_until,
  c.last_activity_at,
  c.contact_last_seen_at,
  c.agent_last_seen_at,
  c.assignee_last_seen_at,
  c.campaign_id,
  c.sla_policy_id,
  c.identifier,
  c.additional_attributes,
  c.custom_attributes,
  c.created_at as conversation_created_at,
  c.updated_at as conversation_updated_at
from conversations as c
left join accounts as a on a.id = c.account_id
left join inboxes as i on i.id = c.inbox_id
left join contacts as p on p.id = c.contact_id
left join users as u on u.id = c.assignee_id
left join lateral (
  select
    count(*)::integer as messages_total,
    (count(*) filter (where sender_type = 'Contact'))::integer as messages_from_contact,
    (count(*) filter (where sender_type = 'User'))::integer as messages_from_user,
    (count(*) filter (where sender_type not in ('Contact', 'User')))::integer as messages_from_bot,
    (count(*) filter (where sender_type is null))::integer as messages_from_system,
    (count(*) filter (where private))::integer as messages_private,
    max(created_at) as last_message_at,
    max(created_at) filter (where message_type = 2) as last_notice_at
  from messages
  where conversation_id = c.id
) as m on true
left join lateral (
  select max(value) as seconds, max(value_in_business_hours) as business_seconds
  from (
    (
      select value, value_in_business_hours
      from reporting_events
      where (select exists (select from pg_index as x join pg_attribute as t on t.attrelid = x.indrelid and t.attnum = x.indkey[0]
          where x.indrelid = 'reporting_events'::regclass and x.indisvalid and x.indpred is null and t.attname = 'conversation_id'))
        and conversation_id = c.id and account_id = c.account_id and name = 'first_response'
      order by created_at, id
      limit 1
    )
    union all
    (
      select value, value_in_business_hours
      from (
        select conversation_id, name, value, value_in_business_hours
        from reporting_events
        where c.first_reply_created_at is not null and (account_id, name, created_at) >= (c.account_id, 'first_response', c.first_reply_created_at - interval '10 seconds')
        order by account_id, name, created_at
        limit 100
      ) as after_reply
      where conversation_id = c.id and name = 'first_response'
      limit 1
    )
    union all
    (
      select value, value_in_business_hours
      from (
        select conversation_id, name, value, value_in_business_hours
        from reporting_events
        where (account_id, name, created_at) >= (c.account_id, 'first_response', c.created_at - interval '10 seconds')
        order by account_id, name, created_at
        limit 20
      ) as after_creation
      where conversation_id = c.id and name = 'first_response'
      limit 1
    )
    limit 1
  ) as found
) as f on true
left join lateral (
  select max(value) as seconds, max(value_in_business_hours) as business_seconds, max(event_end_time) as ended_at
  from (
    (
      select value, value_in_business_hours, event_end_time
      from reporting_events
      where (select exists (select from pg_index as x join pg_attribute as t on t.attrelid = x.indrelid and t.attnum = x.indkey[0]
          where x.indrelid = 'reporting_events'::regclass and x.indisvalid and x.indpred is null and t.attname = 'conversation_id'))
        and conversation_id = c.id and account_id = c.account_id and name = 'conversation_resolved'
      order by created_at desc, id desc
      limit 1
    )
    union all
    (
      -- A resolution leaves a notice in the conversation. Most often it is the last one.
      select value, value_in_business_hours, event_end_time
      from (
        select conversation_id, name, value, value_in_business_hours, event_end_time
        from reporting_events
        where m.last_notice_at is not null and (account_id, name, created_at) >= (c.account_id, 'conversation_resolved', m.last_notice_at - interval '10 seconds')
        order by account_id, name, created_at
        limit 100
      ) as after_last_notice
      where conversation_id = c.id and name = 'conversation_resolved'
      limit 1
    )
    union all
    (
      select e.value, e.value_in_business_hours, e.event_end_time
      from messages as notice
      cross join lateral (
        select id, created_at, conversation_id, name, value, value_in_business_hours, event_end_time
        from reporting_events
        where (account_id, name, created_at) >= (c.account_id, 'conversation_resolved', notice.created_at - interval '10 seconds')
        order by account_id, name, created_at
        limit 100
      ) as e
      where notice.conversation_id = c.id and notice.message_type = 2 and e.conversation_id = c.id and e.name = 'conversation_resolved'
      order by e.created_at desc, e.id desc
      limit 1
    )
    union all
    (
      select value, value_in_business_hours, event_end_time
      from (
        select id, created_at, conversation_id, name, value, value_in_business_hours, event_end_time
        from reporting_events
        where (account_id, name, created_at) >= (c.account_id, 'conversation_resolved', c.created_at - interval '10 seconds')
        order by account_id, name, created_at
        limit 20
      ) as after_creation
      where conversation_id = c.id and name = 'conversation_resolved'
      order by created_at desc, id desc
      limit 1
    )
    limit 1
  ) as found
) as r on true;
