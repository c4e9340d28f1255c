#!/usr/bin/env bash
# schemathesis over the OpenAPI document, against a local stack of its own: no answer that the document does not have, no
# 5xx, and nothing invalid that is taken.
#
#   tests/schemathesis/run.sh                                     every operation
#   tests/schemathesis/run.sh --include-operation-id sendText     one; all options of `schemathesis run`
#
# Without schemathesis on the PATH it brings its own, of the version in .ci/tools.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=.ci/lib.sh
. .ci/lib.sh
here="$PWD/tests/schemathesis"
work="$(mktemp -d)"

end() {
  local status=$? pid
  trap - EXIT
  for pid in ${started[@]+"${started[@]}"}; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  if [ "$status" -ne 0 ] && [ -s "$work/waxwing.log" ]; then
    printf '\n--- the end of what the stack said\n'
    tail -n 40 "$work/waxwing.log"
  fi
  rm -rf "$work"
  exit "$status"
}
trap end EXIT

if ! command -v schemathesis >/dev/null; then
  # shellcheck source=.ci/tools.sh
  . .ci/tools.sh
  use_cache
  install_tools
fi

python3 "$here/examples.py" docs/openapi.json

# With a test among the targets cargo takes the features that `cargo test --workspace` has: nothing is built twice.
cargo build --workspace --bin waxwing-under-test --test api
built="$(cargo metadata --no-deps --format-version 1 |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug"

# Every request comes from an address of its own, which the last proxy has seen. Rates are out of the way, and so is the
# time that a password takes: other tests are about these.
export WAXWING_ADMIN_EMAIL=root@example.com
WAXWING_TRUSTED_PROXIES=1 WAXWING_AUTH_RATE=1000000 WAXWING_USER_RATE=1000000 WAXWING_BCRYPT_COST=4 WAXWING_LOG=warn \
  "$built/waxwing-under-test" --ephemeral --port 0 --sandbox-port 0 >"$work/waxwing.log" 2>&1 &
started+=("$!")
deadline=$((SECONDS + 30))
until grep -q '^  Phones' "$work/waxwing.log"; do
  [ "$SECONDS" -lt "$deadline" ] || { printf 'the stack did not come up within 30 s\n'; exit 1; }
  sleep 0.1
done
WAXWING_API="$(sed -n 's|^  HTTP API *||p' "$work/waxwing.log")"
WAXWING_SANDBOX="$(sed -n 's|^  Phones *\(.*\)/admin/phones$|\1|p' "$work/waxwing.log")"
export WAXWING_API WAXWING_SANDBOX

cd "$here"
PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 schemathesis --config-file "$here/schemathesis.toml" run \
  --url "$WAXWING_API" --no-color "$@" ../../docs/openapi.json
