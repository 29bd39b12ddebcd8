-- Generated from shared/pipeline.ts by `npm run generate`. Change it there.
do $$
begin

create or replace view bi."leads" with (security_invoker = true) as
select
  "id", -- uuid
  "name", -- text
  "email", -- text
  "phone", -- text
  "company", -- text
  "job_title", -- text
  "source", -- text
  "status", -- text
  "score", -- smallint
  "estimated_value", -- numeric
  "tags", -- text[]
  "metadata", -- jsonb
  "assigned_to", -- uuid
  "created_at", -- timestamptz
  "updated_at" -- timestamptz
from silver."leads"
where _deleted_at is null;

exception when invalid_table_definition then
drop view bi."leads";

create view bi."leads" with (security_invoker = true) as
select
  "id", -- uuid
  "name", -- text
  "email", -- text
  "phone", -- text
  "company", -- text
  "job_title", -- text
  "source", -- text
  "status", -- text
  "score", -- smallint
  "estimated_value", -- numeric
  "tags", -- text[]
  "metadata", -- jsonb
  "assigned_to", -- uuid
  "created_at", -- timestamptz
  "updated_at" -- timestamptz
from silver."leads"
where _deleted_at is null;

end
$$;

revoke all on bi."leads" from public;
