-- Aggregates. Reserved: nothing is in it yet.
create schema if not exists gold;
revoke all on schema gold from public;
