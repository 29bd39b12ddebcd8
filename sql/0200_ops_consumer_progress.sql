-- One row a consumer and partition: who may write (epoch), how far it has come, and what became of what it read.
-- accepted + duplicate + late + dead = consumed, counted one by one and checked here.
-- Rewritten with every batch, so pages keep room for the next version of the row.
create table if not exists ops.consumer_progress (
  consumer text not null,
  topic text not null,
  "partition" integer not null,
  owner text not null,
  epoch bigint not null,
  next_offset bigint not null default 0,
  consumed bigint not null default 0,
  accepted bigint not null default 0,
  duplicate bigint not null default 0,
  late bigint not null default 0,
  dead bigint not null default 0,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (consumer, topic, "partition"),
  constraint every_event_counted_once check (accepted + duplicate + late + dead = consumed)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

revoke all on ops.consumer_progress from public;
