# Podman's generator of units, for test/image/quadlet.test.ts: Debian 12's podman has none.
FROM debian:trixie-slim
RUN apt-get update && apt-get install --yes --no-install-recommends podman
