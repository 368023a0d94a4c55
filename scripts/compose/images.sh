#!/usr/bin/env bash
# Stand-ins for the images that compose.yaml names, made of Debian packages and of our own programs, in the engine of
# DOCKER_HOST: images.sh CRYPTO_INTEL OUTSIDE. What Debian gives is made once; our own programs are put in each time.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$1 outside=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tag_of() { sed -n "s#^ *image: *\($1:[^ ]*\).*#\1#p" compose.yaml | head -n 1; }
have() { docker image inspect "$1" >/dev/null 2>&1; }
commit() { # commit FROM TAG CHANGE...: with the files of $work/files put over it
    local from=$1 tag=$2 container change=()
    shift 2
    for one in "$@"; do change+=(--change "$one"); done
    container=$(docker create "$from" true)
    docker cp --quiet "$work/files/." "$container:/"
    docker commit "${change[@]}" "$container" "$tag" >/dev/null
    docker rm "$container" >/dev/null
    rm -rf "$work/files"
    mkdir "$work/files"
}
mkdir "$work/files"

# One small Debian with everything, in which each image starts another program.
root=local/crypto-intel-debian:$(cksum <scripts/compose/images.sh | cut -d' ' -f1)
if ! have "$root"; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -i security | head -n 1)
    mmdebstrap --quiet --variant=minbase \
        --include=ca-certificates,busybox,postgresql-client-17,postgresql-17,postgresql-17-timescaledb,prometheus,prometheus-alertmanager \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='ln -s /bin/busybox "$1/usr/local/bin/wget"' \
        trixie "$work/root.tar" "deb $mirror trixie main"
    docker system prune --all --force >/dev/null # what an older version of this file made
    docker import "$work/root.tar" "$root" >/dev/null
    rm "$work/root.tar"
fi

# The parts of the official images' behaviour that compose.yaml relies on.
mkdir -p "$work/files/usr/local/bin" "$work/files/docker-entrypoint-initdb.d"
cat >"$work/files/usr/local/bin/entrypoint" <<'S'
#!/bin/bash
set -euo pipefail
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
export PATH=/usr/lib/postgresql/17/bin:$PATH PGDATA=/var/lib/postgresql/data POSTGRES_PASSWORD
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown -R postgres "$PGDATA" /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --encoding=UTF8 --locale=C.UTF-8 --username="$POSTGRES_USER" --pwfile=<(printf %s "$POSTGRES_PASSWORD") --auth-host=scram-sha-256 --auth-local=trust >/dev/null
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    printf '%s\n' "listen_addresses = '*'" "shared_preload_libraries = 'timescaledb'" >>"$PGDATA/postgresql.conf"
    pg_ctl -w -o "-c listen_addresses=''" start >/dev/null
    psql --quiet --username "$POSTGRES_USER" --dbname postgres --command "CREATE DATABASE \"$POSTGRES_DB\""
    psql --quiet --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --command "CREATE EXTENSION timescaledb"
    for script in /docker-entrypoint-initdb.d/*.sh; do
        if [ -x "$script" ]; then "$script"; elif [ -e "$script" ]; then . "$script"; fi
    done
    pg_ctl -w --mode fast stop >/dev/null
fi
exec postgres
S
chmod +x "$work/files/usr/local/bin/entrypoint"
commit "$root" "$(tag_of timescale/timescaledb)" 'ENTRYPOINT ["entrypoint"]' 'CMD []'

mkdir -p "$work/files/usr/local/bin"
cp -L .tools/bin/nats-server "$work/files/usr/local/bin/nats-server"
commit "$root" "$(tag_of nats)" 'ENTRYPOINT ["nats-server"]' 'CMD []'

for program in prometheus alertmanager; do
    mkdir -p "$work/files/$program"
    chown 65534:65534 "$work/files/$program"
    package=prometheus
    [ $program = prometheus ] || package=prometheus-alertmanager
    commit "$root" "$(tag_of "prom/$program")" "ENTRYPOINT [\"$package\"]" 'USER 65534' "WORKDIR /$program" 'CMD []'
done

mkdir -p "$work/files/usr/local/bin"
cp -L "$binary" "$work/files/usr/local/bin/crypto-intel"
commit "$root" crypto-intel:local 'ENTRYPOINT ["crypto-intel"]' 'USER 65532:65532' 'CMD ["run"]'

mkdir -p "$work/files/usr/local/bin"
cp -L .tools/bin/anvil "$outside" "$work/files/usr/local/bin/"
commit "$root" local/crypto-intel-outside:latest 'ENTRYPOINT []' 'CMD []'
