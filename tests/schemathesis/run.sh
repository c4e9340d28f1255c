#!/usr/bin/env bash
# schemathesis over the OpenAPI document, against a local stack of its own: no 5xx, no answer that the document does not
# have, nothing invalid that is taken and nothing valid that is refused.
#
#   tests/schemathesis/run.sh                                     every operation
#   tests/schemathesis/run.sh --include-operation-id sendText     some; all options of `schemathesis run`
#
# Without schemathesis on the PATH it brings its own, of the version in .ci/tools.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=.ci/lib.sh
. .ci/lib.sh
here="$PWD/tests/schemathesis"
document="$PWD/docs/openapi.json"
work="$(mktemp -d)"

end() {
  local status=$?
  trap - EXIT
  stop_started
  if [ "$status" -ne 0 ] && [ -s "$work/stack.log" ]; then
    printf '\n--- the end of what the stack said, without its guide\n'
    sed '/^Waxwing is up/,/^Ctrl-C/d' "$work/stack.log" | tail -n 20
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

# With a test among the targets cargo takes the features that `cargo test --workspace` has: nothing is built twice.
cargo build --workspace --bin localstack --test api
built="$(cargo metadata --no-deps --format-version 1 |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug"

# Every request comes from an address of its own, as the last proxy has seen it. Rates are out of the way, and so is the
# time that a password takes: other tests are about these. Tokens are good for longer than the run takes.
: >"$work/stack.log"
export WAXWING_ADMIN_EMAIL=root@example.com
WAXWING_TRUSTED_PROXIES=1 WAXWING_AUTH_RATE=1000000 WAXWING_USER_RATE=1000000 WAXWING_BCRYPT_COST=4 \
  WAXWING_JWT_MINUTES=60 WAXWING_LOG=warn \
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

cd "$work"
status=0
SCHEMATHESIS_HOOKS="$here/hooks.py" PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 \
  schemathesis --config-file "$here/schemathesis.toml" run --url "$WAXWING_API" --no-color \
  --report ndjson --report-ndjson-path "$work/report.ndjson" "$@" "$document" >"$work/schemathesis.log" 2>&1 ||
  status=$?
[ "$status" -eq 0 ] || cat "$work/schemathesis.log"
# Options may have chosen among the operations; without any it must have been all of them.
if [ "$#" -eq 0 ]; then whole=("$document"); else whole=(); fi
python3 "$here/summary.py" "$work/report.ndjson" ${whole[@]+"${whole[@]}"} || status=1
exit "$status"
