-- How far a run has come, one row a run, written with each page: `position` is the last row's cursor and key as text, or its key alone.
-- caught_by_overlap: rows new or changed at or below the highest cursor that had been read before; caught_by_reconcile: those that a
-- comparison of key ranges found. The plain way loses both.
create table if not exists ops.etl_checkpoint (
  execution_id uuid primary key references ops.etl_control on delete cascade,
  position text[],
  pages bigint not null default 0,
  caught_by_overlap bigint not null default 0,
  caught_by_reconcile bigint not null default 0,
  unknown_words bigint not null default 0,
  updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 20);

revoke all on ops.etl_checkpoint from public;
