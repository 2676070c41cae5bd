#!/bin/sh
# Creates the role that dashboards and curious people connect as: it may read, and change nothing.
# Run it as the owner of the tables (PGHOST, PGUSER, PGDATABASE, PGPASSWORD), once the store exists;
# running it again changes the password. READER_PASSWORD is the role's, READER its name.
set -eu
export READER="${READER:-reader}" READER_PASSWORD="${READER_PASSWORD:?choose one}"

# the password is read by psql from the environment: arguments can be seen by other processes
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<'SQL'
\getenv reader READER
\getenv password READER_PASSWORD
SELECT format('CREATE ROLE %I', :'reader')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'reader') \gexec
ALTER ROLE :"reader" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
GRANT CONNECT ON DATABASE :"DBNAME" TO :"reader";
GRANT USAGE ON SCHEMA public TO :"reader";
GRANT SELECT ON ALL TABLES IN SCHEMA public TO :"reader";
-- tables and views that later releases add
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO :"reader";
SQL
