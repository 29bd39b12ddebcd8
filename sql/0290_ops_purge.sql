-- Tombstones that nothing older can meet any more are purged, pass by pass: one row a consumer and table. `horizon`: what was deleted in the
-- sink before it may go; `held_back`: why it is no later, in words. `position`: where the pass under way goes on; null between passes.
-- Who holds the lease works; every write says its epoch.
create table if not exists ops.purge (
  consumer text not null,
  source_table text not null,
  owner text not null,
  epoch bigint not null,
  leased_until timestamptz not null,
  due_at timestamptz not null default clock_timestamp(),
  "position" bigint,
  horizon timestamptz,
  held_back text[] not null default '{}',
  looked_at timestamptz,
  purged bigint not null default 0,
  primary key (consumer, source_table)
) with (fillfactor = 20);

revoke all on ops.purge from public;
