#!/usr/bin/python3
"""
A stand-in for a teller that has been taken over: what it tries from within, one after the other. Answers with a line of JSON
for each try: {"name", "may", "since", "errno"}; "may" says that it is allowed, "since" which version of Landlock refuses it
first, and errno is null where it succeeded. Beside attacks.py, and targets.json, which names what is to be reached:
{"keeper": PID, "sshd": PID, "own": PID, "port": NUMBER}; "own" is a process of the same account that is not closed in.
"""

import ctypes
import errno
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from attacks import apart, call, connect, empty, link, make, make_folder, read, remake, vector, write  # noqa: E402

with open(f"{os.path.dirname(os.path.realpath(__file__))}/targets.json") as _file:
    TARGETS = json.load(_file)

PUBLISHED = "/run/borgserver/published"
LIBRARY = "/usr/local/lib/borgserver"


class Try(NamedTuple):
    name: str
    attempt: Callable[[], object]
    since: int = 1


def program(*words: str) -> None:
    """Runs one that has to succeed."""
    ended = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if ended.returncode != 0:
        raise OSError(errno.EPERM, "it failed")


def read_memory(process: int) -> None:
    buffer = ctypes.create_string_buffer(8)
    try:
        # Where nothing is mapped: the question is whether the process may be looked into at all.
        call("process_vm_readv", process, vector(ctypes.addressof(buffer)), 1, vector(4096), 1, 0)
    except OSError as error:
        if error.errno != errno.EFAULT:
            raise


def trace(process: int) -> None:
    call("ptrace", 0x4206, process, 0, 0)  # PTRACE_SEIZE
    # Not detached: it ends with the process that this runs in (apart).


def with_group() -> None:
    os.setgroups([0])
    os.setresgid(0, 0, 0)
    read("/etc/shadow")


def with_root() -> None:
    os.setresuid(0, 0, 0)
    read("/etc/shadow")


def key() -> None:
    call("add_key", b"user", b"teller", b"x", 1, -3)  # KEY_SPEC_SESSION_KEYRING


def new_space() -> None:
    call("unshare", 0x10000000)  # CLONE_NEWUSER


def new_space_by_clone() -> None:
    child = call("clone", 0x10000000 | int(signal.SIGCHLD), 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def spare() -> None:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def device() -> None:
    os.mknod("/dev/shm/device", 0o20600, os.makedev(1, 3))
    os.remove("/dev/shm/device")


def mount() -> None:
    call("mount", b"none", b"/mnt", b"tmpfs", 0, 0)
    call("umount2", b"/mnt", 0)


def pair_elsewhere() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.close()
    other.close()


def raw_packets(family: int, kind: int, protocol: int) -> None:
    socket.socket(family, kind, protocol).close()


READ = [
    *("/repos/web/config", "/sshkeys/repos/web", "/sshkeys/settings/web", "/sshkeys/host/ssh_host_ed25519_key"),
    *("/var/lib/borgserver/index.sqlite", "/var/lib/borgserver/ledger.sqlite"),
    *("/var/lib/borgserver/current/addresses.json", "/var/lib/borgserver/current/passwd.cache"),
    *("/run/borgserver/settings.json", "/run/borgserver/notify.json", "/run/borgserver/sshd_config"),
    *("/run/borgserver/host-keys/ssh_host_ed25519_key", "/etc/shadow", "/etc/ssh/moduli", "/etc/fstab"),
    *("/proc/1/environ", "/proc/1/cmdline", f"/proc/{TARGETS['keeper']}/cmdline", f"/proc/{TARGETS['sshd']}/status"),
    *(f"/proc/{TARGETS['own']}/environ", f"/proc/{TARGETS['own']}/maps"),
]
LIST = [
    *("/", "/repos", "/repos/web", "/repos/.borgserver", "/sshkeys", "/sshkeys/repos", "/var/lib/borgserver"),
    *("/run/borgserver", "/run/borgkeys", "/proc", "/tmp", "/root", "/etc", "/var/cache/borgserver", "/dev", "/sys"),
]
MAKE_IN = [
    *(PUBLISHED, f"{PUBLISHED}/sessions", "/run/borgserver", "/run", "/repos", "/repos/web", "/sshkeys/repos", "/tmp"),
    *("/var/tmp", "/dev/shm", "/var/lib/borgserver", "/etc", LIBRARY, "/usr/local/bin", "/opt/apprise", "/root"),
]
CHANGE = [f"{PUBLISHED}/state.json", f"{LIBRARY}/sender.py", "/etc/passwd", "/etc/hosts", "/sshkeys/repos/web"]

TRIES = [
    *(Try(f"read {path}", lambda path=path: read(path)) for path in READ),  # type: ignore[misc]
    *(Try(f"list {path}", lambda path=path: os.listdir(path)) for path in LIST),  # type: ignore[misc]
    *(Try(f"make a file in {path}", lambda path=path: make(f"{path}/planted")) for path in MAKE_IN),  # type: ignore[misc]
    *(Try(f"make a folder in {path}", lambda path=path: make_folder(f"{path}/planted")) for path in MAKE_IN),  # type: ignore[misc]
    *(Try(f"write to {path}", lambda path=path: write(path)) for path in CHANGE),  # type: ignore[misc]
    *(Try(f"change the mode of {path}", lambda path=path: os.chmod(path, os.stat(path).st_mode)) for path in CHANGE),  # type: ignore[misc]
    Try("put another file in the place of what is published", lambda: remake(f"{PUBLISHED}/teller-test")),
    Try("link what is published to elsewhere", lambda: link(f"{PUBLISHED}/state.json", f"{PUBLISHED}/linked")),
    Try("empty what is published", lambda: empty(f"{PUBLISHED}/teller-test")),
    Try("say when it is ended if memory runs out", spare),
    *(
        Try(f"signal {name}", lambda name=name: os.kill(TARGETS[name], 0), 6 if name == "own" else 1)  # type: ignore[misc]
        for name in ("keeper", "sshd", "own")
    ),
    Try("signal process 1", lambda: os.kill(1, 0)),
    Try("trace a process of its account", lambda: apart(lambda: trace(TARGETS["own"]))),
    Try("read the memory of a process of its account", lambda: read_memory(TARGETS["own"])),
    Try("read the memory of the keeper", lambda: read_memory(TARGETS["keeper"])),
    Try("ask for a session", lambda: connect(socket.AF_UNIX, socket.SOCK_SEQPACKET, "/run/borgserver/sessions")),
    Try("have a socket of this machine", lambda: socket.socket(socket.AF_UNIX).close()),
    Try("have datagrams within this machine", pair_elsewhere),
    Try("see all packets", lambda: raw_packets(socket.AF_PACKET, socket.SOCK_RAW, 3)),
    Try("make packets", lambda: raw_packets(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)),
    Try("become root", lambda: apart(with_root)),
    Try("be in root's group", lambda: apart(with_group)),
    Try("become root by a program", lambda: program("/usr/bin/su", "root", "-c", "true")),
    Try("change its root", lambda: apart(lambda: os.chroot("/usr"))),
    Try("have a user namespace", lambda: apart(new_space)),
    Try("have a user namespace by clone", new_space_by_clone),
    Try("mount", lambda: apart(mount)),
    Try("make a device", device),
    Try("keep a key in the kernel", key),
    Try("answer page faults", lambda: os.close(call("userfaultfd", 1))),
    Try(
        "set the name of this machine",
        lambda: call("sethostname", os.uname().nodename.encode(), len(os.uname().nodename)),
    ),
]
# What the teller is there for: without it the refusals above would say little.
MAY = [
    Try("read what is published", lambda: read(f"{PUBLISHED}/state.json")),
    Try("list what is published", lambda: os.listdir(f"{PUBLISHED}/sessions")),
    Try("connect by TCP", lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", TARGETS["port"]))),
    Try("resolve a name", lambda: socket.getaddrinfo("localhost", 80)),
    Try("listen by TCP", lambda: socket.create_server(("127.0.0.1", 0)).close()),
    Try("run what sends", lambda: program("/opt/apprise/bin/python", "-I", "-c", "import apprise")),
    Try("have memory that it runs", lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()),
]


def say(each: Try, may: bool) -> None:
    try:
        each.attempt()
        number = None
    except OSError as error:
        number = errno.errorcode.get(error.errno or 0, str(error))
    except Exception as error:
        number = repr(error)
    print(json.dumps({"name": each.name, "may": may, "since": each.since, "errno": number}), flush=True)


def main() -> None:
    for each in MAY:
        say(each, True)
    for each in TRIES:
        say(each, False)


if __name__ == "__main__":
    main()
