-- Generated from shared/pipeline.ts by `npm run generate`. Change it there.
drop view if exists bi."chat_sessions";

create view bi."chat_sessions" with (security_invoker = true) as
select
  "id",
  "lead_id",
  "channel",
  "status",
  "agent",
  "started_at",
  "ended_at",
  "last_message_at",
  "message_count",
  "rating",
  "summary",
  "created_at",
  "updated_at"
from silver."chat_sessions"
where _deleted_at is null;

revoke all on bi."chat_sessions" from public;
