-- Redrives under way and over, one a consumer: the letters up to `up_to` that its filter names. Settled letters are counted with the
-- letter itself, so a job that was interrupted goes on where it was; `position` only says below which nothing is left to do.
-- accepted + duplicate + late + failed = done, counted one by one and checked here.
create table if not exists ops.redrive_job (
  id bigint generated always as identity primary key,
  consumer text not null,
  filter jsonb not null,
  "position" bigint not null,
  up_to bigint not null,
  total bigint not null,
  done bigint not null default 0,
  accepted bigint not null default 0,
  duplicate bigint not null default 0,
  late bigint not null default 0,
  failed bigint not null default 0,
  state text not null default 'running' constraint known_state check (state in ('running', 'done', 'cancelled')),
  problem text,
  actor text not null,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  constraint every_letter_counted_once check (accepted + duplicate + late + failed = done)
) with (fillfactor = 50);

create index if not exists redrive_job_running on ops.redrive_job (consumer, id) where state = 'running';

revoke all on ops.redrive_job from public;
