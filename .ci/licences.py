#!/usr/bin/env python3
"""Lists what others have written of what a release links: each crate with its version, licence and repository.

    .ci/licences.py [--texts] [FILE]

The list is Markdown, and goes to FILE or to standard output. With `--texts` the crates' licence files stand behind it. It goes by
Cargo.lock, for Linux on x86_64 and arm64, without development dependencies, build scripts and procedural macros. The crates'
sources must be there, as after a build or `cargo fetch --locked`.

Fails where a crate declares no licence, or where the header of a source file names a licence that its crate does not declare.
docs/licences.md says what the one known such crate means; a further one is for a person to look at.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What is released, and the package that it is built from.
PROGRAMS = {"daemon": "daemon", "functions": "functions", "local stack": "localstack", "server": "waxwing-server", "waxwing": "cli"}
TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")
# Crates whose headers name a licence that they do not declare, and what docs/licences.md says of them.
KNOWN = {"wacore-libsignal": "AGPL-3.0-only"}

SOURCES = {".rs", ".c", ".cc", ".h", ".inc", ".S", ".asm", ".pl", ".js", ".css"}
HEADER = re.compile(r"SPDX-License-Identifier:\s*([^\n*]+)")
# A header stands at the beginning of a file, within so many bytes.
BEGINNING = 4_096
TEXTS = re.compile(r"(licen[cs]e|copying|notice|unlicen[cs]e)", re.IGNORECASE)


def cargo(*arguments):
    """What cargo prints. It keeps to Cargo.lock."""
    command = ["cargo", *arguments, "--locked"]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def packages():
    """All packages of the workspace's tree, by name and version."""
    platforms = [part for target in TARGETS for part in ("--filter-platform", target)]
    metadata = json.loads(cargo("metadata", "--format-version", "1", *platforms))
    return {(package["name"], package["version"]): package for package in metadata["packages"]}


def linked(package):
    """The names and versions of what a package links, itself among them."""
    targets = [part for target in TARGETS for part in ("--target", target)]
    tree = cargo("tree", "--package", package, *targets, "--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe")
    rows = (line.split() for line in tree.splitlines() if line)
    return {(name, version.removeprefix("v")) for name, version, *_ in rows}


def names(expression):
    return set(re.findall(r"[A-Za-z0-9.+-]+", expression)) - {"OR", "or", "AND", "and", "WITH", "with"}


def undeclared(package):
    """How many source files have headers with a licence that their crate does not declare, by that licence. Of a header that
    leaves a choice one choice is enough."""
    declared, found = names(package["license"] or ""), {}
    for file in Path(package["manifest_path"]).parent.rglob("*"):
        if file.suffix not in SOURCES or not file.is_file():
            continue
        with file.open("rb") as source:
            beginning = source.read(BEGINNING).decode("utf-8", "replace")
        for header in HEADER.findall(beginning):
            choices = re.split(r"\bor\b", header, flags=re.IGNORECASE)
            if not any(names(choice) <= declared for choice in choices):
                found[header.strip()] = found.get(header.strip(), 0) + 1
    return found


def texts(crates):
    """Each different licence file of the crates, with the crates that have it."""
    found = {}
    for package in crates:
        # Those of C code that a crate brings along lie deeper.
        for file in sorted(Path(package["manifest_path"]).parent.rglob("*")):
            if TEXTS.match(file.name) and file.suffix in {"", ".md", ".txt"} and file.is_file():
                text = file.read_text(encoding="utf-8", errors="replace").strip()
                _, owners = found.setdefault(" ".join(text.split()), (text, []))
                owner = f"{package['name']} {package['version']}"
                if owner not in owners:
                    owners.append(owner)
    return found.values()


def listed(crates, programs, headers):
    """The list as Markdown."""
    yield "# Third-party software\n"
    yield "Crates that a release of Waxwing links, and what links them. Made by `.ci/licences.py`; `docs/licences.md` says more.\n"
    yield "| crate | version | licence | linked by | repository |"
    yield "| --- | --- | --- | --- | --- |"
    for package in crates:
        key = (package["name"], package["version"])
        licence = package["license"] or "none declared"
        if key in headers:
            named = ", ".join(f"{count} files say {licence}" for licence, count in headers[key].items())
            licence = f"{licence} (headers of {named})"
        by = ", ".join(program for program, tree in programs.items() if key in tree)
        yield f"| {key[0]} | {key[1]} | {licence} | {by} | {package['repository'] or ''} |"


def problems(crates, headers):
    """What a person must look at."""
    for package in crates:
        name, version = package["name"], package["version"]
        if not package["license"]:
            yield f"{name} {version} declares no licence"
        for header in headers.get((name, version), {}):
            if KNOWN.get(name) != header:
                yield f"{name} {version} declares {package['license']}, and headers of its files say {header}"
    for name in KNOWN.keys() - {name for name, _ in headers}:
        yield f"{name} is not linked any more, or its headers are in order: say so in docs/licences.md and in the README"


def main():
    parser = argparse.ArgumentParser(description="Lists the third-party crates of a release, with their licences.")
    parser.add_argument("--texts", action="store_true", help="with the crates' licence files")
    parser.add_argument("file", nargs="?", type=Path, help="where the list goes (standard output)")
    arguments = parser.parse_args()

    known = packages()
    programs = {program: linked(package) for program, package in PROGRAMS.items()}
    # Our own crates come from no registry.
    crates = [known[key] for key in sorted(set().union(*programs.values())) if known[key]["source"]]
    found = {(package["name"], package["version"]): undeclared(package) for package in crates}
    headers = {key: licences for key, licences in found.items() if licences}

    lines = list(listed(crates, programs, headers))
    if arguments.texts:
        for text, owners in texts(crates):
            # Four ticks: a text may have three of its own.
            lines += [f"\n## {', '.join(owners)}\n", "````text", text, "````"]
    whole = "\n".join(lines) + "\n"
    if arguments.file:
        arguments.file.write_text(whole, encoding="utf-8")
    else:
        sys.stdout.write(whole)

    wrong = list(problems(crates, headers))
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    print(f"{len(crates)} crates listed, {len(wrong)} problems", file=sys.stderr)
    # A list of nothing has lost its way.
    return 1 if wrong or not crates else 0


if __name__ == "__main__":
    sys.exit(main())
