-- Events that could not be applied, with the reason. One letter a record and consumer; the same record again is one attempt more.
-- `fingerprint` is the same for letters that fail alike. `payload` is the record's value; a NUL in it stands as \u0000.
create table if not exists ops.dead_letter (
  id bigint generated always as identity primary key,
  consumer text not null,
  topic text not null,
  "partition" integer not null,
  "offset" bigint not null,
  event_id text not null,
  table_name text,
  key text,
  payload text,
  headers jsonb not null default '{}',
  error_class text not null,
  message text not null,
  fingerprint text not null,
  attempts integer not null default 1,
  first_seen timestamptz not null default clock_timestamp(),
  last_seen timestamptz not null default clock_timestamp(),
  state text not null default 'open',
  unique (consumer, topic, "partition", "offset")
);

revoke all on ops.dead_letter from public;
