#!/usr/bin/env bash
# Makes the two images that the Dockerfile stands on, under the names that it asks for, on a machine that no registry of images
# serves: Debian's base by debootstrap, and beside it C compilers and this machine's own Rust. They stand in for the official ones,
# and have less in them. Images that are there already are kept.
#
# It needs root, buildah, debootstrap, and Rust by rustup. `run.sh` calls it.
set -euo pipefail
cd "$(dirname "$0")/../.."

# default ARGUMENT: what the Dockerfile says for this argument.
default() { sed -n "s/^ARG $1=//p" Dockerfile; }

runtime="$(default RUNTIME_IMAGE)"
rust="$(default RUST_IMAGE)"
suite="$(sed -n 's/^[^:]*:\([a-z]*\)-slim$/\1/p' <<<"$runtime")"
[ -n "$suite" ] || { printf '%s does not name a suite of Debian\n' "$runtime"; exit 1; }

folder="$(mktemp -d)"
containers=()
end() {
  local status=$?
  trap - EXIT
  [ "${#containers[@]}" -eq 0 ] || buildah rm "${containers[@]}" >/dev/null
  rm -rf "$folder"
  exit "$status"
}
trap end EXIT

if ! buildah inspect --type image "$runtime" >/dev/null 2>&1; then
  printf '%s is made with debootstrap\n' "$runtime"
  debootstrap --variant=minbase "$suite" "$folder/debian" >"$folder/debootstrap.log" 2>&1 || {
    tail -n 20 "$folder/debootstrap.log"
    exit 1
  }
  # As the official image has it: nothing that apt has fetched.
  rm -rf "$folder"/debian/var/cache/apt/archives/*.deb "$folder"/debian/var/lib/apt/lists/*
  made="$(buildah from scratch)"
  containers+=("$made")
  buildah add --quiet "$made" "$folder/debian" / >/dev/null
  buildah config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$made"
  buildah commit --quiet --format docker "$made" "$runtime" >/dev/null
fi

if ! buildah inspect --type image "$rust" >/dev/null 2>&1; then
  printf '%s is made with the Rust of this machine\n' "$rust"
  made="$(buildah from "$runtime")"
  containers+=("$made")
  buildah run "$made" -- sh -ec 'apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends \
      ca-certificates g++ gcc libc6-dev make pkg-config python3' >"$folder/apt.log" 2>&1 || { tail -n 20 "$folder/apt.log"; exit 1; }
  buildah add --quiet "$made" "$(rustc --print sysroot)" /usr/local/rust >/dev/null
  # What this machine trusts besides, such as a mirror's own authority. None of it comes into the images that are built.
  if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    buildah add --quiet "$made" /usr/local/share/ca-certificates /usr/local/share/ca-certificates >/dev/null
    buildah run "$made" -- update-ca-certificates >/dev/null 2>&1
  fi
  buildah config --env PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    --env CARGO_HOME=/usr/local/cargo "$made"
  buildah commit --quiet --format docker "$made" "$rust" >/dev/null
fi
