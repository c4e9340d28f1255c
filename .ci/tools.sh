# shellcheck shell=bash
# Tools that cargo does not bring, in a Python environment of their own under the cache folder.

tool_versions=(
  cfn-lint==1.58.0 botocore==1.43.106
  aiosmtpd==1.4.6 trustme==1.2.1 openapi-spec-validator==0.9.0 schemathesis==4.32.5 standardwebhooks==1.1.0
)

# install_tools: makes the environments, or keeps those that have these very versions. AWS has one of its own, which
# `localstack/up` makes as well.
install_tools() {
  python_tools "$cache/aws" "${aws_tools[@]}"
  python_tools "$cache/venv" "${tool_versions[@]}"
  printf '%s\n' "${aws_tools[@]}" "${tool_versions[@]}"
}

# start_aws: an AWS stand-in on a free port of this machine, and the variables that point the SDKs and suites at it.
start_aws() {
  local port log="$cache/ministack.log"
  port="$(free_port)"
  ministack_at "$port" "$cache" >"$log" 2>&1 &
  started+=("$!")
  wait_for "http://127.0.0.1:$port/" || { tail -n 20 "$log"; return 1; }
  use_test_account "http://127.0.0.1:$port"
  export WAXWING_SQS_ENDPOINT="$AWS_ENDPOINT_URL" WAXWING_DYNAMODB_ENDPOINT="$AWS_ENDPOINT_URL"
  export WAXWING_S3_ENDPOINT="$AWS_ENDPOINT_URL"
  printf 'ministack answers at %s\n' "$AWS_ENDPOINT_URL"
}

# unpack_debian folder package…: Debian's packages, and what they need that the machine does not have, unpacked into the folder's
# `root`. Nothing is installed. Where that is there already it is kept.
unpack_debian() {
  local folder="$1" package
  shift
  [ ! -d "$folder/root" ] || return 0
  rm -rf "$folder"
  mkdir -p "$folder/partial"
  apt-get update -qq || true
  apt-get install --download-only --yes --quiet --no-install-recommends \
    -o Dir::Cache::archives="$folder" -o Debug::NoLocking=true "$@"
  for package in "$folder"/*.deb; do dpkg -x "$package" "$folder/unpacked"; done
  rm "$folder"/*.deb
  mv "$folder/unpacked" "$folder/root"
}

# find_browser: the machine's Chromium or Chrome, else Debian's in the cache folder. Exports WAXWING_BROWSER, which starts it.
find_browser() {
  local folder="$cache/chromium" name libraries
  for name in chromium google-chrome-stable google-chrome; do
    [ -n "${WAXWING_BROWSER:-}" ] || WAXWING_BROWSER="$(command -v "$name" || true)"
  done
  if [ -z "$WAXWING_BROWSER" ]; then
    unpack_debian "$folder" chromium
    libraries="$(echo "$folder"/root/usr/lib/*-linux-gnu)"
    WAXWING_BROWSER="$folder/chromium"
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' \
      "$libraries:$libraries/pulseaudio" "$folder/root/usr/lib/chromium/chromium" >"$WAXWING_BROWSER"
    chmod +x "$WAXWING_BROWSER"
  fi
  export WAXWING_BROWSER
  "$WAXWING_BROWSER" --version
}

# bring_php: puts php on the PATH; where the machine has none, Debian's.
bring_php() {
  local folder="$cache/php" program
  if ! command -v php >/dev/null; then
    if [ ! -x "$folder/bin/php" ]; then
      unpack_debian "$folder" php-cli
      program="$(find "$folder/root/usr/bin" -name 'php[0-9]*' -not -name '*.phar')"
      mkdir -p "$folder/bin"
      printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' \
        "$(echo "$folder"/root/usr/lib/*-linux-gnu*)" "$program" >"$folder/bin/php"
      chmod +x "$folder/bin/php"
    fi
    export PATH="$folder/bin:$PATH"
  fi
  php -r 'printf("PHP %s\n", PHP_VERSION);'
}

# start_redis: a Redis on a free port of this machine, and the variable that points the realtime suite at it. Where the machine
# has none, it is Debian's in the cache folder.
start_redis() {
  local folder="$cache/redis" log="$cache/redis.log" server port
  server="$(command -v redis-server || true)"
  if [ -z "$server" ]; then
    unpack_debian "$folder" redis-server
    server="$folder/root/usr/bin/redis-server"
  fi
  port="$(free_port)"
  LD_LIBRARY_PATH="$(echo "$folder"/root/usr/lib/*-linux-gnu*)" \
    "$server" --bind 127.0.0.1 --port "$port" --save '' --appendonly no --dir "$cache" >"$log" 2>&1 &
  started+=("$!")
  wait_for_port "$port" || { tail -n 20 "$log"; return 1; }
  export WAXWING_REDIS_ENDPOINT="redis://127.0.0.1:$port"
  printf 'Redis answers at %s\n' "$WAXWING_REDIS_ENDPOINT"
}
