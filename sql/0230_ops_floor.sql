-- The version at or below which every row of a source table is dead: drawn by a TRUNCATE that was too large for a delete a row.
-- Each defined table has its row from the start (sql/0300_silver_*.sql): a batch locks it FOR SHARE, so that raising a floor waits for
-- the batches that know the old one. Nothing lowers it.
create table if not exists ops.floor (
  source_table text primary key,
  version bigint not null default 0,
  occurred_at timestamptz,
  raised_at timestamptz
) with (fillfactor = 20);

revoke all on ops.floor from public;
