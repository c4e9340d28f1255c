#!/usr/bin/env python3
"""Checks licences, bans and sources of the dependency tree against deny.toml.

cargo-deny does the same and more; building it takes many minutes, so where it is not installed this reads its
rules: `licenses.allow`, `bans.deny`, `bans.wildcards` and crates.io as the one source. Standard library alone.
"""

import json
import re
import subprocess
import sys
import tomllib

REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"
TOKEN = re.compile(r"\(|\)|AND|OR|[A-Za-z0-9.+-]+(?:\s+WITH\s+[A-Za-z0-9.-]+)?")


def satisfied(expression, allowed):
    """Whether an SPDX expression can be met with allowed licences alone (`/` is the old spelling of OR)."""
    tokens = TOKEN.findall(expression.replace("/", " OR "))

    def any_of():
        met = all_of()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = all_of() or met
        return met

    def all_of():
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        token = tokens.pop(0)
        if token == "(":
            met = any_of()
            tokens.pop(0)
            return met
        return " ".join(token.split()) in allowed

    met = any_of()
    if tokens:
        raise ValueError(f"cannot read the licence expression {expression!r}")
    return met


def main():
    with open("deny.toml", "rb") as file:
        rules = tomllib.load(file)
    allowed = set(rules["licenses"]["allow"])
    banned = {entry["name"] for entry in rules["bans"]["deny"]}
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    members = set(metadata["workspace_members"])
    problems = []
    for package in metadata["packages"]:
        name = f"{package['name']} {package['version']}"
        if package["id"] in members:
            for dependency in package["dependencies"]:
                if dependency["req"] == "*" and "path" not in dependency:
                    problems.append(f"{name}: wildcard requirement of {dependency['name']}")
            continue
        if package["source"] != REGISTRY:
            problems.append(f"{name}: comes from {package['source']}")
        if package["name"] in banned:
            problems.append(f"{name}: banned")
        licence = package["license"]
        if not licence:
            problems.append(f"{name}: names no licence")
        elif not satisfied(licence, allowed):
            problems.append(f"{name}: licence {licence} is not allowed")
    for problem in sorted(problems):
        print(problem)
    print(f"{len(metadata['packages']) - len(members)} dependencies checked, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
