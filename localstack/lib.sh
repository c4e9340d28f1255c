# shellcheck shell=bash
# What `localstack/up` and the steps of `.ci/run` share: the cache folder, Python environments, an AWS stand-in, ports, and processes
# that end with the script. For bash scripts whose working directory is the repository's root.

cache="${XDG_CACHE_HOME:-$HOME/.cache}/waxwing"
# Process ids, in the order of their start.
started=()
# What `launch` calls those that it has started, by their place in that order.
names=()

# AWS on this machine: the stand-in, and the CLI with which `localstack/init.sh` sets it up.
aws_tools=(ministack==1.5.33 awscli==1.46.2)
# `cargo lambda watch`.
watch_tools=(cargo-lambda==1.9.2)

# python_tools FOLDER package==version…: puts a Python environment with these packages first on the PATH. It is made in the folder,
# unless the one there has these very versions.
python_tools() {
  local venv="$1" wanted
  shift
  wanted="$*"
  if [ "$(cat "$venv/installed" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$venv"
    mkdir -p "$(dirname "$venv")"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
      { printf '%s: 3.10 or later is needed\n' "$(python3 --version)"; return 1; }
    python3 -m venv "$venv" || { printf 'python3 makes no environment: it needs its module venv (Debian: python3-venv)\n'; return 1; }
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$@" ||
      { printf 'pip could not install %s: it needs a package index that it can reach\n' "$wanted"; return 1; }
    printf '%s' "$wanted" >"$venv/installed"
  fi
  export PATH="$venv/bin:$PATH"
}

# free_port: a port that nobody listens on now. It is below those that systems give to connections, so it is free still when
# somebody begins to listen there.
free_port() {
  python3 -c '
import random, socket
while True:
    port = random.randrange(10_000, 32_000)
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break
'
}

# listens PORT: whether somebody listens there on 127.0.0.1.
listens() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# answers URL: whether anything comes from there, be it an error.
answers() { curl --silent --output /dev/null --max-time 10 "$1"; }

# wait_for URL: until it answers anything, or two minutes.
wait_for() {
  local deadline=$((SECONDS + 120))
  until answers "$1"; do
    [ "$SECONDS" -lt "$deadline" ] || { printf '%s did not answer within two minutes\n' "$1"; return 1; }
    sleep 0.2
  done
}

# wait_for_port PORT: until somebody listens there on 127.0.0.1, or two minutes.
wait_for_port() {
  local deadline=$((SECONDS + 120))
  until listens "$1"; do
    [ "$SECONDS" -lt "$deadline" ] || { printf 'nobody listens on port %s after two minutes\n' "$1"; return 1; }
    sleep 0.1
  done
}

# use_test_account: the variables by which the AWS SDKs and the CLI find the endpoint, with an account that is none. Those of one service
# would go before it.
use_test_account() {
  unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN AWS_IGNORE_CONFIGURED_ENDPOINT_URLS "${!AWS_ENDPOINT_URL_@}"
  export AWS_ENDPOINT_URL="$1"
  export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
}

# ministack_at PORT FOLDER: becomes the AWS stand-in at this port, which unpacks into the folder. It hands its environment down to
# functions, so it gets none of this script's: they read what they are deployed with. Its state is in memory and ends with it.
ministack_at() {
  exec env -i PATH="$PATH" HOME="$HOME" TMPDIR="$2" BIND_HOST=127.0.0.1 GATEWAY_PORT="$1" LAMBDA_EXECUTOR=local ministack
}

# launch NAME command…: runs it in the background, with what it says in $logs/NAME.log. It is a process group of its own, so that
# Ctrl-C reaches this script alone, which then ends everything in order.
launch() {
  local name="$1"
  shift
  set -m
  "$@" </dev/null >"$logs/$name.log" 2>&1 &
  set +m
  names[${#started[@]}]="$name"
  started+=("$!")
}

# is_gone PID: whether the process has ended.
is_gone() { ! kill -0 "$1" 2>/dev/null; }

# until_so WHAT SECONDS command…: waits until the command succeeds. It fails when the time is over, and as soon as anything that was
# started has ended. $problem says why.
problem=''
until_so() {
  local what="$1" seconds="$2" deadline=$((SECONDS + $2)) index
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || problem="$what is not there after $seconds s"
    for index in "${!started[@]}"; do
      ! is_gone "${started[index]}" || problem="$what is not there, and ${names[index]:-a process before it} has ended"
    done
    [ -z "$problem" ] || { printf '%s\n' "$problem"; return 1; }
    sleep 0.1
  done
}

# ends_of_logs FOLDER: the end of each log there.
ends_of_logs() {
  local log
  for log in "$1"/*.log; do
    [ -s "$log" ] || continue
    printf '\n--- the end of %s\n' "$(basename "$log")"
    tail -n 30 "$log"
  done
}

# ends_of_functions: the end of what each function of the stand-in logged; nothing where there is none.
ends_of_functions() {
  local name said
  [ -n "${AWS_ENDPOINT_URL:-}" ] || return 0
  for name in auth management messaging webhooks; do
    said="$(aws logs filter-log-events --log-group-name "/aws/lambda/$name" --query 'events[].message' --output text 2>/dev/null |
      tr '\t' '\n' | tail -n 40)" || continue
    [ -z "$said" ] || printf '\n--- the end of what the function %s said\n%s\n' "$name" "$said"
  done
}

# stop_started: ends what was started, by process id; the last goes first, so that nothing is left without what it talks to.
stop_started() {
  local index
  for ((index = ${#started[@]} - 1; index >= 0; index--)); do
    kill "${started[index]}" 2>/dev/null || true
    wait "${started[index]}" 2>/dev/null || true
  done
  started=()
}
