#!/usr/bin/env bash
# The main job in the shape it has on AWS: three functions behind a Lambda runtime API, daemons as processes of their
# own, and table, queues and KMS behind AWS' wire protocols. The network is the sandbox.
#
# Run it alone with nothing set, and it brings its own AWS stand-in:   tests/serverless/run.sh
# With AWS_ENDPOINT_URL set it uses that one, as `localstack/init.sh` has set it up; cargo-lambda is then on the PATH.
#
# `cargo lambda watch` plays the runtime API alone. Left to start the functions it would build them with the features
# of their own package, minutes of work that the workspace's build has done already.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=.ci/lib.sh
. .ci/lib.sh
logs="$(mktemp -d)"

end() {
  local status=$? log
  trap - EXIT
  stop_started
  if [ "$status" -ne 0 ]; then
    for log in "$logs"/*; do
      printf '\n--- the end of %s\n' "$(basename "$log")"
      tail -n 40 "$log"
    done
  fi
  rm -rf "$logs"
  exit "$status"
}
trap end EXIT

# launch NAME command…: runs it in the background with its output in a log.
launch() {
  local name="$1"
  shift
  "$@" >"$logs/$name.log" 2>&1 &
  started+=("$!")
}

# until_so WHAT SECONDS command…: until the command succeeds.
until_so() {
  local what="$1" deadline=$((SECONDS + $2))
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || { printf '%s: not in time\n' "$what"; return 1; }
    sleep 0.1
  done
}

listens() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
is_ready() { curl --silent --fail --output /dev/null --max-time 10 "$1/ready"; }

if [ -z "${AWS_ENDPOINT_URL:-}" ]; then
  # shellcheck source=.ci/tools.sh
  . .ci/tools.sh
  use_cache
  install_tools
  start_aws
  localstack/init.sh
fi

# With the tests' features too, which `cargo test --workspace` has: nothing is built twice.
cargo build --workspace --bins --tests
built="$(cargo metadata --no-deps --format-version 1 |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug"

export WAXWING_NETWORKS=sandbox WAXWING_KMS_KEY=alias/waxwing WAXWING_BUCKET=waxwing WAXWING_BCRYPT_COST=4
# The secret of access tokens is where it is on AWS: the functions are given its ARN alone.
random() { python3 -c "import secrets; print(secrets.token_hex($1))"; }
WAXWING_JWT_SECRET_ARN="$(aws secretsmanager create-secret --name "waxwing-tokens-$(random 4)" \
  --secret-string "serverless:$(random 32)" --query ARN --output text)"
export WAXWING_JWT_SECRET_ARN
unset WAXWING_KEY_FILE WAXWING_JWT_SECRET

launch sandbox "$built/sandbox" --port 0 --ephemeral
until_so 'the sandbox' 120 grep -q '^Admin API' "$logs/sandbox.log"
WAXWING_SANDBOX_URL="$(sed -n 's/^WhatsApp clients: *//p' "$logs/sandbox.log")"
WAXWING_TEST_PHONES="$(sed -n 's|^Admin API: *\(.*\)/admin$|\1|p' "$logs/sandbox.log")"
export WAXWING_SANDBOX_URL WAXWING_TEST_PHONES

port="$(free_port)"
launch runtime cargo lambda watch --only-lambda-apis --invoke-address 127.0.0.1 --invoke-port "$port"
until_so 'the runtime API' 120 listens "$port"
for name in auth management messaging; do
  launch "$name" env AWS_LAMBDA_RUNTIME_API="http://127.0.0.1:$port/.rt/$name" AWS_LAMBDA_FUNCTION_NAME="$name" \
    AWS_LAMBDA_FUNCTION_VERSION=1 AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512 "$built/$name"
  url="http://127.0.0.1:$port/lambda-url/$name"
  until_so "the function $name" 120 is_ready "$url"
  export "WAXWING_TEST_${name^^}=$url"
done

# The tests start and kill daemons themselves.
export WAXWING_TEST_DAEMON="$built/daemon" WAXWING_TEST_LOGS="$logs"
# One after the other: every daemon serves the whole network, and one test kills them.
cargo test --workspace --test serverless -- --include-ignored --test-threads 1
