-- Changes not yet in Kafka. Rows come and go; none is ever updated. The images are stored uncompressed: they live for
-- milliseconds, and pg_column_size then tells their length without reading them. An insert or update without any image is
-- of a time when the outbox was above its budget: claim then reads the row as it stands. op is insert, update, delete, or
-- truncate: a table's floor, under the key [].
create table afluente.outbox (
  version bigint not null,
  source_table text not null,
  topic text not null,
  key text not null,
  shard int not null,
  op text not null,
  before json,
  after json,
  occurred_at timestamptz not null,
  traceparent text,
  -- The order in which a shard is read; versions alone are unique as well, for they come from one sequence.
  constraint outbox_pkey primary key (shard, version)
);

alter table afluente.outbox alter column before set storage external;
alter table afluente.outbox alter column after set storage external;

-- A queue dies as fast as it grows: vacuum early and without pauses. Never give pages back at the end, for that takes a
-- lock which makes users' inserts wait.
alter table afluente.outbox set (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_scale_factor = 0,
  autovacuum_vacuum_insert_threshold = 50000, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = false,
  toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000, toast.autovacuum_vacuum_insert_scale_factor = 0,
  toast.autovacuum_vacuum_insert_threshold = 50000, toast.autovacuum_vacuum_cost_delay = 0, toast.vacuum_truncate = false
);

-- Who may work on a slice of the outbox, and under which epoch. Users' transactions read it and never lock it.
create table afluente.shards (
  shard int constraint shards_pkey primary key,
  owner text,
  epoch bigint not null default 0,
  leased_until timestamptz not null default '-infinity',
  -- No change with a version up to this one lies in the shard or can still appear in it: claim never looks below.
  settled bigint not null default 0,
  -- Whoever may still commit a version up to this one has a transaction id below that one.
  horizon_version bigint not null default 0,
  horizon_xid xid8
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

insert into afluente.shards (shard) values (0);

-- How many shards there are, for those who write: a cell outside transactions, like afluente.last_rung, since an old snapshot must
-- not put a change where nobody looks any more. Read where the outbox is locked already, as set_shards writes it.
create sequence afluente.shard_count as bigint cache 1 minvalue 0 start 1;

create function afluente.count_shards() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform setval('afluente.shard_count', (select count(*) from afluente.shards));
  return null;
end
$$;

create trigger count_shards after insert or delete on afluente.shards
for each statement execute function afluente.count_shards();

revoke all on function afluente.count_shards() from public, anon, authenticated;

-- The tables whose changes are captured.
create table afluente.captured_tables (
  table_oid regclass constraint captured_tables_pkey primary key,
  schema_name text not null,
  table_name text not null,
  topic text not null,
  key_columns text[] not null,
  exclude text[] not null,
  -- The same by number, under which an excluded column stays so when it is renamed. They hold for the table of that number:
  -- one that came out of a dump has another, and numbers its columns anew.
  exclude_numbers smallint[] not null,
  numbers_of oid not null,
  with_before boolean not null,
  function_name text not null,
  -- The partitions that have the triggers; empty for a table without.
  members oid[] not null default '{}',
  -- What the columns were when they were last looked at (see afluente.columns_of).
  columns jsonb not null,
  captured_at timestamptz not null default now(),
  -- Since when it has to be reconciled. What a reconcile has taken upon itself stands beside it, with that reconcile's number, so that a
  -- mark that is made while it reads outlives it.
  reconcile_since timestamptz,
  reconciling_since timestamptz,
  reconciling bigint not null default 0,
  -- Since when there are changes of which the key alone was kept: the present rows arrive, what they were in between doesn't.
  keys_only_since timestamptz,
  failures bigint not null default 0,
  last_failure text,
  constraint captured_tables_name_key unique (schema_name, table_name)
);

-- What went wrong in a trigger, one row a statement: inserting waits for nobody, where a counter would make one user's
-- transaction wait for another's. Without words where only the keys of a table's changes were kept. Folded into
-- captured_tables by afluente.fold_failures.
create table afluente.failures (
  source_table text not null,
  failed_at timestamptz not null,
  failure text
);

create index failures_source_table on afluente.failures (source_table);

-- One row: which database this is, and its settings. By the first five a copy or a restored backup is told from the
-- database that was captured.
create table afluente.installation (
  only_row boolean constraint installation_pkey primary key default true check (only_row),
  system_identifier bigint not null,
  timeline text not null,
  database_oid oid not null,
  outbox_oid oid not null,
  server_started_at timestamptz not null,
  outbox_budget bigint not null default 536870912 constraint installation_outbox_budget_check check (outbox_budget > 0)
);

alter table afluente.outbox enable row level security;
alter table afluente.shards enable row level security;
alter table afluente.captured_tables enable row level security;
alter table afluente.failures enable row level security;
alter table afluente.installation enable row level security;
revoke all on all tables in schema afluente from public, anon, authenticated;
