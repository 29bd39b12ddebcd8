-- Generated from shared/pipeline.ts by `npm run generate`. Change it there.
drop view if exists bi."leads";

create view bi."leads" with (security_invoker = true) as
select
  "id",
  "name",
  "email",
  "phone",
  "company",
  "job_title",
  "source",
  "status",
  "score",
  "estimated_value",
  "tags",
  "metadata",
  "assigned_to",
  "created_at",
  "updated_at"
from silver."leads"
where _deleted_at is null;

revoke all on bi."leads" from public;
