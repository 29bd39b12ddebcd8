-- What really happened in the analytics database, beside the pipeline's own counters: written by triggers in the transaction
-- that did it. `connection` is the client's port: with what the proxy has seen it tells which epoch the writer believed to hold.
create schema chaos;

create table chaos.applied (
  n bigint generated always as identity primary key,
  xid xid8 not null default pg_current_xact_id(),
  table_name text not null,
  id uuid not null,
  op text not null,
  event_id text,
  version bigint,
  old_version bigint
);

create table chaos.progress (
  n bigint generated always as identity primary key,
  xid xid8 not null default pg_current_xact_id(),
  at timestamptz not null default clock_timestamp(),
  connection int default inet_client_port(),
  op text not null,
  consumer text not null,
  topic text not null,
  "partition" int not null,
  epoch bigint,
  old_epoch bigint,
  next_offset bigint,
  old_next_offset bigint
);

create table chaos.bronze_changed (
  n bigint generated always as identity primary key,
  op text not null,
  event_id text not null
);

create function chaos.note_applied() returns trigger
language plpgsql
as $$
begin
  insert into chaos.applied (table_name, id, op, event_id, version, old_version)
  values (
    tg_table_name, coalesce(new.id, old.id), tg_op,
    case when tg_op <> 'DELETE' then new._event_id end,
    case when tg_op <> 'DELETE' then new._version end,
    case when tg_op <> 'INSERT' then old._version end
  );
  return null;
end
$$;

create function chaos.note_progress() returns trigger
language plpgsql
as $$
begin
  insert into chaos.progress (op, consumer, topic, "partition", epoch, old_epoch, next_offset, old_next_offset)
  values (
    tg_op, coalesce(new.consumer, old.consumer), coalesce(new.topic, old.topic), coalesce(new."partition", old."partition"),
    case when tg_op <> 'DELETE' then new.epoch end, case when tg_op <> 'INSERT' then old.epoch end,
    case when tg_op <> 'DELETE' then new.next_offset end, case when tg_op <> 'INSERT' then old.next_offset end
  );
  return null;
end
$$;

create function chaos.note_bronze_changed() returns trigger
language plpgsql
as $$
begin
  insert into chaos.bronze_changed (op, event_id) values (tg_op, old.event_id);
  return null;
end
$$;

create trigger chaos after insert or update or delete on silver.leads for each row execute function chaos.note_applied();
create trigger chaos after insert or update or delete on silver.chat_sessions for each row execute function chaos.note_applied();
create trigger chaos after insert or update or delete on ops.consumer_progress for each row execute function chaos.note_progress();
create trigger chaos after update or delete on bronze.events for each row execute function chaos.note_bronze_changed();
