#!/usr/bin/env bash
# Builds the server's image and walks what is in it, on a machine without Docker: buildah builds it, and `walk.py` runs it as the image
# says, with a read-only root and no rights. It takes as long as a build of everything, so `.ci/run` leaves it out. As root:
#
#   tests/containers/run.sh                  # makes the bases where there are none, builds waxwing-server:walk, and walks it
#   tests/containers/run.sh <image>          # walks an image that buildah has
#   PROFILE=release tests/containers/run.sh  # builds what is released; `dev` is built sooner
#
# It needs buildah (1.28 or later), util-linux and Python 3.11, and for the bases what `bases.sh` says. Images stay, for the next time.
set -euo pipefail
cd "$(dirname "$0")/../.."
export BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"
[ "$(id -u)" -eq 0 ] || { printf 'only root may mount and change users\n'; exit 1; }

work="$(mktemp -d)"
containers=()
end() {
  local status=$?
  trap - EXIT
  [ "${#containers[@]}" -eq 0 ] || buildah rm "${containers[@]}" >/dev/null
  if [ "$status" -ne 0 ] && [ -s "$work/server.log" ]; then
    printf '\n--- the end of what the server said\n'
    tail -n 40 "$work/server.log"
  fi
  rm -rf "$work"
  exit "$status"
}
trap end EXIT

image="${1:-}"
if [ -z "$image" ]; then
  image=waxwing-server:walk
  tests/containers/bases.sh
  buildah bud --format docker --layers --force-rm --target server --build-arg "PROFILE=${PROFILE:-dev}" --tag "$image" .
fi

buildah inspect --type image "$image" >"$work/image.json"
# Two containers of one image: what the first leaves behind is in its volume alone.
roots=()
for _ in first second; do
  container="$(buildah from "$image")"
  containers+=("$container")
  roots+=("$(buildah mount "$container")")
done
# A network of its own, in which port 3000 is free and nobody is reached, and mounts that end with it.
unshare --net --mount python3 tests/containers/walk.py "$work" "${roots[@]}"
