-- The source side of Afluente. Everything that must not fail, block or leak lives in this schema; only the service role enters it.
--
-- Each function has the search path pg_catalog, pg_temp. An empty one would not do: temporary tables and types, which anybody can
-- make under the names of the catalog's, come before pg_catalog wherever a path doesn't name them.

create schema afluente;
revoke all on schema afluente from public;
grant usage on schema afluente to service_role;

-- What orders the changes of one key. Drawn while the row is locked, so for one key it grows in commit order: that needs
-- CACHE 1 (a cached block of numbers per connection would turn the order round). It starts at the clock in microseconds,
-- so that it lies above whatever an earlier life of this database has sent, and stays below 2^53, where doubles are exact.
create sequence afluente.version as bigint cache 1 minvalue 0 maxvalue 9007199254740991 no cycle;
select setval('afluente.version', (extract(epoch from clock_timestamp()) * 1000000)::bigint);

-- When the doorbell last rang, in milliseconds of the clock. A sequence serves as a cell outside transactions: written with
-- setval, it locks no row, so a long transaction that rang can't hold up another.
create sequence afluente.last_rung as bigint cache 1 minvalue 0 start 0;
