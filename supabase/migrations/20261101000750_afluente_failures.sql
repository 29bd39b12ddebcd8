-- Adds up what the triggers noted: how often, the last failure, since when the table must be reconciled, and since when keys
-- alone were kept. A table whose entry somebody holds (a migration that captures it, and stays open) waits for the next look, for
-- claim and status must not wait behind a user. What was noted of a table that is not captured waits until it is.
create function afluente.fold_failures() returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  with free as (
    select c.table_oid, c.schema_name || '.' || c.table_name as name from afluente.captured_tables c
    where c.schema_name || '.' || c.table_name in (select f.source_table from afluente.failures f)
    for no key update skip locked
  ),
  noted as (
    delete from afluente.failures f
    where f.ctid in (
      select n.ctid from afluente.failures n where n.source_table in (select f.name from free f) for update skip locked
    )
    returning f.source_table, f.failed_at, f.failure
  ),
  added as (
    select
      n.source_table, count(n.failure) as failures, min(n.failed_at) filter (where n.failure is not null) as since,
      (array_agg(n.failure order by n.failed_at desc) filter (where n.failure is not null))[1] as last,
      min(n.failed_at) filter (where n.failure is null) as keys_only
    from noted n group by n.source_table
  )
  update afluente.captured_tables c
  set
    failures = c.failures + a.failures, last_failure = coalesce(a.last, c.last_failure),
    reconcile_since = coalesce(c.reconcile_since, a.since), keys_only_since = coalesce(c.keys_only_since, a.keys_only)
  from added a join free f on f.name = a.source_table
  where c.table_oid = f.table_oid
$$;

revoke all on function afluente.fold_failures() from public, anon, authenticated;
