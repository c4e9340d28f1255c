#!/usr/bin/env python3
"""Paths that the documents name are there, and what their links lead to.

A path is what stands in backticks and begins with a folder of the repository. `{a,b}` stands for both, `<name>` and `*` for
any name, of which there must be one. A link is looked at where it leads to a file of the repository; where it names a heading,
the file must have it.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
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


def prose(text):
    """The lines that are not in a block of code, with their numbers."""
    is_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, line


def links(text):
    """The links to files of the repository, with the line that has each."""
    for number, line in prose(text):
        for target in re.findall(r"\]\(([^()\s]+)\)", line):
            if "://" not in target:
                yield number, target


def anchors(document):
    """The names under which links reach the headings of a document, as GitHub makes them."""
    lines = [line for _, line in prose(document.read_text(encoding="utf-8"))]
    titles = [line.lstrip("#").strip() for line in lines if re.match(r"#+ ", line)]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def leads_somewhere(document, target):
    path, _, anchor = target.partition("#")
    file = (document.parent / path).resolve() if path else document
    return file.exists() and (not anchor or anchor in anchors(file))


def main():
    looked_at = {"paths": 0, "links": 0}
    missing = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        at = document.relative_to(ROOT)
        for number, word in named(text):
            for path in expanded(word):
                looked_at["paths"] += 1
                if not is_there(path):
                    missing.append(f"{at}:{number}: {path} is not there")
        for number, target in links(text):
            looked_at["links"] += 1
            if not leads_somewhere(document, target):
                missing.append(f"{at}:{number}: the link to {target} leads nowhere")
    print(*missing, sep="\n", end="\n" if missing else "")
    print(f"{looked_at['paths']} paths and {looked_at['links']} links looked at, {len(missing)} missing")
    # A check that finds nothing to look at has lost its way.
    return 1 if missing or not all(looked_at.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
