#!/usr/bin/env bash
# Reads compose.yaml with the real Docker Compose v2; no Docker engine is needed. Where there is no
# compose plugin, Debian trixie's is unpacked into .tools/compose (about 75 MB, needs mmdebstrap).
set -euo pipefail
cd "$(dirname "$0")/.."
folder=.tools/compose
plugin=$folder/usr/libexec/docker/cli-plugins/docker-compose
compose() {
    if docker compose version >/dev/null 2>&1; then docker compose "$@"; else "$plugin" "$@"; fi
}
if ! docker compose version >/dev/null 2>&1 && [ ! -x "$plugin" ]; then
    if ! command -v mmdebstrap >/dev/null || ! command -v apt-get >/dev/null; then
        echo "compose-check: skipped: neither Docker Compose v2 nor mmdebstrap is here" >&2
        [ -z "${CI:-}" ] || exit 1
        exit 0
    fi
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -i security | head -n 1)
    [ -n "$mirror" ] || { echo "compose-check: no mirror in the apt sources" >&2; exit 1; }
    rm -rf "$folder.new"
    mmdebstrap --quiet --variant=extract --format=directory --include=docker-compose \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        trixie "$folder.new" "deb $mirror trixie main"
    rm -rf "$folder" && mv "$folder.new" "$folder"
fi
# The secrets that compose.yaml names are made by deploy/secrets.sh; stand-ins are enough here.
compose --file compose.yaml config --quiet
compose --file compose.yaml --file deploy/cluster/compose.yaml config --quiet
echo "compose.yaml, alone and with deploy/cluster/compose.yaml: Docker Compose $(compose version --short) accepts them"
