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
# shellcheck source=.ci/stack.sh
. .ci/stack.sh
here="$PWD/tests/schemathesis"
document="$PWD/docs/openapi.json"

if ! command -v schemathesis >/dev/null; then
  # shellcheck source=.ci/tools.sh
  . .ci/tools.sh
  use_cache
  install_tools
fi

# Every request comes from an address of its own, as the last proxy has seen it. Rates are out of the way, and so is the
# time that a password takes: other tests are about these. Tokens are good for longer than the run takes.
export WAXWING_ADMIN_EMAIL=root@example.com
start_stack WAXWING_TRUSTED_PROXIES=1 WAXWING_USER_RATE=1000000 WAXWING_JWT_MINUTES=60

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
