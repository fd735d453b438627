# Four stages: the program, borg, what sends messages, and what runs. Nothing that only builds reaches the last one.

FROM node:26-trixie-slim AS program
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev
COPY tsconfig.json ./
COPY scripts scripts
COPY libexec libexec
COPY src src
RUN scripts/build && DESTDIR=/installed libexec/install files

FROM debian:trixie-slim AS borg
ARG BORG_VERSION=1.4.5
# Two builds are the same, byte for byte (scripts/check-reproducible): the linker leaves no mark of the folder that pip
# unpacks the source in, no list (RECORD) has the hashes of before strip, and what Python compiled depends on no time.
ENV LDFLAGS=-Wl,--build-id=none PYTHONHASHSEED=0
RUN apt-get update && apt-get install --yes --no-install-recommends \
      gcc libc6-dev pkgconf python3-dev python3-venv libacl1-dev liblz4-dev libssl-dev libxxhash-dev libzstd-dev
RUN python3 -m venv --without-pip /opt/borg \
 && python3 -m venv /pip \
 && /pip/bin/pip --python /opt/borg/bin/python install --no-cache-dir --no-compile "borgbackup==$BORG_VERSION" \
 && find /opt/borg -name '*.so' -exec strip --strip-unneeded {} + \
 && find /opt/borg \( -name '*.pyx' -o -name '*.c' -o -name '*.h' -o -name '*.pxd' \) -delete \
 && find /opt/borg -name RECORD -delete \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/borg
COPY libexec/session.c /src/
RUN gcc -static -Os -Wall -o /src/session /src/session.c && strip /src/session
# Without BORG_SELFTEST=disabled, borg serve tests its own cryptography and chunking before it reads a request.
RUN /opt/borg/bin/borg serve </dev/null

FROM debian:trixie-slim AS apprise
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv
COPY scripts/apprise-requirements.txt /src/
RUN python3 -m venv --without-pip /opt/apprise \
 && python3 -m venv /pip \
 && /pip/bin/pip --python /opt/apprise/bin/python install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r /src/apprise-requirements.txt \
 && find /opt/apprise \( -name '*.po' -o -name '*.mo' -o -name '*.pot' \) -delete \
 && PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash /opt/apprise
# It finds all that it imports.
RUN /opt/apprise/bin/python -c 'import apprise, requests'

FROM debian:trixie-slim
# Nothing here changes its user by a set-id file: sshd and our program do so as root.
RUN apt-get update && apt-get install --yes --no-install-recommends \
      openssh-server libnss-cache systemd-standalone-tmpfiles python3 python3-seccomp tini tzdata tzdata-legacy libacl1 liblz4-1 libssl3t64 libstdc++6 libxxhash0 libzstd1 \
 && rm -rf /etc/ssh/ssh_host_* /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/cache/ldconfig /var/log/* /usr/share/doc /usr/share/man \
 && find / -xdev -type f -perm /6000 -exec chmod ug-s {} + \
 && mkdir -p /repos
COPY --from=borg /opt/borg /opt/borg
COPY --from=apprise /opt/apprise /opt/apprise
COPY --from=program /installed /
COPY --from=borg /src/session /usr/local/lib/borgserver/session
# Passwords that nobody has were changed at no certain day.
RUN /usr/local/lib/borgserver/install system \
 && rm -f /etc/*- \
 && sed -i -E 's/^([^:]*:[^:]*):[0-9]+:/\1:20000:/' /etc/shadow

EXPOSE 22
VOLUME /sshkeys /repos
# It asks the login program, which has 20 seconds on a slow machine.
HEALTHCHECK --interval=30s --timeout=25s --start-period=60s CMD ["/usr/local/lib/borgserver/health"]
# tini reaps orphans and passes signals on.
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/lib/borgserver/entrypoint"]
CMD ["sshd"]

LABEL org.opencontainers.image.title="borgserver" \
      org.opencontainers.image.description="SSH server for BorgBackup repositories" \
      org.opencontainers.image.licenses="MIT"
