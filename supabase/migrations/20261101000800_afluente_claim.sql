-- The work on a shard of the outbox: claim, publish to Kafka, acknowledge. Each answers one JSON value, for PostgREST cuts
-- result sets. One holder a shard at a time, for a lease; taking it under a new owner raises the epoch, and what the holder
-- of an old epoch asks for is refused.

-- Takes or renews the lease of a shard and answers changes in version order, up to max_rows and max_bytes (a larger change
-- comes alone):
--   {"status":"held","epoch":7,"rows":[[version, source_table, topic, key, op, before, after, occurred_at, traceparent, oversized], …],"more":false}
--   {"status":"busy","retryMs":1200}      another owner holds it
--   {"status":"refused","reason":"…"}     asked wrongly, or this database is a copy or was restored: afluente.rebase mends that
-- before and after are the row's JSON as text, in a JSON string, so that nobody on its way has to parse it. oversized is null,
-- or the bytes of images so large that no topic takes them (above 32 MiB in all): these are not read and come as null, for
-- a string of theirs would break what lies between here and Kafka, at every try. Changes of which only the key was kept are
-- answered as the row stands now: op read, or delete when it is gone; a read without an image could not be read.
--
-- beside names versions that the caller has and that are not acknowledged yet: they are left out, so that the next changes can
-- be claimed while those are published. floor leaves out all up to a version, and with them what commits late below it, which
-- must go before a later change of its key: it is for whoever wants no changes at all. An owner keeps its epoch for as long as
-- nobody else took the lease. With wait, an empty (or busy) answer is held back, without a lock, and looked for again every
-- 2 ms; the call that takes the lease answers at once, so that others see it. A lease is renewed when a quarter of it is gone:
-- most calls write nothing.
create function afluente.claim(
  shard int, owner text, lease interval default '3 seconds', floor bigint default 0,
  max_rows int default 1000, max_bytes bigint default 4194304, wait interval default '0',
  beside bigint[] default '{}'
) returns json
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
#variable_conflict use_column
declare
  oversize constant int := 33554432;
  deadline timestamptz := clock_timestamp() + wait;
  -- Read before this transaction has an id, or it proves nothing.
  horizon bigint := case when pg_current_xact_id_if_assigned() is null then (select v.last_value from afluente.version v) end;
  held afluente.shards;
  taken boolean;
  elsewhere text;
  rows json;
  more boolean;
  imageless boolean;
begin
  if coalesce(owner, '') = '' or lease is null or lease <= interval '0' or max_rows is null or max_rows < 1 then
    return json_build_object('status', 'refused', 'reason', 'claim needs an owner, a lease above zero and max_rows of 1 or more');
  end if;
  elsewhere := afluente.recognize();
  if elsewhere is not null then
    return json_build_object('status', 'refused', 'reason', elsewhere);
  end if;
  -- A restart was noted: users' writes wait for the end of this call.
  if horizon is not null and pg_current_xact_id_if_assigned() is not null then
    deadline := clock_timestamp();
  end if;
  loop
    select s.* into held from afluente.shards s where s.shard = claim.shard;
    if not found then
      return json_build_object('status', 'refused', 'reason', format('there is no shard %s', shard));
    end if;

    taken := false;
    if held.owner is distinct from claim.owner or held.leased_until <= greatest(deadline, clock_timestamp()) then
      if held.owner is distinct from claim.owner and held.leased_until > clock_timestamp() then
        if clock_timestamp() >= deadline then
          return json_build_object(
            'status', 'busy',
            'retryMs', greatest(1, ceil(extract(epoch from held.leased_until - clock_timestamp()) * 1000))::bigint
          );
        end if;
        perform pg_sleep(0.002);
        continue;
      end if;
      update afluente.shards s
      set
        epoch = case when s.owner = claim.owner then s.epoch else s.epoch + 1 end,
        owner = claim.owner, leased_until = clock_timestamp() + lease
      where s.shard = claim.shard and (s.owner = claim.owner or s.leased_until <= clock_timestamp())
      returning s.* into held;
      if not found then
        continue;
      end if;
      taken := true;
      held.settled := afluente.settle(claim.shard, horizon);
      perform afluente.fold_failures();
    end if;

    -- In version order straight from the index, and no further than what fits. The length of an image is that of the stored
    -- value, which needs no reading.
    select
      json_agg(
        json_build_array(
          o.version, o.source_table, o.topic, o.key, o.op,
          case when o.bytes <= oversize then o.before::text end, case when o.bytes <= oversize then o.after::text end,
          o.occurred_at, o.traceparent,
          case when o.bytes > oversize then o.bytes end
        )
      ) filter (where o.fits),
      not coalesce(bool_and(o.fits), true),
      bool_or(o.fits and o.bytes = 0 and o.op in ('insert', 'update'))
    into rows, more, imageless
    from (
      select
        r.*,
        row_number() over w <= claim.max_rows and (
          row_number() over w = 1
          or sum(100 + octet_length(r.key) + case when r.bytes <= oversize then r.bytes::int else 0 end) over w <= claim.max_bytes
        ) as fits
      from (
        select o.*, coalesce(pg_column_size(o.before), 0)::bigint + coalesce(pg_column_size(o.after), 0) as bytes
        from afluente.outbox o
        where o.shard = claim.shard and o.version > greatest(claim.floor, held.settled)
          and o.version not in (select b.version from unnest(claim.beside) b (version))
        order by o.version
        limit claim.max_rows + 1
      ) r
      window w as (order by r.version rows unbounded preceding)
    ) o;

    if rows is null and not taken and clock_timestamp() < deadline then
      perform pg_sleep(0.002);
      continue;
    end if;
    if not taken and held.leased_until < clock_timestamp() + lease * 0.75 then
      update afluente.shards s set leased_until = clock_timestamp() + lease
      where s.shard = claim.shard and s.owner = claim.owner and s.epoch = held.epoch;
      if not found then
        continue;
      end if;
      perform afluente.settle(claim.shard, horizon);
    end if;
    if imageless then
      select i.rows, more or i.cut into rows, more from afluente.read_images(rows, max_bytes) i;
    end if;
    return json_build_object('status', 'held', 'epoch', held.epoch, 'rows', coalesce(rows, '[]'), 'more', more);
  end loop;
end
$$;

-- Deletes changes that Kafka has acknowledged: {"status":"done","deleted":n}, or {"status":"fenced","epoch":9} and nothing
-- deleted when the epoch has moved on. The shard's row is locked meanwhile, so that nobody takes over in the midst.
create function afluente.acknowledge(shard int, epoch bigint, versions bigint[]) returns json
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  present bigint;
  deleted bigint;
begin
  select s.epoch into present from afluente.shards s where s.shard = acknowledge.shard for share;
  if present is distinct from acknowledge.epoch then
    return json_build_object('status', 'fenced', 'epoch', coalesce(present, 0));
  end if;
  delete from afluente.outbox o where o.shard = acknowledge.shard and o.version = any (versions);
  get diagnostics deleted = row_count;
  return json_build_object('status', 'done', 'deleted', deleted);
end
$$;

-- Lets go of a shard at once: {"status":"done"}, or {"status":"fenced","epoch":9} when it is no longer the caller's.
create function afluente.release(shard int, epoch bigint) returns json
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  present bigint;
begin
  update afluente.shards s set leased_until = clock_timestamp()
  where s.shard = release.shard and s.epoch = release.epoch;
  if found then
    return json_build_object('status', 'done');
  end if;
  select s.epoch into present from afluente.shards s where s.shard = release.shard;
  return json_build_object('status', 'fenced', 'epoch', coalesce(present, 0));
end
$$;

revoke all on function
  afluente.claim(int, text, interval, bigint, int, bigint, interval, bigint[]),
  afluente.acknowledge(int, bigint, bigint[]), afluente.release(int, bigint)
from public, anon, authenticated;
grant execute on function
  afluente.claim(int, text, interval, bigint, int, bigint, interval, bigint[]), afluente.acknowledge(int, bigint, bigint[]),
  afluente.release(int, bigint)
to service_role;
