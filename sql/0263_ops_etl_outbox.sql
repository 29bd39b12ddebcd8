-- Rows that an ETL job has changed and Kafka does not have yet: written by the statement that writes their page, deleted once the topic has
-- them. A page is published before the next is written, so there is one at a time. `version` orders the changes of a key: it is drawn under
-- the job's lease and is never below the clock in microseconds.
create table if not exists ops.etl_outbox (
  job text not null,
  version bigint not null,
  topic text not null,
  table_name text not null,
  key text not null,
  op text not null constraint known_op check (op in ('insert', 'update', 'delete')),
  before text,
  after text,
  occurred_at timestamptz not null,
  primary key (job, version)
);

-- The last version that was drawn for a table.
create table if not exists ops.etl_version (
  table_name text primary key,
  version bigint not null
) with (fillfactor = 20);

-- A row as JSON, printed as the source's outbox prints its images, whatever the session's settings are.
create or replace function ops.etl_image(image record) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
as $$
begin
  return row_to_json(image)::text;
end
$$;

revoke all on ops.etl_outbox, ops.etl_version from public;
revoke all on function ops.etl_image(record) from public;
