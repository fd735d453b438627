"""
Becomes the teller, the process that speaks with the world (src/teller/tell.ts): as an account of its own, without rights,
and closed in (wall.py) to what it needs: programs and libraries, what name resolution and TLS read, and the folder that the
keeper publishes. It may open TCP connections; it writes nowhere. Taken over, it can show lies, and nothing more.
"""

import contextlib
import os
import pwd
import resource
import sys

sys.path.insert(0, "/usr/local/lib/borgserver")
import wall  # noqa: E402

ACCOUNT = "borgteller"
PROGRAM = "/usr/local/bin/borgserver"
PUBLISHED = "/run/borgserver/published"
TOLD = "/run/borgserver/teller-told"  # removed by the entrypoint

# Of processes and threads of this id: other containers on the host may have it too.
MOST_PROCESSES = 1000


def is_first_of_start() -> bool:
    """Whether nobody has been told yet what this kernel lacks: a teller that only sends is started for each message."""
    try:
        os.close(os.open(TOLD, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    except FileNotFoundError:  # no server was started here
        return True
    return True


def main() -> None:
    is_first = is_first_of_start()
    # Before sshd and the sessions, if memory runs out.
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
    account = pwd.getpwnam(ACCOUNT)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # addresses hold secrets
    resource.setrlimit(resource.RLIMIT_NPROC, (MOST_PROCESSES, MOST_PROCESSES))
    os.setgroups([])
    os.setresgid(*[account.pw_gid] * 3)
    os.setresuid(*[account.pw_uid] * 3)
    with contextlib.suppress(PermissionError):  # it leads a group already
        os.setsid()  # an operator's terminal is not its own (ioctl_tty(2), TIOCSTI)
    os.chdir("/")
    os.umask(0o077)
    os.closerange(3, 1 << 16)
    lacks = [] if wall.landlock_version() > 0 else ["the kernel has no Landlock"]
    if not wall.prepare(outward=True):
        lacks.append("system calls are not filtered (seccomp, python3-seccomp)")
    if is_first and lacks:
        print(f"borgserver: the teller is not fully confined: {'; '.join(lacks)}", file=sys.stderr, flush=True)
    # The runtime reads its own memory map when it begins.
    own: list[wall.Rule] = [("run", "/opt/apprise"), ("read", PUBLISHED), ("read", "/proc/self")]
    wall.close_in([*wall.NETWORK, *own], reaches=True)
    environment = {"PATH": "/usr/local/bin:/usr/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
    os.execve(PROGRAM, [PROGRAM, "tell"], environment)


if __name__ == "__main__":
    main()
