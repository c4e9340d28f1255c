#!/usr/bin/env python3
"""Looks whether the programs write the log lines that docs/operations.md explains.

The lines stand in backticks in the first column of its tables of messages; `…` stands for whatever a line says there. A line counts as
written where one source file has its parts in their order.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/operations.md"
CRATES = ("daemon", "functions", "server", "shared", "stack")
HEAD = "| message | meaning |"
# What stands for `…`: a piece of the same text.
ANYTHING = ".{0,200}?"


def explained(text):
    """The lines of the tables of messages, with the document's line that has each."""
    is_table = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(HEAD):
            is_table = True
        elif not line.startswith("|"):
            is_table = False
        elif is_table and not line.startswith("| ---"):
            first = re.split(r"(?<!\\) \| ", line)[0]
            for words in re.findall(r"`([^`]+)`", first):
                yield number, words


def source(path):
    """A file without its comments, and with each text in one piece: a backslash at the end of a line goes on with it."""
    code = re.sub(r"^ *//.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return re.sub(r"\\\n\s*", "", code)


def main():
    sources = [source(path) for crate in CRATES for path in sorted((ROOT / crate / "src").rglob("*.rs"))]
    lines = list(explained(DOCUMENT.read_text(encoding="utf-8")))
    problems = []
    for number, words in lines:
        pattern = re.compile(ANYTHING.join(re.escape(part.strip()) for part in words.split("…")), re.DOTALL)
        if not any(pattern.search(text) for text in sources):
            problems.append(f"docs/operations.md:{number}: no program says {words!r}")
    if not lines:
        problems.append("docs/operations.md explains no log lines")
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{len(lines)} log lines looked for: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
