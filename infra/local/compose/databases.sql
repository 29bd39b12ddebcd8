-- The databases of the local cluster, for compose.yaml's first start. `npm start` makes its own.
create database supabase;
create database analytics;
create database chatwoot;
