#!/usr/bin/env bash
# The sandbox under Baileys, a client of another family than the one that Waxwing uses. See README.md here.
#
#   tests/baileys/run.sh                    every test
#   tests/baileys/run.sh texts groups       those of texts.test.js and groups.test.js
#   tests/baileys/run.sh texts --test-name-pattern=LID
#
# Needs node 20.19 or later with npm. Packages come from the npm registry that npm is set up with, by the versions and
# hashes of package-lock.json; none of their install scripts runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=.ci/lib.sh
. .ci/lib.sh
here="$PWD/tests/baileys"
work="$(mktemp -d)"

end() {
  local status=$?
  trap - EXIT
  stop_started
  if [ "$status" -ne 0 ] && [ -s "$work/sandbox.log" ]; then
    printf '\n--- the end of what the sandbox said\n'
    tail -n 40 "$work/sandbox.log"
  fi
  rm -rf "$work"
  exit "$status"
}
trap end EXIT

npm_packages "$here"

# With a test among the targets cargo takes the features that `cargo test --workspace` has: nothing is built twice.
cargo build --workspace --bin sandbox --bin whatsapp-rust-peer --bin waxwing-telling --test conformance
built="$(cargo metadata --no-deps --format-version 1 |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug"

"$built/sandbox" --port 0 --ephemeral >"$work/sandbox.log" 2>&1 &
started+=("$!")
deadline=$((SECONDS + 120))
until grep -q '^Admin API' "$work/sandbox.log"; do
  [ "$SECONDS" -lt "$deadline" ] || { printf 'the sandbox did not come up within two minutes\n'; exit 1; }
  sleep 0.1
done
WAXWING_SANDBOX="$(sed -n 's|^Admin API: *\(.*\)/admin$|\1|p' "$work/sandbox.log")"
# Node reads it once, when it starts.
curl --silent --show-error --fail --output "$work/ca.pem" "$WAXWING_SANDBOX/admin/ca.pem"
export NODE_EXTRA_CA_CERTS="$work/ca.pem"
export WAXWING_SANDBOX WAXWING_PEER="$built/whatsapp-rust-peer" WAXWING_STACK="$built/waxwing-telling" WAXWING_BAILEYS_FOLDERS="$work"

options=() files=()
for argument in "$@"; do
  case "$argument" in
    -*) options+=("$argument") ;;
    *) files+=("$here/$argument.test.js") ;;
  esac
done
[ "${#files[@]}" -gt 0 ] || files=("$here"/*.test.js)
# Baileys leaves timers behind that would keep node waiting.
node --import "$here/lib/queue.js" --test --test-force-exit --test-timeout=300000 --test-reporter=spec ${options[@]+"${options[@]}"} "${files[@]}"
