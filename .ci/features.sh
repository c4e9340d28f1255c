#!/usr/bin/env bash
# Proves that a build of the daemon alone checks WhatsApp's certificates, and that only its `sandbox` feature turns
# that off. A workspace build unifies features, so releases are built with `-p daemon`.
set -euo pipefail
cd "$(dirname "$0")/.."

# `{f}` lists what is on for each package. The tree of `--edges features` leaves out features that another feature of
# the workspace's own crate turns on, and would pass whatever happens.
tree() { cargo tree --locked --package daemon --edges no-dev --format '{p} {f}' "$@"; }

live="$(tree)"
if grep -n 'danger-' <<<"$live"; then
  echo 'a live build of the daemon has a danger- feature'
  exit 1
fi
sandbox="$(tree --features sandbox)"
if ! grep -q 'danger-skip-cert-chain-verify' <<<"$sandbox"; then
  echo 'a sandbox build of the daemon cannot accept the sandbox: the feature is gone or renamed'
  exit 1
fi
echo 'danger-skip-cert-chain-verify: absent from the live build, present in the sandbox build'
