-- One row an event, whatever silver made of it. `json`, not `jsonb`: the images keep the text Postgres printed.
-- An application event has op 'event', its id as key, version 0 and its payload in `after`.
create table if not exists bronze.events (
  event_id text collate "C" primary key,
  source text,
  source_table text,
  key text,
  version bigint,
  op text,
  before json,
  after json,
  occurred_at timestamptz,
  claimed_at timestamptz,
  published_at timestamptz,
  received_at timestamptz not null default clock_timestamp(),
  kafka_topic text,
  kafka_partition integer,
  kafka_offset bigint,
  traceparent text
);

revoke all on bronze.events from public;
