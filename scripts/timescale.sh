#!/usr/bin/env bash
# Puts a PostgreSQL 17 with TimescaleDB (Apache edition) into .tools/timescale, for the tests of storage. It is Debian
# trixie's, unpacked and not installed: 40 MB to fetch, 115 MB on disk, ten seconds. No root, no Docker, no namespace:
# trixie's C library and loader come along, so that it runs on an older Debian, too. Running it again costs nothing.
#
# Needs apt-get, dpkg-deb and Debian's archive keys. TIMESCALE_MIRROR names another mirror than that of the apt sources.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/.tools/timescale

say() { echo "timescale: $*" >&2; }
die() { say "$*"; exit 1; }

wanted=$(cksum <scripts/timescale.sh)
is_done() { [ "$(cat "$root/.stamp" 2>/dev/null)" = "$wanted" ]; }
is_done && exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || die "apt-get and dpkg-deb are missing: only Debian and its kin can make this"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keys" ] || die "$keys is missing (apt-get install debian-archive-keyring)"

mkdir -p .tools
# Two at once would remove each other's folders.
exec 9>.tools/timescale.lock
flock 9
if is_done; then exit 0; fi

# apt with folders of its own needs no rights and touches nothing of the system's. To it nothing is installed: it names
# everything that is needed, down to the C library.
work=$root.new/apt
rm -rf "$root.new"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages"
: >"$work/status"
mirror=${TIMESCALE_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)}
echo "deb [signed-by=$keys] ${mirror:-http://deb.debian.org/debian} trixie main" >"$work/sources.list"
apt=(apt-get -qq -o "Dir::State::lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache"
    -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
    -o Acquire::Languages=none -o Acquire::Retries=3 -o Acquire::Check-Valid-Until=false -o APT::Install-Recommends=false
    -o APT::Sandbox::User=root)
say "PostgreSQL 17 and TimescaleDB from Debian trixie (package lists of 10 MB, packages of 40 MB)"
"${apt[@]}" update || die "apt cannot read the lists of $(cut -d' ' -f3- "$work/sources.list")"
# The servers and the libraries; not what a system would need beside them, nor LLVM, which the tests do without.
packages=$("${apt[@]}" --print-uris -y install postgresql-17 postgresql-17-timescaledb 9>&- |
    awk '{print $2}' | sed 's/_.*//' |
    grep -E '^(lib|zlib1g$|postgresql-(client-)?17)' | grep -Ev '^lib(llvm|z3|perl|sem|pam-modules|c-l10n|.*-perl$)')
[ -n "$packages" ] || die "apt names no packages"
(cd "$work/packages" && "${apt[@]}" download $packages 9>&-) || die "apt cannot fetch the packages"
for package in "$work"/packages/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --no-same-owner -C "$root.new" --exclude='./usr/share/doc' \
        --exclude='./usr/share/man' --exclude='./usr/share/locale' --exclude='./usr/share/i18n' --exclude='*/bitcode'
done
rm -rf "$work"

# Every program becomes a script that starts it with trixie's loader and libraries, wherever the folder is.
loader=$(find "$root.new/usr/lib" -name 'ld-linux-*.so.*' -type f | head -n 1)
libraries=$(dirname "${loader#"$root.new/"}")
for program in "$root.new"/usr/lib/postgresql/17/bin/*; do
    name=$(basename "$program")
    [ "$(head -c 4 "$program")" = "$(printf '\177ELF')" ] || continue
    mv "$program" "$program.elf"
    cat >"$program" <<WRAPPER
#!/bin/sh
here=\$(cd "\$(dirname "\$0")" && pwd)
root=\${here%/usr/lib/postgresql/17/bin}
exec "\$root/$libraries/$(basename "$loader")" --inhibit-cache --library-path "\$root/$libraries" \\
    --argv0 "\$here/$name" "\$here/$name.elf" "\$@"
WRAPPER
    chmod 0755 "$program"
done
"$root.new/usr/lib/postgresql/17/bin/postgres" --version >&2 || die "PostgreSQL 17 does not run here"
[ -e "$root.new/usr/lib/postgresql/17/lib/timescaledb.so" ] || die "TimescaleDB is not in Debian's package any more"
chmod -R a+rX "$root.new"
echo "$wanted" >"$root.new/.stamp"
rm -rf "$root"
mv "$root.new" "$root"
