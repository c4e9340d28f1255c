# shellcheck shell=bash
# What the steps of .ci/run share: headings with durations, the cache folder, tools, processes that end with the run.

# shellcheck source=localstack/lib.sh
. localstack/lib.sh
current=''
summary=()

# step "title" command…: runs a step under a heading and notes how long it took. The first failure ends the run; the
# command stands outside of any condition, so that `set -e` holds within functions too.
step() {
  local from=$SECONDS took
  current="$1"
  shift
  printf '\n=== %s\n' "$current"
  "$@"
  took=$((SECONDS - from))
  summary+=("$(printf '%5d s  %s' "$took" "$current")")
  printf -- '--- %s: %d s\n' "$current" "$took"
  current=''
}

# use_cache: keeps what is built between runs, where the cache folder can be written.
use_cache() {
  if [ -n "${CARGO_TARGET_DIR:-}" ]; then
    printf 'cargo builds in %s\n' "$CARGO_TARGET_DIR"
  elif mkdir -p "$cache/target" 2>/dev/null && [ -w "$cache/target" ]; then
    export CARGO_TARGET_DIR="$cache/target"
  else
    printf 'the cache folder %s cannot be written: cargo builds in ./target\n' "$cache"
    cache="$PWD/target/ci"
  fi
  mkdir -p "$cache"
}

# cargo_tool name version: builds a cargo subcommand once, into the cache folder, and puts it on the PATH.
cargo_tool() {
  local tool="$cache/$1-$2"
  if [ ! -x "$tool/bin/$1" ]; then
    # A debug build: it takes a third of the time, and what it reads is small.
    env -u CARGO_TARGET_DIR cargo install "$1" --version "$2" --locked --debug --quiet --root "$tool"
  fi
  PATH="$tool/bin:$PATH"
}

# npm_packages folder: brings what the folder's package-lock.json names, by its versions and hashes. No install script runs.
npm_packages() {
  local tool kept="$cache/npm"
  for tool in node npm; do
    command -v "$tool" >/dev/null || { printf '%s is missing: node 20.19 or later with npm is needed\n' "$tool"; return 1; }
  done
  node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' ||
    { printf 'node is %s: 20.19 or later is needed\n' "$(node --version)"; return 1; }
  mkdir -p "$kept" 2>/dev/null || kept="$PWD/target/npm"
  npm ci --prefix "$1" --cache "$kept" --ignore-scripts --no-audit --no-fund --loglevel=error
}

# finish: ends what the run started and prints where the time went. For `trap finish EXIT`.
finish() {
  local status=$?
  trap - EXIT
  stop_started
  printf '\n=== where the time went\n'
  printf '%s\n' ${summary[@]+"${summary[@]}"}
  if [ "$status" -eq 0 ]; then
    printf 'passed in %d s\n' "$SECONDS"
  else
    printf 'FAILED after %d s in: %s\n' "$SECONDS" "${current:-set-up}"
  fi
  exit "$status"
}
