#!/usr/bin/env bash
# The pairing page in a headless Chromium, against a local stack of its own and phones of its sandbox.
#
#   tests/browser/run.sh                                  every test
#   tests/browser/run.sh --test-name-pattern=passkey      options go to node
#
# Needs node 20.19 or later with npm, and Chromium or Chrome: WAXWING_BROWSER, one on the PATH, or Debian's, which is brought
# into the cache folder. Packages come from the npm registry that npm is set up with, by the versions and hashes of
# package-lock.json; none of their install scripts runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=.ci/lib.sh
. .ci/lib.sh
# shellcheck source=.ci/tools.sh
. .ci/tools.sh
# shellcheck source=.ci/stack.sh
. .ci/stack.sh
here="$PWD/tests/browser"

npm_packages "$here"
find_browser
start_stack

# Several files at once, also where there are few cores: one of them waits for QR codes to run out.
node --test --test-concurrency=3 --test-timeout=600000 --test-reporter=spec "$@" "$here"/*.test.js
