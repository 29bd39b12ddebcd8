-- Adds up what the triggers noted: how often, the last failure, since when the table must be reconciled, and since when keys
-- alone were kept.
create function afluente.fold_failures() returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  with noted as (
    delete from afluente.failures f
    where f.ctid in (select n.ctid from afluente.failures n for update skip locked)
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
  from added a
  where c.schema_name || '.' || c.table_name = a.source_table
$$;

revoke all on function afluente.fold_failures() from public, anon, authenticated;
