-- Where the next incremental run of a job begins: the watermark of its last good run; NULL before the first.
create or replace function ops.get_last_successful_watermark(job text default 'conversations') returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select c.watermark_end
  from ops.etl_control as c
  where c.job = get_last_successful_watermark.job and c.status = 'success' and c.watermark_end is not null
  order by c.completed_at desc
  limit 1
$$;

revoke all on function ops.get_last_successful_watermark(text) from public;
