-- A role that reads the view and nothing else: it needs no right on Chatwoot's own tables, and sees no password or token of theirs.
-- Give it a password, and put it into CHATWOOT_DATABASE_URL: alter role afluente_reader login password '…';
do $$
begin
  if not exists (select from pg_roles where rolname = 'afluente_reader') then
    create role afluente_reader nologin noinherit;
  end if;
end
$$;
grant usage on schema public to afluente_reader;
grant select on vw_conversations_analytics_final to afluente_reader;
