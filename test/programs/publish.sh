#!/usr/bin/env bash
# Publishes a release to a registry of this machine, as scripts/publish does on the forge: with programs in the place of
# cosign and gh that write down what they are asked. Prints the names that the registry has, what the last one stands for,
# and what was asked.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)

# JSON is YAML, which this registry reads. Debian's own settings want a password.
echo '{"version": 0.1, "storage": {"filesystem": {"rootdirectory": "/tmp/registry"}}, "http": {"addr": "127.0.0.1:5000"}}' >/tmp/registry.yml
docker-registry serve /tmp/registry.yml >/tmp/registry.log 2>&1 &
for ((tries = 0; tries < 100; tries++)); do
  if (exec 3<>/dev/tcp/127.0.0.1/5000) 2>/dev/null; then break; fi
  sleep 0.1
done
printf '[[registry]]\nlocation = "127.0.0.1:5000"\ninsecure = true\n' >/etc/containers/registries.conf.d/here.conf

for name in cosign gh; do
  # shellcheck disable=SC2016 # for these programs
  printf '#!/bin/sh\necho "%s $*" >>/tmp/asked\n[ "$2" != view ]\n' "$name" >"/usr/local/sbin/$name"
  chmod +x "/usr/local/sbin/$name"
done
other=arm64
[ "$(dpkg --print-architecture)" = amd64 ] || other=amd64
export COSIGN=cosign REGISTRY=127.0.0.1:5000 GITHUB_REPOSITORY=Owner/borgserver GITHUB_ACTOR=owner GITHUB_TOKEN=secret
{
  "$root/scripts/inside/publish" image 1.2.3 1.2 latest &&
    # That of the other runner; here it is the same image, but for a label.
    printf 'FROM localhost/borgserver\nLABEL other=1\n' | podman build --quiet --isolation chroot --tag other --file - &&
    podman push other "docker://127.0.0.1:5000/owner/borgserver:1.2.3-$other" &&
    "$root/scripts/inside/publish" release 1.2.3 1.2 latest
} >/tmp/publish.log 2>&1 || { cat /tmp/registry.log /tmp/publish.log >&2; exit 1; }

ls /tmp/registry/docker/registry/v2/repositories/owner/borgserver/_manifests/tags
podman manifest inspect 127.0.0.1:5000/owner/borgserver:latest | grep -c '"digest"'
sed "s|$root/||; s/sha256:[0-9a-f]\{64\}/DIGEST/" /tmp/asked
