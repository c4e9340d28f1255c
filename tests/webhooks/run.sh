#!/usr/bin/env bash
# The receivers that docs/webhooks.md prints, as webhooks of a local stack of its own.
#
#   tests/webhooks/run.sh                                every test
#   tests/webhooks/run.sh --test-name-pattern=python     options go to node
#
# Needs node 20.19 or later with npm, and PHP or the means to unpack Debian's. Packages of npm come by the versions and hashes
# of package-lock.json; none of their install scripts runs. Without Python's `standardwebhooks` it brings its own, of the
# version in .ci/tools.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=.ci/lib.sh
. .ci/lib.sh
# shellcheck source=.ci/stack.sh
. .ci/stack.sh
# shellcheck source=.ci/tools.sh
. .ci/tools.sh
here="$PWD/tests/webhooks"

use_cache
if ! python3 -c 'import standardwebhooks' 2>/dev/null; then
  install_tools
fi
bring_php
npm_packages "$here"

start_stack
export WAXWING_WORK="$work"

node --test --test-force-exit --test-timeout=600000 --test-reporter=spec "$@" "$here"/*.test.js
