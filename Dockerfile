# Waxwing's images. Each is a target, and is of one network:
#
#   target           image                    network    what
#   server           waxwing-server           live       everything in one process, for WhatsApp itself: docs/self-host.md
#   daemon           waxwing-daemon           live       the connection daemon, for WhatsApp itself: docs/deploy-aws.md
#   sandbox          waxwing-sandbox          sandbox    the local stack: everything in one process, with a network for trials
#   daemon-sandbox   waxwing-daemon-sandbox   sandbox    the connection daemon for that network
#
#   docker build --target server --tag waxwing-server:0.1.0 .
#   podman build --format docker --target server --tag waxwing-server:0.1.0 .     # in OCI's own format an image has no health check
#
# All of them run as user 10001 with a root that is read-only: they write in their volume alone. None has a shell's tools for its
# health check, which is the program itself. `.ci/containers.py` holds this file to that.

# Any other base of the same Debian does, and a mirror's. The runtime's glibc must not be older than that of the build.
ARG RUST_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim
# `dev` is built in a fraction of the time, and is slow: for trials.
ARG PROFILE=release
ARG VERSION=0.1.0
ARG REVISION=unknown

FROM ${RUST_IMAGE} AS source
WORKDIR /waxwing
COPY . .

# What others have written of what is in the images, with its licences. docs/licences.md has a question that stays open, so no label
# names a licence of the whole.
FROM source AS licences
RUN apt-get update && apt-get install --yes --no-install-recommends python3
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo fetch --locked --target x86_64-unknown-linux-gnu --target aarch64-unknown-linux-gnu \
 && .ci/licences.py --texts THIRD_PARTY.md

# Each package by itself: a build of the workspace would turn the sandbox on for all. `.ci/features.sh` proves that these builds
# check WhatsApp's certificates.
# Builds of the two networks have no folder in common: both call their daemon `daemon`, and may run at the same time.
FROM source AS build-server
ARG PROFILE
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,id=waxwing-live,target=/waxwing/target \
    .ci/features.sh \
 && cargo install --locked --path server --profile "${PROFILE}" --no-track --root /built

FROM ${RUNTIME_IMAGE} AS runtime
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=licences /waxwing/THIRD_PARTY.md /waxwing/LICENSE-APACHE /waxwing/LICENSE-MIT /waxwing/docs/licences.md /usr/share/doc/waxwing/
# The end in order: it waits for what is on the wire, and gives its sessions up.
STOPSIGNAL SIGTERM

# One process with one data folder.
FROM runtime AS whole
RUN install --directory --mode 700 --owner 10001 --group 10001 /var/lib/waxwing
# The root is read-only, so files that are needed for a moment are made here too. They have no name.
ENV TMPDIR=/var/lib/waxwing
WORKDIR /var/lib/waxwing
VOLUME /var/lib/waxwing
USER 10001:10001

FROM whole AS server
ARG VERSION
ARG REVISION
COPY --from=build-server /built/bin/waxwing-server /usr/local/bin/
LABEL org.opencontainers.image.title="waxwing-server" \
      org.opencontainers.image.description="Waxwing for real WhatsApp numbers, in one process" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      waxwing.network="live"
EXPOSE 3000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=6 CMD ["waxwing-server", "check"]
ENTRYPOINT ["waxwing-server", "--data-dir", "/var/lib/waxwing"]
# Whoever gives arguments says where it listens, or names a command such as `backup`.
CMD ["--listen", "0.0.0.0:3000"]

FROM source AS build-daemon
ARG PROFILE
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,id=waxwing-live,target=/waxwing/target \
    .ci/features.sh \
 && cargo install --locked --path daemon --profile "${PROFILE}" --no-track --root /built

# The connection daemon. Files that are being sent are in its volume, encrypted: 16 GiB at most.
FROM runtime AS connections
RUN install --directory --mode 700 --owner 10001 --group 10001 /spool
ENV WAXWING_LISTEN=0.0.0.0:3002 WAXWING_SPOOL=/spool
VOLUME /spool
USER 10001:10001
EXPOSE 3002
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=6 CMD ["daemon", "check"]
ENTRYPOINT ["daemon"]

FROM connections AS daemon
ARG VERSION
ARG REVISION
COPY --from=build-daemon /built/bin/daemon /usr/local/bin/
# A build for another network would refuse this.
ENV WAXWING_NETWORK=live
LABEL org.opencontainers.image.title="waxwing-daemon" \
      org.opencontainers.image.description="Waxwing's connection daemon for WhatsApp itself" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      waxwing.network="live"

FROM source AS build-sandbox
ARG PROFILE
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,id=waxwing-sandbox,target=/waxwing/target \
    cargo install --locked --path localstack --profile "${PROFILE}" --no-track --root /built

FROM whole AS sandbox
ARG VERSION
ARG REVISION
COPY --from=build-sandbox /built/bin/localstack /usr/local/bin/
LABEL org.opencontainers.image.title="waxwing-sandbox" \
      org.opencontainers.image.description="Waxwing's local stack, with a WhatsApp network for trials" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      waxwing.network="sandbox"
EXPOSE 3000 3001
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=6 CMD ["localstack", "check"]
# Anybody who reaches it is let in: publish its ports on 127.0.0.1 alone.
ENTRYPOINT ["localstack", "--data-dir", "/var/lib/waxwing", "--host", "0.0.0.0"]

FROM source AS build-daemon-sandbox
ARG PROFILE
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,id=waxwing-sandbox,target=/waxwing/target \
    cargo install --locked --path daemon --features sandbox --profile "${PROFILE}" --no-track --root /built

FROM connections AS daemon-sandbox
ARG VERSION
ARG REVISION
COPY --from=build-daemon-sandbox /built/bin/daemon /usr/local/bin/
ENV WAXWING_NETWORK=sandbox
LABEL org.opencontainers.image.title="waxwing-daemon-sandbox" \
      org.opencontainers.image.description="Waxwing's connection daemon for the sandbox network" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      waxwing.network="sandbox"

# What is built where no target is named.
FROM server AS default
