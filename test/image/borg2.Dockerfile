# A Borg 2 client, to see what it is told by a server for Borg 1.x.
FROM debian:trixie-slim
RUN apt-get update && apt-get install --yes --no-install-recommends openssh-client \
      g++ libc6-dev pkgconf python3-dev python3-venv libacl1-dev liblz4-dev libssl-dev libxxhash-dev libzstd-dev
RUN python3 -m venv /opt/borg2 && /opt/borg2/bin/pip install --no-cache-dir borgbackup==2.0.0b25
ENTRYPOINT ["/opt/borg2/bin/borg"]
