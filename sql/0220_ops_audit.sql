-- What people and operators did: who, what, to what. Only ever added to.
create table if not exists ops.audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  action text not null,
  subject text not null,
  details jsonb not null default '{}'
);

revoke all on ops.audit from public;
