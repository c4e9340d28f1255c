#!/usr/bin/env bash
# No crate of the workspace depends on what it does not use. cargo-machete looks at no development dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=.ci/lib.sh
. .ci/lib.sh

cargo_tool cargo-machete 0.9.2
cargo machete
