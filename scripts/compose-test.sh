#!/usr/bin/env bash
# Really starts compose.yaml (but Grafana) in a Docker engine of its own, with a chain, chats and providers beside it, and
# tries it as an operator would (scripts/compose/walk.py). About 4 minutes, and 8 more for the first release build.
#
#   scripts/compose-test.sh [--profile release|dev]
#
# Needs root and Debian: the engine is Debian's, and the test needs no image registry. The images
# that compose.yaml names are therefore made of Debian's packages under the same names (scripts/compose/images.sh); what
# only the real images can show (their entrypoints, Grafana) is not shown here. Everything is in .tools/docker.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=release
[ "${1:-}" = --profile ] && profile=$2

skip() { echo "compose-test: skipped: $*" >&2; exit 0; }
[ "$(id -u)" = 0 ] || skip "a Docker engine needs root"
command -v apt-get >/dev/null && command -v dpkg >/dev/null || skip "the stand-ins for images are made of Debian's packages"
missing=()
for package in docker.io iptables mmdebstrap busybox-static python3; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
[ -x .tools/bin/nats-server ] && [ -x .tools/bin/anvil ] || skip "make tools gave no nats-server or no anvil (npm is missing?)"

# The workspace as a whole, as the tests build it: what they left is used again.
cargo build --locked --workspace --profile "$profile" --bin crypto-intel --example outside
target=${CARGO_TARGET_DIR:-target}/$profile
[ "$profile" != dev ] || target=${CARGO_TARGET_DIR:-target}/debug

# --- the engine: its own folders, socket and process, so that one that is here already is not touched ----
home=$PWD/.tools/docker
run=$(mktemp -d /run/crypto-intel-compose.XXXXXX)
mkdir -p "$home/config/cli-plugins"
scripts/compose-check.sh >/dev/null # brings the plugin where there is none
if [ -x .tools/compose/usr/libexec/docker/cli-plugins/docker-compose ]; then
    ln -sf "$PWD/.tools/compose/usr/libexec/docker/cli-plugins/docker-compose" "$home/config/cli-plugins/docker-compose"
fi
export DOCKER_HOST=unix://$run/docker.sock DOCKER_CONFIG=$home/config
dockerd --data-root "$home/data" --exec-root "$run/exec" --pidfile "$run/docker.pid" --host "$DOCKER_HOST" \
    >"$home/dockerd.log" 2>&1 &
engine=$!
end() {
    kill "$engine" 2>/dev/null && wait "$engine" 2>/dev/null || true
    rm -rf "$run"
}
trap end EXIT
for _ in $(seq 120); do docker info >/dev/null 2>&1 && break; kill -0 "$engine" || break; sleep 0.5; done
docker info >/dev/null 2>&1 || { tail -n 20 "$home/dockerd.log" >&2; echo "compose-test: no Docker engine starts here" >&2; exit 1; }

scripts/compose/images.sh "$target/crypto-intel" "$target/examples/outside"
python3 scripts/compose/walk.py "$home/walk"
