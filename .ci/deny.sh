#!/usr/bin/env bash
# Licences, bans and sources of the dependency tree, by the rules of deny.toml. Advisories are left out: their
# database cannot be had from a package registry. cargo-deny is built once, into the cache folder.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
tools="${XDG_CACHE_HOME:-$HOME/.cache}/waxwing/cargo-deny-$version"
if [ ! -x "$tools/bin/cargo-deny" ]; then
  # A debug build: it takes three minutes instead of ten, and reads one lock file.
  env -u CARGO_TARGET_DIR cargo install cargo-deny --version "$version" --locked --debug --quiet --root "$tools"
fi
PATH="$tools/bin:$PATH" cargo deny --locked check bans licenses sources
