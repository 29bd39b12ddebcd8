-- Replays under way and over, one a table and consumer: the events in bronze whose ids lie above `position` and up to `up_to`. `position` moves
-- with the counts of what lies below it, so a job that was interrupted goes on where it was.
-- `replay`: into the consumer itself; `shadow`: into a copy of its table beside the live one; `swap`: that copy becomes the live one.
-- While one runs, bronze is read from and what it reads may be older than a tombstone: nothing may be purged then.
-- accepted + duplicate + late + failed = done, counted one by one and checked here.
create table if not exists ops.replay_job (
  id bigint generated always as identity primary key,
  kind text not null constraint known_kind check (kind in ('replay', 'shadow', 'swap')),
  consumer text not null,
  source_table text not null,
  key text,
  since timestamptz,
  until timestamptz,
  "position" text collate "C" not null default '',
  up_to text collate "C" not null default '',
  total bigint not null default 0,
  done bigint not null default 0,
  accepted bigint not null default 0,
  duplicate bigint not null default 0,
  late bigint not null default 0,
  failed bigint not null default 0,
  state text not null default 'running' constraint known_state check (state in ('running', 'done', 'cancelled')),
  -- What it does now, for people; `switching` can't be cancelled.
  phase text not null default 'filling' constraint known_phase check (phase in ('filling', 'comparing', 'following', 'switching')),
  -- How far that is, where it is no matter of events.
  steps bigint not null default 0,
  problem text,
  -- What it found: counts, keys, kinds of values; never values.
  report jsonb not null default '{}',
  actor text not null,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  constraint every_event_counted_once check (accepted + duplicate + late + failed = done)
) with (fillfactor = 50);

create index if not exists replay_job_running on ops.replay_job (consumer, id) where state = 'running';

revoke all on ops.replay_job from public;
