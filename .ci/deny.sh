#!/usr/bin/env bash
# Licences, bans and sources of the dependency tree, by the rules of deny.toml. Advisories are left out: their
# database cannot be had from a package registry.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=.ci/lib.sh
. .ci/lib.sh

cargo_tool cargo-deny 0.20.2
cargo deny --locked check bans licenses sources
