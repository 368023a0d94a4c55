#!/usr/bin/env python3
"""The JavaScript libraries of the dashboard, as npm ships them: vendor.py check | fetch

`check` compares the files with consumers/api/web/vendor/vendor.lock. `fetch` gets them again by `npm pack` and compares, too; with
changed names in the lock it writes the new hashes (a line's hash may be a dash).
"""
import hashlib
import pathlib
import subprocess
import sys
import tarfile
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "consumers/api/web/vendor"
LOCK = FOLDER / "vendor.lock"


def locked():
    """Hash and path of each line."""
    lines = (line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#"))
    return [(digest, path) for digest, path in lines]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def check():
    wrong = []
    for digest, path in locked():
        file = FOLDER / path
        if not file.is_file():
            wrong.append(f"{path} is missing")
        elif sha256(file.read_bytes()) != digest:
            wrong.append(f"{path} differs from vendor.lock")
    listed = {path for _, path in locked()} | {"vendor.lock"}
    for file in FOLDER.rglob("*"):
        name = file.relative_to(FOLDER).as_posix()
        # Notices are ours to write: packages do not ship them.
        if file.is_file() and name not in listed and file.name != "NOTICE":
            wrong.append(f"{name} is not in vendor.lock")
    return wrong


def package_of(folder):
    """preact-signals@2.11.4 is @preact/signals of npm."""
    name, version = folder.rsplit("@", 1)
    return f"@preact/{name.removeprefix('preact-')}@{version}" if name.startswith("preact-") else folder


def fetch():
    lines, changed = [], []
    archives = {}
    with tempfile.TemporaryDirectory() as place:
        for digest, path in locked():
            folder, inner = path.split("/", 1)
            if folder not in archives:
                packed = subprocess.run(["npm", "pack", "--silent", package_of(folder)], cwd=place, check=True, capture_output=True, text=True)
                archives[folder] = tarfile.open(pathlib.Path(place) / packed.stdout.split()[-1])
            data = archives[folder].extractfile(f"package/{inner}").read()
            if digest not in ("-", sha256(data)):
                changed.append(f"npm's {path} is {sha256(data)}, not {digest}")
                continue
            file = FOLDER / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            lines.append(f"{sha256(data)}  {path}")
    if not changed:
        head = [line for line in LOCK.read_text().splitlines() if line.startswith("#")]
        LOCK.write_text("\n".join(head + lines) + "\n")
    return changed or check()


def main():
    action = sys.argv[1] if len(sys.argv) == 2 else ""
    if action not in ("check", "fetch"):
        sys.exit(__doc__)
    wrong = fetch() if action == "fetch" else check()
    for line in wrong:
        print(f"vendor: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


main()
