-- Where the next incremental run of a job begins: the watermark of its last good run, or one that somebody has set since that run began; NULL before the first.
create or replace function ops.get_last_successful_watermark(job text default 'conversations') returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select mark.at
  from (
    (
      select c.watermark_end as at, c.started_at as since
      from ops.etl_control as c
      where c.job = get_last_successful_watermark.job and c.status = 'success' and c.watermark_end is not null
      order by c.started_at desc
      limit 1
    )
    union all
    select j.watermark_set, j.watermark_set_at
    from ops.etl_job as j
    where j.job = get_last_successful_watermark.job and j.watermark_set is not null
  ) as mark
  order by mark.since desc
  limit 1
$$;

revoke all on function ops.get_last_successful_watermark(text) from public;
