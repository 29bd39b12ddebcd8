-- What the tables of ETL jobs have beside what a database of the first version was made with.
alter table ops.etl_job
  alter column definition_hash type text,
  add column if not exists watermark_set timestamptz,
  add column if not exists watermark_set_at timestamptz;

-- definition_hash: of the definition under which the run began; a deploy may have come since.
alter table ops.etl_checkpoint
  add column if not exists span_from timestamptz,
  add column if not exists span_to timestamptz,
  add column if not exists dry_run boolean not null default false,
  add column if not exists accept_deletes boolean not null default false,
  add column if not exists cancel_asked boolean not null default false,
  add column if not exists retry_at timestamptz,
  add column if not exists phase text,
  add column if not exists read_from timestamptz,
  add column if not exists read_to timestamptz,
  add column if not exists proven timestamptz,
  add column if not exists seen_before timestamptz,
  add column if not exists seen bigint not null default 0,
  add column if not exists expected bigint,
  add column if not exists definition_hash text;
