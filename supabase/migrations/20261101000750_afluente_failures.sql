-- Adds up what the triggers noted: how often, the last failure, and since when the table must be reconciled.
create function afluente.fold_failures() returns void
language sql
security definer
set search_path = ''
as $$
  with noted as (
    delete from afluente.failures f
    where f.ctid in (select n.ctid from afluente.failures n for update skip locked)
    returning f.source_table, f.failed_at, f.failure
  ),
  added as (
    select n.source_table, count(*) as failures, min(n.failed_at) as since, (array_agg(n.failure order by n.failed_at desc))[1] as last
    from noted n group by n.source_table
  )
  update afluente.captured_tables c
  set
    failures = c.failures + a.failures, last_failure = a.last, reconcile_since = coalesce(c.reconcile_since, a.since)
  from added a
  where c.schema_name || '.' || c.table_name = a.source_table
$$;

revoke all on function afluente.fold_failures() from public, anon, authenticated;
