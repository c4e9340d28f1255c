#!/usr/bin/env bash
# Proves that builds for WhatsApp itself check its certificates: those of the daemon and of the server, each built alone. Only the
# daemon's `sandbox` feature turns that off. A workspace build unifies features, so releases are built with `-p`.
set -euo pipefail
cd "$(dirname "$0")/.."

# `{f}` lists what is on for each package. The tree of `--edges features` leaves out features that another feature of
# the workspace's own crate turns on, and would pass whatever happens.
tree() { cargo tree --locked --edges no-dev --format '{p} {f}' --package "$@"; }

for package in daemon waxwing-server; do
  live="$(tree "$package")"
  # A check that finds no daemon has lost its way.
  if ! grep -qE '(^|[^a-z-])daemon v[0-9]' <<<"$live"; then
    echo "a build of $package has no daemon in it"
    exit 1
  fi
  if grep -nE 'danger-|(^|[^a-z-])daemon v[^)]*\) ([a-z-]+,)*sandbox|(^|[^a-z-])sandbox v[0-9]' <<<"$live"; then
    echo "a live build of $package has the sandbox, or a danger- feature"
    exit 1
  fi
done
sandbox="$(tree daemon --features sandbox)"
if ! grep -q 'danger-skip-cert-chain-verify' <<<"$sandbox"; then
  echo 'a sandbox build of the daemon cannot accept the sandbox: the feature is gone or renamed'
  exit 1
fi
echo 'danger-skip-cert-chain-verify: absent from live builds of daemon and server, present in the sandbox build'
