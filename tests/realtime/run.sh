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
here="$PWD/tests/realtime"
work="$(mktemp -d)"

end() {
  local status=$?
  trap - EXIT
  stop_started
  if [ "$status" -ne 0 ] && [ -s "$work/stack.log" ]; then
    printf '\n--- the end of what the stack said, without its guide\n'
    sed '/^Waxwing is up/,/^Ctrl-C/d' "$work/stack.log" | tail -n 40
  fi
  rm -rf "$work"
  exit "$status"
}
trap end EXIT

npm_packages "$here"

# With a test among the targets cargo takes the features that `cargo test --workspace` has: nothing is built twice.
cargo build --workspace --bin localstack --test api
built="$(cargo metadata --no-deps --format-version 1 |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug"

# Access tokens of a minute, so that one expires while a test waits for it.
: >"$work/stack.log"
WAXWING_AUTH_RATE=1000000 WAXWING_BCRYPT_COST=4 WAXWING_JWT_MINUTES=1 WAXWING_LOG=warn \
  "$built/localstack" --ephemeral --port 0 --sandbox-port 0 >"$work/stack.log" 2>&1 &
started+=("$!")
deadline=$((SECONDS + 30))
until grep -q '^  Phones' "$work/stack.log"; do
  [ "$SECONDS" -lt "$deadline" ] || { printf 'the stack did not come up within 30 s\n'; exit 1; }
  sleep 0.1
done
WAXWING_API="$(sed -n 's|^  HTTP API *||p' "$work/stack.log")"
WAXWING_SANDBOX="$(sed -n 's|^  Phones *\(.*\)/admin/phones$|\1|p' "$work/stack.log")"
export WAXWING_API WAXWING_SANDBOX

node --test --test-force-exit --test-timeout=180000 --test-reporter=spec "$@" "$here"/*.test.js
