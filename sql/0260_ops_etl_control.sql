-- One row a run of an ETL job. A run that goes on after its function was killed keeps its row, with one attempt more.
create table if not exists ops.etl_control (
  execution_id uuid primary key,
  job text not null,
  started_at timestamptz not null default clock_timestamp(),
  completed_at timestamptz,
  status text not null default 'running' constraint known_status check (status in ('running', 'success', 'failed', 'cancelled')),
  watermark_start timestamptz,
  watermark_end timestamptz,
  rows_extracted bigint not null default 0,
  rows_inserted bigint not null default 0,
  rows_updated bigint not null default 0,
  rows_unchanged bigint not null default 0,
  rows_deleted bigint not null default 0,
  rows_rejected bigint not null default 0,
  duration_seconds double precision generated always as (extract(epoch from completed_at - started_at)) stored,
  load_type text not null constraint known_load_type check (load_type in ('incremental', 'full', 'backfill', 'reconcile')),
  triggered_by text not null constraint known_trigger check (triggered_by in ('manual', 'scheduler', 'api')),
  attempt integer not null default 1,
  error_message text,
  error_traceback text,
  code_version text,
  constraint ended_when_completed check ((status = 'running') = (completed_at is null)),
  constraint every_row_counted_once check (rows_inserted + rows_updated + rows_unchanged + rows_rejected = rows_extracted)
);

create index if not exists etl_control_latest on ops.etl_control (job, started_at desc);
-- Of a job one run is going at a time.
create unique index if not exists etl_control_going on ops.etl_control (job) where status = 'running';

revoke all on ops.etl_control from public;
