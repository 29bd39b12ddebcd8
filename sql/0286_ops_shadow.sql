-- The copies that stand beside a consumer's live tables or indices, one a table at most. While one is there nothing may be purged: a tombstone that
-- is gone from the live one and not from the copy, or the other way round, would let a late event bring a row back with the swap.
-- `filling`: a replay writes it; `ready`: it may be swapped; `former`: it was the live one until the swap, and can be swapped back.
create table if not exists ops.shadow (
  consumer text not null,
  source_table text not null,
  -- What the sink calls them; null until the copy is made.
  live text,
  shadow text,
  state text not null default 'filling' constraint known_state check (state in ('filling', 'ready', 'former')),
  -- The last replay or swap that was asked for it.
  job bigint not null,
  made_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (consumer, source_table)
);

revoke all on ops.shadow from public;
