-- Generated from shared/pipeline.ts by `npm run generate`. Change it there.
do $$
begin

create or replace view bi."chat_sessions" with (security_invoker = true) as
select
  "id", -- uuid
  "lead_id", -- uuid
  "channel", -- text
  "status", -- text
  "agent", -- text
  "started_at", -- timestamptz
  "ended_at", -- timestamptz
  "last_message_at", -- timestamptz
  "message_count", -- integer
  "rating", -- smallint
  "summary", -- text
  "created_at", -- timestamptz
  "updated_at" -- timestamptz
from silver."chat_sessions"
where _deleted_at is null;

exception when invalid_table_definition then
drop view bi."chat_sessions";

create view bi."chat_sessions" with (security_invoker = true) as
select
  "id", -- uuid
  "lead_id", -- uuid
  "channel", -- text
  "status", -- text
  "agent", -- text
  "started_at", -- timestamptz
  "ended_at", -- timestamptz
  "last_message_at", -- timestamptz
  "message_count", -- integer
  "rating", -- smallint
  "summary", -- text
  "created_at", -- timestamptz
  "updated_at" -- timestamptz
from silver."chat_sessions"
where _deleted_at is null;

end
$$;

revoke all on bi."chat_sessions" from public;
