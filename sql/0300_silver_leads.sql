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

revoke all on silver."leads" from public;

-- Locked by every batch: it must be there before the first.
insert into ops.floor (source_table) values ('public.leads') on conflict do nothing;

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

-- Types that have changed in the definition. The view stands in the way; its own file makes it again.
do $$
begin
  if exists (
    select from pg_attribute as a
    join (values
      ('id', 'uuid'),
      ('name', 'text'),
      ('email', 'text'),
      ('phone', 'text'),
      ('company', 'text'),
      ('job_title', 'text'),
      ('source', 'text'),
      ('status', 'text'),
      ('score', 'smallint'),
      ('estimated_value', 'numeric'),
      ('tags', 'text[]'),
      ('metadata', 'jsonb'),
      ('assigned_to', 'uuid'),
      ('created_at', 'timestamptz'),
      ('updated_at', 'timestamptz')
    ) as defined (name, type) on defined.name = a.attname
    where a.attrelid = 'silver."leads"'::regclass and a.atttypid <> defined.type::regtype
  ) then
    drop view if exists bi."leads";
    alter table silver."leads"
      alter column "id" type uuid,
      alter column "name" type text,
      alter column "email" type text,
      alter column "phone" type text,
      alter column "company" type text,
      alter column "job_title" type text,
      alter column "source" type text,
      alter column "status" type text,
      alter column "score" type smallint,
      alter column "estimated_value" type numeric,
      alter column "tags" type text[],
      alter column "metadata" type jsonb,
      alter column "assigned_to" type uuid,
      alter column "created_at" type timestamptz,
      alter column "updated_at" type timestamptz;
  end if;
end
$$;
