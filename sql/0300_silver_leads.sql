-- Generated from shared/pipeline.ts by `npm run generate`. Change it there.
create table if not exists silver."leads" (
  "id" uuid,
  "name" text,
  "email" text,
  "phone" text,
  "company" text,
  "job_title" text,
  "source" text,
  "status" text,
  "score" smallint,
  "estimated_value" numeric,
  "tags" text[],
  "metadata" jsonb,
  "assigned_to" uuid,
  "created_at" timestamptz,
  "updated_at" timestamptz,
  _version bigint not null,
  _deleted_at timestamptz,
  _event_id text,
  _synced_at timestamptz,
  primary key ("id")
);

-- Columns that came into the definition after the table was made.
alter table silver."leads"
  add column if not exists "id" uuid,
  add column if not exists "name" text,
  add column if not exists "email" text,
  add column if not exists "phone" text,
  add column if not exists "company" text,
  add column if not exists "job_title" text,
  add column if not exists "source" text,
  add column if not exists "status" text,
  add column if not exists "score" smallint,
  add column if not exists "estimated_value" numeric,
  add column if not exists "tags" text[],
  add column if not exists "metadata" jsonb,
  add column if not exists "assigned_to" uuid,
  add column if not exists "created_at" timestamptz,
  add column if not exists "updated_at" timestamptz;

revoke all on silver."leads" from public;
