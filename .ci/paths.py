#!/usr/bin/env python3
"""Paths that the documents name are there.

Looked at is what stands in backticks and begins with a folder of the repository. `{a,b}` stands for both, `<name>` and `*` for
any name, of which there must be one.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*sorted(ROOT.glob("docs/*.md")), ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
FOLDERS = {entry.name for entry in ROOT.iterdir() if entry.is_dir()} - {".git", "target"}


def expanded(path):
    """The paths that one with braces stands for."""
    braces = re.search(r"\{([^{}]*)\}", path)
    if braces is None:
        return [path]
    before, after = path[: braces.start()], path[braces.end() :]
    return [whole for part in braces[1].split(",") for whole in expanded(before + part + after)]


def named(text):
    """The paths within our folders, with the line that names each."""
    for number, line in enumerate(text.splitlines(), 1):
        for code in re.findall(r"`([^`]+)`", line):
            for word in code.split():
                if "/" in word and word.split("/")[0] in FOLDERS:
                    yield number, word


def is_there(path):
    pattern = re.sub(r"<[^<>]*>", "*", path).rstrip("/")
    return any(ROOT.glob(pattern))


def main():
    looked_at, missing = 0, []
    for document in DOCUMENTS:
        for number, word in named(document.read_text(encoding="utf-8")):
            for path in expanded(word):
                looked_at += 1
                if not is_there(path):
                    missing.append(f"{document.relative_to(ROOT)}:{number}: {path} is not there")
    print(*missing, sep="\n", end="\n" if missing else "")
    print(f"{looked_at} paths named, {len(missing)} missing")
    # A check that finds nothing to look at has lost its way.
    return 1 if missing or not looked_at else 0


if __name__ == "__main__":
    sys.exit(main())
