-- What a run was asked for, and how far it has come, one row a run, written with each page: `phase` is what it is at, `position` the last row's
-- cursor and key as text, or its key alone. It reads cursors from `read_from` to `read_to`;
-- up to `proven`, less the job's margin, nothing can be missing then: that becomes its watermark. `seen`: rows looked at, of about `expected`.
-- caught_by_overlap: rows new or changed at or below the highest cursor that had been read before; caught_by_reconcile: those that a
-- comparison of key ranges found. The plain way loses both.
create table if not exists ops.etl_checkpoint (
  execution_id uuid primary key references ops.etl_control on delete cascade,
  span_from timestamptz,
  span_to timestamptz,
  dry_run boolean not null default false,
  accept_deletes boolean not null default false,
  cancel_asked boolean not null default false,
  retry_at timestamptz,
  phase text,
  position text[],
  read_from timestamptz,
  read_to timestamptz,
  proven timestamptz,
  seen_before timestamptz,
  pages bigint not null default 0,
  seen bigint not null default 0,
  expected bigint,
  caught_by_overlap bigint not null default 0,
  caught_by_reconcile bigint not null default 0,
  unknown_words bigint not null default 0,
  updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 20);

revoke all on ops.etl_checkpoint from public;
