#!/usr/bin/env bash
# Makes the passwords that compose.yaml mounts, each once: deploy/secrets/NAME, readable by the
# containers, kept out of git. An existing file is left as it is.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p secrets && chmod 0711 secrets
# nats-server reads them as configuration, so they begin with a letter and hold nothing but letters and digits.
password() { printf p; LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 32 || true; }
make_secret() {
    [ -s "secrets/$1" ] && return 0
    printf '%s' "$2" >"secrets/$1"
    # Containers read it under a user id of their own.
    chmod 0444 "secrets/$1"
    echo "made deploy/secrets/$1"
}
# >>> made of the roles: users (make generate)
NATS_USERS="admin evm poll alerts notify persist api reader"
DATABASE_USERS="persist api"
# <<< made of the roles: users
for user in $NATS_USERS; do
    make_secret "nats_${user}_password" "$(password)"
done
make_secret postgres_password "$(password)"
make_secret grafana_password "$(password)"
make_secret grafana_database_password "$(password)"
# The owner's, for setup and the command line; and those of roles, who may what their role may and no more.
make_secret database_url "postgres://crypto_intel:$(cat secrets/postgres_password)@timescaledb:5432/crypto_intel"
for user in $DATABASE_USERS; do
    make_secret "${user}_database_password" "$(password)"
    make_secret "${user}_database_url" "postgres://$user:$(cat "secrets/${user}_database_password")@timescaledb:5432/crypto_intel"
done
