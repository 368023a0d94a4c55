#!/bin/sh
# Users of the database beside its owner: persist, which writes events, api and grafana, which read them, each with no more than
# its role allows (ADR 5). No query of api's or grafana's runs for long. The TimescaleDB image runs this once, for a new database;
# for one that exists:
#   docker compose exec timescaledb sh /docker-entrypoint-initdb.d/900_users.sh
# It may be run again: it then takes over changed passwords. What the roles may do, `crypto-intel migrate` grants.
set -eu
PERSIST_PASSWORD=$(cat "${PERSIST_PASSWORD_FILE:-/run/secrets/persist_database_password}")
API_PASSWORD=$(cat "${API_PASSWORD_FILE:-/run/secrets/api_database_password}")
GRAFANA_PASSWORD=$(cat "${GRAFANA_PASSWORD_FILE:-/run/secrets/grafana_database_password}")
export PERSIST_PASSWORD API_PASSWORD GRAFANA_PASSWORD
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 \
    --username "${POSTGRES_USER:-crypto_intel}" --dbname "${POSTGRES_DB:-crypto_intel}" <<'SQL'
\getenv persist_password PERSIST_PASSWORD
\getenv api_password API_PASSWORD
\getenv grafana_password GRAFANA_PASSWORD
SELECT format('CREATE ROLE %I', wanted) FROM unnest(
    ARRAY['crypto_intel_writer', 'crypto_intel_reader', 'persist', 'api', 'grafana']) AS wanted
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) \gexec
ALTER ROLE persist LOGIN PASSWORD :'persist_password';
GRANT crypto_intel_writer TO persist;
ALTER ROLE api LOGIN CONNECTION LIMIT 40 PASSWORD :'api_password';
GRANT crypto_intel_reader TO api;
ALTER ROLE api SET default_transaction_read_only = on;
ALTER ROLE api SET statement_timeout = '30s';
ALTER ROLE grafana LOGIN CONNECTION LIMIT 10 PASSWORD :'grafana_password';
GRANT crypto_intel_reader TO grafana;
-- An older version of this file let it read everything on the server.
SELECT 'REVOKE pg_read_all_data FROM grafana' WHERE pg_has_role('grafana', 'pg_read_all_data', 'MEMBER') \gexec
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
SQL
