-- One row a reconcile of a table: what was found in the sinks, as of when. Who works on it holds its lease; how far its reading has come is
-- noted in `pass`, so that one whose function was killed goes on where it was. `keys` names some of what was found.
create table if not exists ops.reconciliation (
  id bigint generated always as identity primary key,
  source_table text not null,
  actor text not null,
  repair boolean not null,
  state text not null default 'running' constraint known_state check (state in ('running', 'done', 'failed')),
  owner text not null,
  epoch bigint not null default 1,
  leased_until timestamptz not null,
  began_at timestamptz not null default clock_timestamp(),
  as_of timestamptz,
  ended_at timestamptz,
  rows bigint,
  sinks jsonb,
  keys jsonb,
  moving bigint,
  unopened bigint,
  mended bigint,
  problem text,
  pass jsonb,
  constraint ended_when_not_running check ((state = 'running') = (ended_at is null)),
  constraint a_verdict_has_its_time check (state <> 'done' or (as_of is not null and rows is not null and sinks is not null))
) with (fillfactor = 50);

create index if not exists reconciliation_latest on ops.reconciliation (source_table, ended_at desc) where state <> 'running';
-- One at a time a table and actor.
create unique index if not exists reconciliation_running on ops.reconciliation (source_table, actor) where state = 'running';

revoke all on ops.reconciliation from public;
