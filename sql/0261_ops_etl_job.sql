-- Who works on an ETL job (lease and epoch: a write under an older epoch is refused), and what is proven of its source.
-- proven_until: every transaction that could still write a row with a cursor up to then has ended. noted_at and noted_open: the next such
-- moment, and the transactions that were open then; it is proven once all of them have ended.
-- watermark_set: by a person, at watermark_set_at: it holds until a run that began later has ended well.
-- seen_until: the highest cursor that was ever read, so where a reader of `cursor > last` would stand.
create table if not exists ops.etl_job (
  job text primary key,
  owner text,
  epoch bigint not null default 0,
  leased_until timestamptz not null default '-infinity',
  execution_id uuid,
  proven_until timestamptz,
  noted_at timestamptz,
  noted_open text[],
  seen_until timestamptz,
  definition_hash text,
  watermark_set timestamptz,
  watermark_set_at timestamptz
) with (fillfactor = 20);

revoke all on ops.etl_job from public;
