-- Chatwoot's database as far as the view reads it: seven tables, as its migrations leave them (September 2024), for the local stack
-- and for tests. A real Chatwoot has them already, and gets the view alone.
-- Every time is UTC without a zone, as Rails writes it. What hurts is kept: no index on updated_at anywhere, none on
-- reporting_events.conversation_id (newer installations have that one), no foreign keys.

create table accounts (
  id serial primary key,
  name varchar not null,
  created_at timestamp not null,
  updated_at timestamp not null,
  locale integer default 0,
  domain varchar(100),
  support_email varchar(100),
  feature_flags bigint not null default 0,
  auto_resolve_duration integer,
  limits jsonb default '{}',
  custom_attributes jsonb default '{}',
  status integer default 0
);

create table users (
  id serial primary key,
  provider varchar not null default 'email',
  uid varchar not null default '',
  encrypted_password varchar not null default '',
  reset_password_token varchar,
  reset_password_sent_at timestamp,
  remember_created_at timestamp,
  sign_in_count integer not null default 0,
  current_sign_in_at timestamp,
  last_sign_in_at timestamp,
  current_sign_in_ip varchar,
  last_sign_in_ip varchar,
  confirmation_token varchar,
  confirmed_at timestamp,
  confirmation_sent_at timestamp,
  unconfirmed_email varchar,
  name varchar not null,
  display_name varchar,
  email varchar,
  tokens json,
  created_at timestamp not null,
  updated_at timestamp not null,
  pubsub_token varchar,
  availability integer default 0,
  ui_settings jsonb default '{}',
  custom_attributes jsonb default '{}',
  type varchar,
  message_signature text
);
create unique index index_users_on_uid_and_provider on users (uid, provider);
create unique index index_users_on_pubsub_token on users (pubsub_token);

create table inboxes (
  id serial primary key,
  channel_id integer not null,
  account_id integer not null,
  name varchar not null,
  created_at timestamp not null,
  updated_at timestamp not null,
  channel_type varchar,
  enable_auto_assignment boolean default true,
  greeting_enabled boolean default false,
  greeting_message varchar,
  email_address varchar,
  working_hours_enabled boolean default false,
  out_of_office_message varchar,
  timezone varchar default 'UTC',
  enable_email_collect boolean default true,
  csat_survey_enabled boolean default false,
  allow_messages_after_resolved boolean default true,
  auto_assignment_config jsonb default '{}',
  lock_to_single_conversation boolean not null default false,
  portal_id bigint,
  sender_name_type integer not null default 0,
  business_name varchar
);
create index index_inboxes_on_account_id on inboxes (account_id);

create table contacts (
  id serial primary key,
  name varchar default '',
  email varchar,
  phone_number varchar,
  account_id integer not null,
  created_at timestamp not null,
  updated_at timestamp not null,
  additional_attributes jsonb default '{}',
  identifier varchar,
  custom_attributes jsonb default '{}',
  last_activity_at timestamp,
  contact_type integer default 0,
  middle_name varchar default '',
  last_name varchar default '',
  location varchar default '',
  country_code varchar default '',
  blocked boolean not null default false
);
create unique index uniq_email_per_account_contact on contacts (email, account_id);
create unique index uniq_identifier_per_account_contact on contacts (identifier, account_id);

create table conversations (
  id serial primary key,
  account_id integer not null,
  inbox_id integer not null,
  status integer not null default 0,
  assignee_id integer,
  created_at timestamp not null,
  updated_at timestamp not null,
  contact_id bigint,
  display_id integer not null,
  contact_last_seen_at timestamp,
  agent_last_seen_at timestamp,
  additional_attributes jsonb default '{}',
  contact_inbox_id bigint,
  uuid uuid not null default gen_random_uuid(),
  identifier varchar,
  last_activity_at timestamp not null default current_timestamp,
  team_id bigint,
  campaign_id bigint,
  snoozed_until timestamp,
  custom_attributes jsonb default '{}',
  assignee_last_seen_at timestamp,
  first_reply_created_at timestamp,
  priority integer,
  sla_policy_id bigint,
  waiting_since timestamp(6),
  cached_label_list text
);
create unique index index_conversations_on_account_id_and_display_id on conversations (account_id, display_id);
create unique index index_conversations_on_uuid on conversations (uuid);

create table messages (
  id serial primary key,
  content text,
  account_id integer not null,
  inbox_id integer not null,
  conversation_id integer not null,
  message_type integer not null,
  created_at timestamp not null,
  updated_at timestamp not null,
  private boolean not null default false,
  status integer default 0,
  source_id varchar,
  content_type integer not null default 0,
  content_attributes json default '{}',
  sender_type varchar,
  sender_id bigint,
  external_source_ids jsonb default '{}',
  additional_attributes jsonb default '{}',
  processed_message_content text,
  sentiment jsonb default '{}'
);
create index index_messages_on_account_created_type on messages (account_id, created_at, message_type);
create index index_messages_on_conversation_id on messages (conversation_id);
create index index_messages_on_created_at on messages (created_at);

create table reporting_events (
  id bigserial primary key,
  name varchar,
  value double precision,
  account_id integer,
  inbox_id integer,
  user_id integer,
  conversation_id integer,
  created_at timestamp(6) not null,
  updated_at timestamp(6) not null,
  value_in_business_hours double precision,
  event_start_time timestamp,
  event_end_time timestamp
);
create index reporting_events__account_id__name__created_at on reporting_events (account_id, name, created_at);
create index index_reporting_events_on_created_at on reporting_events (created_at);

-- Conversations are numbered by account: each account has a sequence.
create function accounts_after_insert_row_tr() returns trigger language plpgsql as $$
begin
  execute format('create sequence if not exists conv_dpid_seq_%s', new.id);
  return null;
end
$$;
create trigger accounts_after_insert_row_tr after insert on accounts for each row execute function accounts_after_insert_row_tr();

create function conversations_before_insert_row_tr() returns trigger language plpgsql as $$
begin
  new.display_id := nextval('conv_dpid_seq_' || new.account_id);
  return new;
end
$$;
create trigger conversations_before_insert_row_tr before insert on conversations for each row execute function conversations_before_insert_row_tr();

comment on table conversations is 'Made by npm start of Afluente';
