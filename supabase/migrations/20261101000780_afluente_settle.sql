-- How far down a shard there is nothing left to find. Dead index entries of an hour lie there while somebody's old snapshot keeps
-- vacuum from removing them, and each look from the bottom would walk over all of them.
--
-- horizon is a version read before this transaction had an id. Whoever drew a version up to it had an id by then, for a trigger
-- draws after its row was written; so once all transactions up to this one's id have ended, every such change is visible that
-- ever will be, and those that are not in the shard have left it. Snapshots that write nothing have no id and hold nothing up.
create function afluente.settle(shard int, horizon bigint) returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
#variable_conflict use_column
declare
  held afluente.shards := (select s from afluente.shards s where s.shard = settle.shard);
  former afluente.shards := held;
begin
  if held.horizon_xid is not null and pg_snapshot_xmin(pg_current_snapshot()) <= held.horizon_xid then
    return held.settled;
  end if;
  if held.horizon_xid is not null then
    held.settled := greatest(held.settled, least(held.horizon_version, (
      select o.version - 1 from afluente.outbox o
      where o.shard = settle.shard and o.version > held.settled order by o.version limit 1
    )));
  end if;
  update afluente.shards s
  set
    settled = held.settled, horizon_version = coalesce(settle.horizon, 0),
    horizon_xid = case when settle.horizon is not null then pg_current_xact_id() end
  where
    s.shard = settle.shard
    -- Unless a change with an old version came in meanwhile (afluente.send_deletes), which looked for none of these.
    and s.settled = former.settled and s.horizon_version = former.horizon_version and s.horizon_xid is not distinct from former.horizon_xid;
  return case when found then held.settled else least(former.settled, (select s.settled from afluente.shards s where s.shard = settle.shard)) end;
end
$$;

revoke all on function afluente.settle(int, bigint) from public, anon, authenticated;
