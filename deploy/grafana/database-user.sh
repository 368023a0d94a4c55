#!/bin/sh
# The database user of the dashboards: reads every table, writes nothing, and no query of it runs for
# long. The TimescaleDB image runs this once, for a new database; for one that exists:
#   docker compose exec timescaledb sh /docker-entrypoint-initdb.d/900_grafana.sh
# It may be run again: it then takes over a changed password.
set -eu
GRAFANA_PASSWORD=$(cat "${GRAFANA_PASSWORD_FILE:-/run/secrets/grafana_database_password}")
export GRAFANA_PASSWORD
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 \
    --username "${POSTGRES_USER:-crypto_intel}" --dbname "${POSTGRES_DB:-crypto_intel}" <<'SQL'
\getenv password GRAFANA_PASSWORD
SELECT 'CREATE ROLE grafana' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grafana') \gexec
ALTER ROLE grafana LOGIN CONNECTION LIMIT 10 PASSWORD :'password';
GRANT pg_read_all_data TO grafana;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
SQL
