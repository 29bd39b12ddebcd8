-- Every event as it came.
create schema if not exists bronze;
revoke all on schema bronze from public;
