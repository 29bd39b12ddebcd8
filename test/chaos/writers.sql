-- What was really committed: written by the writers in the transaction of each change, while they hold the row's lock, so that
-- for one row it stands in the order of its changes. The pipeline knows nothing of it.
create schema chaos;

create table chaos.record (
  n bigint generated always as identity primary key,
  token text not null,
  table_name text not null,
  id uuid not null,
  alive boolean not null
);
