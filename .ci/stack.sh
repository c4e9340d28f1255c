# shellcheck shell=bash
# A local stack for suites that are not written in Rust. For scripts that have taken in lib.sh.

# start_stack [variable=value…]: builds the local stack and starts it on free ports, with an empty store, and with limits out
# of the way that these suites are not about. Exports WAXWING_API and WAXWING_SANDBOX; both it and its folder $work end with the script.
start_stack() {
  local built deadline
  work="$(mktemp -d)"
  trap end_stack EXIT
  # With a test among the targets cargo takes the features that `cargo test --workspace` has: nothing is built twice.
  cargo build --workspace --bin localstack --test api
  built="$(cargo metadata --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug"
  : >"$work/stack.log"
  env WAXWING_AUTH_RATE=1000000 WAXWING_BCRYPT_COST=4 WAXWING_LOG=warn "$@" \
    "$built/localstack" --ephemeral --port 0 --sandbox-port 0 >"$work/stack.log" 2>&1 &
  started+=("$!")
  deadline=$((SECONDS + 120))
  until grep -q '^  Phones' "$work/stack.log"; do
    [ "$SECONDS" -lt "$deadline" ] || { printf 'the stack did not come up within two minutes\n'; exit 1; }
    sleep 0.1
  done
  WAXWING_API="$(sed -n 's|^  HTTP API *||p' "$work/stack.log")"
  WAXWING_SANDBOX="$(sed -n 's|^  Phones *\(.*\)/admin/phones$|\1|p' "$work/stack.log")"
  export WAXWING_API WAXWING_SANDBOX
}

# end_stack: ends what was started. After a failure it prints the end of what the stack said, without its guide.
end_stack() {
  local status=$?
  trap - EXIT
  stop_started
  if [ "$status" -ne 0 ] && [ -s "$work/stack.log" ]; then
    printf '\n--- the end of what the stack said\n'
    sed '/^Waxwing is up/,/^Ctrl-C/d' "$work/stack.log" | tail -n 40
  fi
  rm -rf "$work"
  exit "$status"
}
