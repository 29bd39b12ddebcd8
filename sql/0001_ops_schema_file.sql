-- What the migrator has applied. First of all files: every later one is recorded in it.
create schema if not exists ops;
revoke all on schema ops from public;

create table if not exists ops.schema_file (
  name text primary key,
  checksum text not null,
  applied_at timestamptz not null default clock_timestamp()
);
