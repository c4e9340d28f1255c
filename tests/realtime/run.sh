#!/usr/bin/env bash
# The realtime feed under socket.io-client, against a local stack of its own.
#
#   tests/realtime/run.sh                                 every test
#   tests/realtime/run.sh --test-name-pattern=expired     options go to node
#
# Needs node 20.19 or later with npm. Packages come from the npm registry that npm is set up with, by the versions and
# hashes of package-lock.json; none of their install scripts runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=.ci/lib.sh
. .ci/lib.sh
# shellcheck source=.ci/stack.sh
. .ci/stack.sh
here="$PWD/tests/realtime"

npm_packages "$here"

# Access tokens of a minute, so that one expires while a test waits for it.
start_stack WAXWING_JWT_MINUTES=1

node --test --test-force-exit --test-timeout=600000 --test-reporter=spec "$@" "$here"/*.test.js
