-- Runs of ETL jobs by day: how many, how they ended, what they moved, and what the plain way would have lost. Dry runs move nothing.
create or replace view ops.vw_etl_stats with (security_invoker = true) as
select
  c.job,
  (c.started_at at time zone 'UTC')::date as day,
  c.load_type,
  count(*) as runs,
  count(*) filter (where c.status = 'success') as successes,
  count(*) filter (where c.status = 'failed') as failures,
  count(*) filter (where c.status = 'cancelled') as cancelled,
  sum(c.rows_extracted) as rows_extracted,
  sum(c.rows_inserted) as rows_inserted,
  sum(c.rows_updated) as rows_updated,
  sum(c.rows_unchanged) as rows_unchanged,
  sum(c.rows_deleted) as rows_deleted,
  sum(c.rows_rejected) as rows_rejected,
  coalesce(sum(p.caught_by_overlap), 0) as caught_by_overlap,
  coalesce(sum(p.caught_by_reconcile), 0) as caught_by_reconcile,
  avg(c.duration_seconds) as average_seconds,
  max(c.duration_seconds) as longest_seconds,
  sum(c.rows_extracted) / nullif(sum(c.duration_seconds), 0) as rows_per_second,
  max(c.completed_at) filter (where c.status = 'success') as last_success_at,
  max(c.watermark_end) filter (where c.status = 'success') as watermark
from ops.etl_control as c
left join ops.etl_checkpoint as p on p.execution_id = c.execution_id
where p.dry_run is not true
group by c.job, (c.started_at at time zone 'UTC')::date, c.load_type;

revoke all on ops.vw_etl_stats from public;
