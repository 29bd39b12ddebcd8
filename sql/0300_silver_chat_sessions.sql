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

revoke all on silver."chat_sessions" from public;

-- Locked by every batch: it must be there before the first.
insert into ops.floor (source_table) values ('public.chat_sessions') on conflict do nothing;

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

-- Types that have changed in the definition. The view stands in the way; its own file makes it again.
do $$
begin
  if exists (
    select from pg_attribute as a
    join (values
      ('id', 'uuid'),
      ('lead_id', 'uuid'),
      ('channel', 'text'),
      ('status', 'text'),
      ('agent', 'text'),
      ('started_at', 'timestamptz'),
      ('ended_at', 'timestamptz'),
      ('last_message_at', 'timestamptz'),
      ('message_count', 'integer'),
      ('rating', 'smallint'),
      ('summary', 'text'),
      ('created_at', 'timestamptz'),
      ('updated_at', 'timestamptz')
    ) as defined (name, type) on defined.name = a.attname
    where a.attrelid = 'silver."chat_sessions"'::regclass and a.atttypid <> defined.type::regtype
  ) then
    drop view if exists bi."chat_sessions";
    alter table silver."chat_sessions"
      alter column "id" type uuid,
      alter column "lead_id" type uuid,
      alter column "channel" type text,
      alter column "status" type text,
      alter column "agent" type text,
      alter column "started_at" type timestamptz,
      alter column "ended_at" type timestamptz,
      alter column "last_message_at" type timestamptz,
      alter column "message_count" type integer,
      alter column "rating" type smallint,
      alter column "summary" type text,
      alter column "created_at" type timestamptz,
      alter column "updated_at" type timestamptz;
  end if;
end
$$;
