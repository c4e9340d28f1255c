#!/usr/bin/env bash
# Licences, bans and sources of the dependency tree, by the rules of deny.toml. Advisories are left out: their
# database cannot be had from a package registry.
set -euo pipefail
cd "$(dirname "$0")/.."

if command -v cargo-deny >/dev/null && cargo deny --version; then
  cargo deny --locked check bans licenses sources
else
  echo 'cargo-deny is not installed (cargo install cargo-deny --locked): .ci/deny.py reads the same rules'
  python3 .ci/deny.py
fi
