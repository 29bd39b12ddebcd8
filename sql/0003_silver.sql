-- The present row of each key, deleted ones as tombstones.
create schema if not exists silver;
revoke all on schema silver from public;
