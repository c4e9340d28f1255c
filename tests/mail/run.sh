#!/usr/bin/env bash
# Mail through servers that we did not write: SMTP through aiosmtpd, SES through an AWS stand-in, and a registration
# whose mail takes the whole way. `.ci/run` calls this with AWS_ENDPOINT_URL and the Python tools on the PATH.
#
# Run it alone with nothing set, and it brings both:   tests/mail/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=.ci/lib.sh
. .ci/lib.sh
folder="$(mktemp -d)"

end() {
  local status=$?
  trap - EXIT
  stop_started
  [ "$status" -eq 0 ] || tail -n 40 "$folder/server.log"
  rm -rf "$folder"
  exit "$status"
}
trap end EXIT

if [ -z "${AWS_ENDPOINT_URL:-}" ]; then
  # shellcheck source=.ci/tools.sh
  . .ci/tools.sh
  use_cache
  install_tools
  start_aws
fi

python3 tests/mail/server.py "$folder" >"$folder/server.log" 2>&1 &
started+=("$!")
deadline=$((SECONDS + 120))
until [ -e "$folder/ports.json" ]; do
  [ "$SECONDS" -lt "$deadline" ] || { printf 'the SMTP server did not start\n'; exit 1; }
  sleep 0.1
done

# The variable names the roots that TLS trusts.
SSL_CERT_FILE="$folder/ca.pem" WAXWING_SMTP_FOLDER="$folder" WAXWING_SES_ENDPOINT="$AWS_ENDPOINT_URL" \
  cargo test --workspace --test mail -- --include-ignored
# With a test among the targets cargo takes the features that `cargo test --workspace` has: nothing is built twice.
cargo build --workspace --bin localstack --test mail
env -u AWS_ENDPOINT_URL python3 tests/mail/flow.py "${CARGO_TARGET_DIR:-target}/debug/localstack" "$folder"
