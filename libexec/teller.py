"""
Becomes the teller, the process that speaks with the world (src/teller/tell.ts): as an account of its own, without rights,
and closed in (wall.py) to what it needs: programs and libraries, what name resolution and TLS read, and the folder that the
keeper publishes. It may open TCP connections; it writes nowhere. Taken over, it can show lies, and nothing more.
"""

import os
import pwd
import sys

LIBRARY = "/usr/local/lib/borgserver"
sys.path.insert(0, LIBRARY)

import wall  # noqa: E402

ACCOUNT = "borgteller"
PROGRAM = "/usr/local/bin/borgserver"
PUBLISHED = "/run/borgserver/published"

RULES: list[wall.Rule] = [
    *(("run", "/usr"), ("run", "/opt/apprise")),
    *(("read", f"/etc/{name}") for name in ("ld.so.cache", "localtime", "ssl")),
    # Names (nsswitch.conf(5), resolver(5)); apprise asks who it is.
    *(("read", f"/etc/{name}") for name in ("nsswitch.conf", "resolv.conf", "hosts", "host.conf", "gai.conf")),
    *(("read", f"/etc/{name}") for name in ("passwd", "group", "services", "protocols", "mime.types")),
    *(("tty", "/dev/null"), ("read", "/dev/urandom"), ("read", "/proc/self")),
    ("read", PUBLISHED),
]


def main() -> None:
    # Before sshd and the sessions, if memory runs out.
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
    account = pwd.getpwnam(ACCOUNT)
    os.setgroups([])
    os.setresgid(*[account.pw_gid] * 3)
    os.setresuid(*[account.pw_uid] * 3)
    os.chdir("/")
    os.closerange(3, 1 << 16)
    if wall.landlock_version() == 0:
        print("borgserver: the teller is not closed in: the kernel has no Landlock", file=sys.stderr, flush=True)
    wall.close_in(RULES, narrow=False)
    environment = {"PATH": "/usr/local/bin:/usr/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
    os.execve(PROGRAM, [PROGRAM, "tell"], environment)


if __name__ == "__main__":
    main()
