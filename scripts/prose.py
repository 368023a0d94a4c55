#!/usr/bin/env python3
"""Finds phrases and names that CONTRIBUTING.md asks to avoid: in comments, log and error texts, names and documentation.

A line of scripts/prose-pending.txt is the path of a file or folder that is not checked yet.
"""
import pathlib
import re
import subprocess
import sys

# Pattern and what to write instead.
PHRASES = [
    (r"(?<![\w-])anew\b", "again; recreated"),
    (r"\bfor ever\b", "without limit"),
    (r"\b(nobody|somebody)\b", "no instance, another program, a person"),
    (r"\bwhoever\b", "the caller, the next reader"),
    (r"\bwho (is behind|asks|waits|reads|writes|looks|wants|comes)\b", "a lagging reader, the caller"),
    (r"\bwhose word\b", "which one is used"),
    (r"\b(cannot be had|to be had)\b", "unavailable; available"),
    (r"\btwice is once\b", "idempotent"),
    (r"\bmend(s|ed|ing)?\b", "correct, repair, hint, remedy"),
    (r"\b(none|no \w+) of ours\b", "not one of our …"),
    (r"\bin silence\b", "silently"),
    (r"\bno use in\b", "does not help"),
]
NAMES = [
    (r"\b(MOST|LONGEST)_[A-Z]", "MAX_…"),
    (r"\b[A-Z_]+_EVERY\b", "…_INTERVAL"),
    (r"\bPATIENCE(_\w+)?\b", "…_TIMEOUT"),
    (r"\bmend\s*[=:(]", "hint"),
]
SUFFIXES = {".rs", ".md", ".toml", ".yml", ".yaml", ".sh", ".py"}
# Published texts: applied migrations are compared by checksum, entries of the changelog are history.
PUBLISHED = ("CHANGELOG.md", "migrations/")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
CODE = re.compile(r"`[^`]*`")
TOLD = re.compile(r'tracing::|#\[error\(|\.context\(|with_context|bail!|anyhow!')


def parts(path, line):
    """The prose and the code of a line. Texts of commands are output: they are neither."""
    if path.endswith(".md"):
        return CODE.sub("``", line), ""
    if path.endswith(".sh"):
        return line.partition("#")[2], ""
    if not path.endswith(".rs"):
        return line, ""
    code = STRING.sub('""', line)
    comment = code.find("//")
    prose = code[comment:] if comment >= 0 else ""
    if TOLD.search(line):
        prose += " ".join(STRING.findall(line))
    return prose, code[:comment] if comment >= 0 else code


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    listed = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True)
    pending_file = root / "scripts/prose-pending.txt"
    pending = tuple(line.strip() for line in pending_file.read_text().splitlines() if line.strip())
    found = 0
    for path in listed.stdout.splitlines():
        if pathlib.Path(path).suffix not in SUFFIXES or path.startswith(PUBLISHED + pending):
            continue
        if path == "scripts/prose.py" or not (root / path).is_file():
            continue
        for number, line in enumerate((root / path).read_text().splitlines(), 1):
            prose, code = parts(path, line)
            hits = [(m.group(), better) for pattern, better in PHRASES for m in re.finditer(pattern, prose, re.I)]
            hits += [(m.group(), better) for pattern, better in NAMES for m in re.finditer(pattern, code)]
            for hit, better in hits:
                found += 1
                print(f"{path}:{number}: {hit.strip()!r}: write {better}")
    if found:
        print(f"{found} phrases to avoid (scripts/prose.py has the list)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
