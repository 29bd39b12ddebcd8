-- Generated from shared/pipeline.ts by `npm run generate`. Change it there.
do $$
begin

create or replace view bi."conversas_analytics" with (security_invoker = true) as
select
  "conversation_id", -- bigint
  "display_id", -- integer
  "conversation_uuid", -- uuid
  "account_id", -- bigint
  "account_name", -- text
  "inbox_id", -- bigint
  "inbox_name", -- text
  "channel", -- text
  "contact_id", -- bigint
  "contact_name", -- text
  "contact_email", -- text
  "contact_phone", -- text
  "contact_identifier", -- text
  "contact_blocked", -- boolean
  "assignee_id", -- bigint
  "assignee_name", -- text
  "assignee_email", -- text
  "team_id", -- bigint
  "status", -- text
  "priority", -- text
  "labels", -- text[]
  "messages_total", -- integer
  "messages_from_contact", -- integer
  "messages_from_user", -- integer
  "messages_from_bot", -- integer
  "messages_from_system", -- integer
  "messages_private", -- integer
  "last_message_at", -- timestamptz
  "first_response_seconds", -- double precision
  "first_response_business_seconds", -- double precision
  "resolution_seconds", -- double precision
  "resolution_business_seconds", -- double precision
  "resolved_at", -- timestamptz
  "first_reply_at", -- timestamptz
  "waiting_since", -- timestamptz
  "snoozed_until", -- timestamptz
  "last_activity_at", -- timestamptz
  "contact_last_seen_at", -- timestamptz
  "agent_last_seen_at", -- timestamptz
  "assignee_last_seen_at", -- timestamptz
  "campaign_id", -- bigint
  "sla_policy_id", -- bigint
  "identifier", -- text
  "additional_attributes", -- jsonb
  "custom_attributes", -- jsonb
  "conversation_created_at", -- timestamptz
  "conversation_updated_at" -- timestamptz
from silver."conversas_analytics"
where _deleted_at is null;

exception when invalid_table_definition then
drop view bi."conversas_analytics";

create view bi."conversas_analytics" with (security_invoker = true) as
select
  "conversation_id", -- bigint
  "display_id", -- integer
  "conversation_uuid", -- uuid
  "account_id", -- bigint
  "account_name", -- text
  "inbox_id", -- bigint
  "inbox_name", -- text
  "channel", -- text
  "contact_id", -- bigint
  "contact_name", -- text
  "contact_email", -- text
  "contact_phone", -- text
  "contact_identifier", -- text
  "contact_blocked", -- boolean
  "assignee_id", -- bigint
  "assignee_name", -- text
  "assignee_email", -- text
  "team_id", -- bigint
  "status", -- text
  "priority", -- text
  "labels", -- text[]
  "messages_total", -- integer
  "messages_from_contact", -- integer
  "messages_from_user", -- integer
  "messages_from_bot", -- integer
  "messages_from_system", -- integer
  "messages_private", -- integer
  "last_message_at", -- timestamptz
  "first_response_seconds", -- double precision
  "first_response_business_seconds", -- double precision
  "resolution_seconds", -- double precision
  "resolution_business_seconds", -- double precision
  "resolved_at", -- timestamptz
  "first_reply_at", -- timestamptz
  "waiting_since", -- timestamptz
  "snoozed_until", -- timestamptz
  "last_activity_at", -- timestamptz
  "contact_last_seen_at", -- timestamptz
  "agent_last_seen_at", -- timestamptz
  "assignee_last_seen_at", -- timestamptz
  "campaign_id", -- bigint
  "sla_policy_id", -- bigint
  "identifier", -- text
  "additional_attributes", -- jsonb
  "custom_attributes", -- jsonb
  "conversation_created_at", -- timestamptz
  "conversation_updated_at" -- timestamptz
from silver."conversas_analytics"
where _deleted_at is null;

end
$$;

revoke all on bi."conversas_analytics" from public;
