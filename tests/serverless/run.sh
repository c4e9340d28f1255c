#!/usr/bin/env bash
# The main job in the shape it has on AWS: functions as zips behind an HTTP API, daemons as processes of their own, and table, queues
# and KMS behind AWS' wire protocols. The network is the sandbox.
#
# `localstack/up` starts all of it, as a developer does. What it prints to be copied into a terminal is done as it stands there; then come
# tests that start and kill daemons themselves; then Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=.ci/lib.sh
. .ci/lib.sh
logs="$(mktemp -d)"
# Where `localstack/up` has its logs, once it has said so.
up_logs=''

end() {
  local status=$?
  trap - EXIT
  if [ "$status" -ne 0 ]; then
    ends_of_logs "$logs"
    [ -z "$up_logs" ] || ends_of_logs "$up_logs"
    ends_of_functions
  fi
  stop_started
  rm -rf "$logs"
  exit "$status"
}
trap end EXIT

use_cache
# Of an AWS stand-in that runs already nothing is used.
unset AWS_ENDPOINT_URL
export WAXWING_AWS_PORT=0 WAXWING_SANDBOX_PORT=0 WAXWING_FEED_PORT=0 WAXWING_RECEIVER_PORT=0 WAXWING_BCRYPT_COST=4

# With a test among the targets cargo takes the features that `cargo test --workspace` has: nothing is built twice.
# Whoever runs this may ignore SIGINT, as a shell has it of what runs in its background: a terminal's programs do not.
launch up env --default-signal=INT localstack/up -- --workspace --test serverless
up="${started[0]}" said="$logs/up.log"
until_so 'localstack/up' 3600 grep -q '^Ctrl-C stops in order' "$said"
# told NAME: what stands behind it in the table that is printed.
told() { sed -n "s/^  $1  *//p" "$said"; }
up_logs="$(told Logs)"

# The README shows the same addresses, with the ports that are usual.
sed -n '/^## The serverless shape/,/^## Going live/s/^  //p' README.md >"$logs/readme"
[ -s "$logs/readme" ] || { printf 'README.md shows no addresses\n'; exit 1; }
while read -r line; do
  pattern="$(sed 's/[.]/\\./g; s/:[0-9][0-9]*/:[0-9]*/g' <<<"$line")"
  grep -q "^  $pattern\$" "$said" || { printf 'README.md has an address that is not printed: %s\n' "$line"; exit 1; }
done <"$logs/readme"

printf '%s\n' 'What is printed, as it is printed'
walk="$(sed -n '/^Send a first message/,/^Then,/s/^  //p' "$said")"
timeout 300 bash -u -c "$walk" </dev/null >"$logs/walk.log" 2>&1
if grep '"success":false' "$logs/walk.log"; then
  printf 'a step of what is printed was refused\n'
  exit 1
fi
for answer in '"status":"CONNECTED"' '"text":"Hello from Waxwing"' '"status":"read"' '"type":"message.received"'; do
  grep -q "$answer" "$logs/walk.log" || { printf 'what is printed does not lead to %s\n' "$answer"; exit 1; }
done

printf '%s\n' 'Daemons that come and go'
kill "$(told Daemon | sed 's/^process //')"
until_so 'the end of the daemon' 120 grep -q '^daemon has ended with status 0' "$said"
# shellcheck source=/dev/null
. "$(told Variables)"
# Several daemons of one machine cannot listen on one port.
unset WAXWING_LISTEN
WAXWING_TEST_API="$(told 'HTTP API')"
WAXWING_TEST_PHONES="$(told Phones | sed 's|/admin/phones$||')"
export WAXWING_TEST_API WAXWING_TEST_PHONES
# Behind the HTTP API one function alone tells how it is.
for name in auth management messaging; do
  url="$(aws lambda create-function-url-config --function-name "$name" --auth-type NONE --query FunctionUrl --output text)"
  id="${url#*//}"
  id="${id%%.*}"
  export "WAXWING_TEST_$(tr '[:lower:]' '[:upper:]' <<<"$name")=$AWS_ENDPOINT_URL/_aws/lambda-url/$id"
done
built="$(cargo metadata --no-deps --format-version 1 |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug"
export WAXWING_TEST_DAEMON="$built/daemon" WAXWING_TEST_LOGS="$logs"
# One after the other: every daemon serves the whole network, and one test kills them.
cargo test --workspace --test serverless -- --include-ignored --test-threads 1

printf '%s\n' 'Ctrl-C'
# As a terminal does it: to the whole group of processes.
kill -INT -- "-$up"
for _ in {1..120}; do
  ! is_gone "$up" || break
  sleep 0.5
done
is_gone "$up" || { printf 'localstack/up goes on after Ctrl-C\n'; exit 1; }
status=0
wait "$up" || status=$?
started=()
[ "$status" -eq 0 ] || { printf 'localstack/up ended with status %s\n' "$status"; exit 1; }
[ "$(sed -n 's/^Stopping //p' "$said" | tr '\n' ' ')" = 'receiver sandbox ministack ' ] ||
  { printf 'not all was stopped, the last first:\n'; tail -n 5 "$said"; exit 1; }
[ ! -e "$up_logs" ] || { printf '%s is left behind\n' "$up_logs"; exit 1; }
for url in "$WAXWING_TEST_API" "$WAXWING_TEST_PHONES" "$(told Webhook)"; do
  ! answers "$url" || { printf 'somebody still answers at %s\n' "$url"; exit 1; }
done
