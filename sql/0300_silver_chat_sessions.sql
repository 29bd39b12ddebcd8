-- Generated from shared/pipeline.ts by `npm run generate`. Change it there.
create table if not exists silver."chat_sessions" (
  "id" uuid,
  "lead_id" uuid,
  "channel" text,
  "status" text,
  "agent" text,
  "started_at" timestamptz,
  "ended_at" timestamptz,
  "last_message_at" timestamptz,
  "message_count" integer,
  "rating" smallint,
  "summary" text,
  "created_at" timestamptz,
  "updated_at" timestamptz,
  _version bigint not null,
  _deleted_at timestamptz,
  _event_id text,
  _synced_at timestamptz,
  primary key ("id")
);

-- Columns that came into the definition after the table was made.
alter table silver."chat_sessions"
  add column if not exists "id" uuid,
  add column if not exists "lead_id" uuid,
  add column if not exists "channel" text,
  add column if not exists "status" text,
  add column if not exists "agent" text,
  add column if not exists "started_at" timestamptz,
  add column if not exists "ended_at" timestamptz,
  add column if not exists "last_message_at" timestamptz,
  add column if not exists "message_count" integer,
  add column if not exists "rating" smallint,
  add column if not exists "summary" text,
  add column if not exists "created_at" timestamptz,
  add column if not exists "updated_at" timestamptz;

revoke all on silver."chat_sessions" from public;
