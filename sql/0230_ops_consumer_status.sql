-- What each instance of a consumer does now: running, waiting (its sink is down) or halted (a person is needed), and why.
create table if not exists ops.consumer_status (
  consumer text not null,
  instance integer not null,
  state text not null check (state in ('running', 'waiting', 'halted', 'stopped')),
  since timestamptz not null default clock_timestamp(),
  reason text,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (consumer, instance)
);

revoke all on ops.consumer_status from public;
