"""
A stand-in for a borg serve that a client has taken over: what a session's process tries from within, one after the
other, and what refuses each. Beside an installed guard.py, and named by it, it serves the account "web" and admins:

    import attacks
    attacks.install(GuardedServer)

Or beside an installed state.py, and named by it, it takes the place of what reads a repository:

    attacks.install_in_reader(globals())

Answers with a line of JSON for each try: {"name", "layer", "expected", "since", "older", "errno"}; errno is null where
it succeeded.
/repos/web/targets names what is to be reached: {"session": PID, "operator": PID, "resident": PID}. The file
/client/without-filter leaves the filter of system calls away, so that Landlock has to refuse alone.

    attacks.py operator        an operator's process of the same owner, to be reached
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, NoReturn

sys.path.append("/usr/lib/python3/dist-packages")
import seccomp  # noqa: E402

# "files": Landlock's rights to files. "scope": Landlock's rules for TCP, signals, abstract sockets and other processes'
# memory. "calls": the filter of system calls alone. "rights": refused without the wall too, because a session is not
# root. "none": nothing refuses it.
# "restoring": Landlock's rights to files, in a session that may only restore. "may": every session may.
Layer = Literal["files", "scope", "calls", "rights", "none", "restoring", "may"]


class Try(NamedTuple):
    name: str
    layer: Layer
    # What the error is behind the whole wall, e.g. "EACCES"; None where there is none.
    expected: str | None
    attempt: Callable[[], object]


# The version of Landlock that refuses it first, where that is not the first one.
SINCE = {
    "empty a file of another repository": 3,
    "connect by TCP": 4,
    "listen by TCP": 4,
    "ask whether another session is there": 6,
    "signal another session": 6,
    "signal an operator's process": 6,
    "signal one thread": 6,
    "queue a signal": 6,
    "signal by pidfd": 6,
    "connect to an abstract socket": 6,
}
# What the error is behind the whole wall where Landlock is older, or not there at all, if that cannot be told from the
# one that is expected: EACCES and EXDEV are Landlock's, the others are the filter's and stay.
OLDER = {
    "ask whether another session is there": None,
    "open a terminal": "ENOSYS",
}

TRIES: list[Try] = []
# Those of a session that may only restore, in its own repository.
RESTORING: list[Try] = []

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_arch = seccomp.Arch()
_here = -100  # AT_FDCWD
_target: dict[str, int] = {}

OWN, OTHER = "/repos/web", "/repos/db"


def call(name: str, *arguments: Any) -> int:
    """A system call by its name. Whole numbers are passed as they are, bytes by their address."""
    number = seccomp.resolve_syscall(_arch, name)
    result = _libc.syscall(
        ctypes.c_long(number), *(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    )
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return int(result)


def apart(attempt: Callable[[], object]) -> None:
    """In a process of its own where there may be one, because it would change what later tries find."""
    try:
        child = os.fork()
    except OSError:
        attempt()
        return
    if child == 0:
        try:
            attempt()
        except OSError as error:
            os._exit(error.errno or 255)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0:
        raise OSError(code, "apart")


def begun(child: int) -> None:
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def read(path: str) -> None:
    with open(path, "rb") as file:
        file.read(1)


def open_only(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY))


def write(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def make(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    os.remove(path)


def empty(path: str) -> None:
    file = os.open(path, os.O_WRONLY)
    os.ftruncate(file, 0)
    os.close(file)


def empty_by_reading(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY | os.O_TRUNC))


def path_only(path: str) -> int:
    return os.open(path, os.O_PATH)


def there_and_back(one: str, other: str) -> None:
    os.rename(one, other)
    os.rename(other, one)


def link(one: str, other: str) -> None:
    os.link(one, other)
    os.remove(other)


def visit() -> None:
    os.chdir(OTHER)
    os.chdir(OWN)


def link_by_descriptor() -> None:
    # linkat(2), AT_EMPTY_PATH
    call("linkat", path_only(f"{OTHER}/file"), b"", _here, f"{OWN}/stolen".encode(), 0x1000)
    os.remove(f"{OWN}/stolen")


def exchange() -> None:
    for _ in range(2):  # renameat2(2), RENAME_EXCHANGE
        call("renameat2", _here, f"{OWN}/file".encode(), _here, f"{OTHER}/file".encode(), 2)


def remake(path: str) -> None:
    os.remove(path)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def remake_folder(path: str) -> None:
    os.rmdir(path)
    os.mkdir(path)


def make_folder(path: str) -> None:
    os.mkdir(path)
    os.rmdir(path)


def then_remove(attempt: Callable[[str], object], path: str) -> None:
    attempt(path)
    os.remove(path)


def flags() -> None:
    file = os.open(f"{OWN}/file", os.O_RDONLY)
    # FS_IOC_SETFLAGS, FS_NODUMP_FL
    fcntl.ioctl(file, 0x40086602, struct.pack("l", 0x40))


def set_id_file(flag: int) -> None:
    os.close(os.open(f"{OWN}/set-id", os.O_CREAT | os.O_WRONLY, flag | 0o755))
    os.remove(f"{OWN}/set-id")


def set_id_openat2() -> None:
    how = struct.pack("3Q", os.O_CREAT | os.O_WRONLY, 0o4755, 0)
    os.close(call("openat2", _here, f"{OWN}/set-id".encode(), how, len(how)))
    os.remove(f"{OWN}/set-id")


def connect(family: int, kind: int, address: Any) -> None:
    with socket.socket(family, kind) as one:
        one.connect(address)


def listen(family: int, kind: int, address: Any) -> None:
    with socket.socket(family, kind) as one:
        one.bind(address)
        one.listen()


def send_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", ("127.0.0.1", 9))


def queue_signal() -> None:
    information = struct.pack("3i", signal.SIGURG, 0, -1).ljust(128, b"\0")  # SI_QUEUE
    call("rt_sigqueueinfo", _target["operator"], int(signal.SIGURG), information)


def vector(address: int) -> bytes:
    return struct.pack("2Q", address, 8)


_memory = ctypes.create_string_buffer(8)


def other_memory(name: str) -> None:
    # Where nothing is mapped: the question is whether the process may be looked into at all.
    try:
        call(name, _target["operator"], vector(ctypes.addressof(_memory)), 1, vector(4096), 1, 0)
    except OSError as error:
        if error.errno != errno.EFAULT:
            raise


def run_memory() -> None:
    call("mmap", 0, 4096, mmap.PROT_READ | mmap.PROT_EXEC, 0x22, -1, 0)


def make_memory_run(name: str, *more: int) -> None:
    memory = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    call(name, address, 4096, mmap.PROT_READ | mmap.PROT_EXEC, *more)


def send_signals_to(process: int) -> None:
    fcntl.fcntl(0, fcntl.F_SETOWN, process)
    fcntl.fcntl(0, fcntl.F_SETOWN, 0)


def perf() -> None:
    # PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK; the kernel and the hypervisor excluded
    attributes = struct.pack("=IIQQQQQ", 1, 128, 0, 0, 0, 0, 1 << 5 | 1 << 6).ljust(128, b"\0")
    os.close(call("perf_event_open", attributes, 0, -1, -1, 0))


def handle() -> None:
    buffer = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136)
    call("name_to_handle_at", _here, b"/dev/shm", buffer, ctypes.create_string_buffer(8), 0)


def own_pidfd(name: str, *arguments: int) -> None:
    pidfd = call("pidfd_open", _target["operator"], 0)
    call(name, pidfd, *arguments)


def watch() -> None:
    call("inotify_add_watch", call("inotify_init1", 0), OTHER.encode(), 0xFFF)


def limit(process: int, what: int, soft: int, hard: int) -> None:
    call("prlimit64", process, what, struct.pack("2Q", soft, hard), 0)


def raise_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def of_target(name: str) -> int:
    return _target[name]


def add(name: str, layer: Layer, expected: str | None, attempt: Callable[[], object]) -> None:
    TRIES.append(Try(name, layer, expected, attempt))


_urg = int(signal.SIGURG)
_unlimited = 2**63 - 1

# Files of other repositories.
add("read a file of another repository", "files", "EACCES", lambda: read(f"{OTHER}/file"))
add("list another repository", "files", "EACCES", lambda: os.listdir(OTHER))
add("list all repositories", "files", "EACCES", lambda: os.listdir("/repos"))
add("append to a file of another repository", "files", "EACCES", lambda: write(f"{OTHER}/file"))
add("make a file in another repository", "files", "EACCES", lambda: make(f"{OTHER}/new"))
add("make a folder in another repository", "files", "EACCES", lambda: make_folder(f"{OTHER}/new"))
add("remove a file of another repository", "files", "EACCES", lambda: remake(f"{OTHER}/file"))
add("remove a folder of another repository", "files", "EACCES", lambda: remake_folder(f"{OTHER}/folder"))
add(
    *("rename a file within another repository", "files", "EACCES"),
    lambda: there_and_back(f"{OTHER}/file", f"{OTHER}/moved"),
)
add(
    *("rename a file into another repository", "files", "EACCES"),
    lambda: there_and_back(f"{OWN}/file", f"{OTHER}/moved"),
)
add(
    *("rename a file out of another repository", "files", "EACCES"),
    lambda: there_and_back(f"{OTHER}/file", f"{OWN}/moved"),
)
add("exchange a file with another repository's", "files", "EACCES", exchange)
add("link a file out of another repository", "files", "EXDEV", lambda: link(f"{OTHER}/file", f"{OWN}/stolen"))
add("link a file out of another repository by descriptor", "files", "EXDEV", link_by_descriptor)
add("link a file into another repository", "files", "EACCES", lambda: link(f"{OWN}/file", f"{OTHER}/planted"))
add("empty a file of another repository", "files", "EPERM", lambda: os.truncate(f"{OTHER}/file", 0))
add("empty a file of another repository by opening it", "files", "ENOSYS", lambda: empty_by_reading(f"{OTHER}/file"))
add(
    *("make a symlink in another repository", "files", "EPERM"),
    lambda: then_remove(lambda path: os.symlink("/etc", path), f"{OTHER}/symlink"),
)
add("make a FIFO in another repository", "files", "EPERM", lambda: then_remove(os.mkfifo, f"{OTHER}/fifo"))
add("make a folder beside the repositories", "files", "EACCES", lambda: make_folder("/repos/new"))
add("read a file of another repository by a link", "files", "EACCES", lambda: read(f"{OWN}/link-to-other"))
add("look at what a file of another repository is", "none", None, lambda: os.stat(f"{OTHER}/file"))
add("change into another repository", "none", None, visit)

# The rest of the system's files.
add("read /etc/passwd", "files", "EACCES", lambda: read("/etc/passwd"))
add("read /etc/shadow", "rights", "EACCES", lambda: read("/etc/shadow"))
add("write /etc/passwd", "rights", "EACCES", lambda: write("/etc/passwd"))
add("read a program in /usr", "files", "EACCES", lambda: read("/usr/bin/env"))
add("make a file in /usr", "rights", "EACCES", lambda: make("/usr/bin/new"))
add("make a file in /tmp", "files", "EACCES", lambda: make("/tmp/new"))
add("make a file in /dev/shm", "files", "EACCES", lambda: make("/dev/shm/new"))
add("list /sshkeys", "files", "EACCES", lambda: os.listdir("/sshkeys"))
add("read a key in /sshkeys", "files", "EACCES", lambda: read("/sshkeys/repos/db"))
add("add a key in /sshkeys", "rights", "EACCES", lambda: make("/sshkeys/repos/new"))
add("list /run", "files", "EACCES", lambda: os.listdir("/run"))
add("read the settings in /run/borgserver", "files", "EACCES", lambda: read("/run/borgserver/settings.json"))
add("list /var/lib/borgserver", "rights", "EACCES", lambda: os.listdir("/var/lib/borgserver"))
add("read the index", "rights", "EACCES", lambda: read("/var/lib/borgserver/index.sqlite"))
add("list /repos/.borgserver", "files", "EACCES", lambda: os.listdir("/repos/.borgserver"))
add("make a file in /repos/.borgserver", "files", "EACCES", lambda: make("/repos/.borgserver/new"))
add("read /proc/cpuinfo", "files", "EACCES", lambda: read("/proc/cpuinfo"))
add("read another session's status in /proc", "files", "EACCES", lambda: read(f"/proc/{of_target('session')}/status"))
add(
    *("read an operator's environment in /proc", "files", "EACCES"),
    lambda: read(f"/proc/{of_target('operator')}/environ"),
)
add("open an operator's memory in /proc", "files", "EACCES", lambda: open_only(f"/proc/{of_target('operator')}/mem"))
add("write its own oom_score_adj", "rights", "EACCES", lambda: write("/proc/self/oom_score_adj"))
add("write its own memory by /proc", "rights", "EACCES", lambda: write("/proc/self/mem"))
add("open a terminal", "files", "EACCES", os.openpty)

# What its own repository's files are, and other repositories'.
add("empty a file by its name", "calls", "EPERM", lambda: os.truncate(f"{OWN}/file", 0))
add("empty a file that it opens to read", "calls", "ENOSYS", lambda: empty_by_reading(f"{OWN}/file"))
add("change a mode", "calls", "EPERM", lambda: os.chmod(f"{OWN}/file", 0o600))
add("change a mode in another repository", "calls", "EPERM", lambda: os.chmod(f"{OTHER}/file", 0o600))
add("change a group", "calls", "EPERM", lambda: os.chown(f"{OWN}/file", -1, os.getgid()))
add("change a group in another repository", "calls", "EPERM", lambda: os.chown(f"{OTHER}/file", -1, os.getgid()))
add("give a file away", "rights", "EPERM", lambda: os.chown(f"{OWN}/file", 0, 0))
add("change a time", "calls", "EPERM", lambda: os.utime(f"{OWN}/file", (1, 1)))
add("change a time in another repository", "calls", "EPERM", lambda: os.utime(f"{OTHER}/file", (1, 1)))
add("set an attribute", "calls", "EPERM", lambda: os.setxattr(f"{OWN}/file", "user.x", b"x"))
add("set an attribute in another repository", "calls", "EPERM", lambda: os.setxattr(f"{OTHER}/file", "user.x", b"x"))
add("list attributes in another repository", "calls", "EPERM", lambda: os.listxattr(f"{OTHER}/file"))
add("make a symlink", "files", "EPERM", lambda: then_remove(lambda path: os.symlink("/etc", path), f"{OWN}/symlink"))
add("make a FIFO", "files", "EPERM", lambda: then_remove(os.mkfifo, f"{OWN}/fifo"))
add("make a socket", "files", "EPERM", lambda: then_remove(lambda path: os.mknod(path, 0o140600), f"{OWN}/socket"))
add("make a device", "rights", "EPERM", lambda: os.mknod(f"{OWN}/device", 0o20600, os.makedev(1, 3)))
add("set a file's flags", "calls", "ENOSYS", flags)
add("make a set-user-ID file", "calls", "ENOSYS", lambda: set_id_file(0o4000))
add("make a set-group-ID file", "calls", "ENOSYS", lambda: set_id_file(0o2000))
add("make a set-user-ID file by openat2", "calls", "EPERM", set_id_openat2)

# Other processes. borg takes EPERM for a process that lives, so its locks are safe.
add("ask whether another session is there", "scope", "EPERM", lambda: os.kill(_target["session"], 0))
add("signal another session", "scope", "ENOSYS", lambda: os.kill(_target["session"], _urg))
add("signal an operator's process", "scope", "ENOSYS", lambda: os.kill(_target["operator"], _urg))
add("signal the resident process", "rights", "ENOSYS", lambda: os.kill(_target["resident"], _urg))
add("signal one thread", "scope", "EPERM", lambda: call("tgkill", _target["operator"], _target["operator"], _urg))
add("queue a signal", "scope", "EPERM", queue_signal)
add("signal by pidfd", "scope", "EPERM", lambda: own_pidfd("pidfd_send_signal", _urg, 0, 0))
add("have another process signalled", "calls", "ENOSYS", lambda: send_signals_to(_target["operator"]))
add("open a pidfd", "calls", "EPERM", lambda: call("pidfd_open", _target["operator"], 0))
add("take a descriptor of an operator's process", "scope", "EPERM", lambda: own_pidfd("pidfd_getfd", 0, 0))
add(
    "trace an operator's process",
    "scope",
    "EPERM",
    lambda: apart(lambda: call("ptrace", 0x4206, _target["operator"], 0, 0)),
)
add("trace another session", "rights", "EPERM", lambda: call("ptrace", 0x4206, _target["session"], 0, 0))
add("read an operator's memory", "scope", "EPERM", lambda: other_memory("process_vm_readv"))
add("write an operator's memory", "scope", "EPERM", lambda: other_memory("process_vm_writev"))
add(
    *("limit an operator's process", "calls", "EPERM"),
    lambda: limit(_target["operator"], resource.RLIMIT_CPU, 3600, 3600),
)
add(
    "slow an operator's process down", "calls", "EPERM", lambda: os.setpriority(os.PRIO_PROCESS, _target["operator"], 5)
)
add(
    *("schedule an operator's process", "calls", "EPERM"),
    lambda: os.sched_setscheduler(_target["operator"], os.SCHED_BATCH, os.sched_param(0)),
)
add(
    *("bind an operator's process to one processor", "calls", "EPERM"),
    lambda: os.sched_setaffinity(_target["operator"], os.sched_getaffinity(0)),
)
add(
    *("set an operator's disk priority", "calls", "EPERM"),
    lambda: call("ioprio_set", 1, _target["operator"], 2 << 13 | 7),
)

# The network, and sockets.
add("connect by TCP", "scope", "EPERM", lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 22)))
add("listen by TCP", "scope", "EPERM", lambda: listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)))
add("send by UDP", "calls", "EPERM", send_datagram)
add("open a raw socket", "rights", "EPERM", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
add("ask the kernel by netlink", "calls", "EPERM", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
add(
    *("connect to the resident process", "rights", "EPERM"),
    lambda: connect(socket.AF_UNIX, socket.SOCK_SEQPACKET, "/run/borgserver/sessions"),
)
add(
    *("connect to an abstract socket", "scope", "EPERM"),
    lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0operator"),
)
add("listen on an abstract socket", "calls", "EPERM", lambda: listen(socket.AF_UNIX, socket.SOCK_STREAM, "\0session"))
add("make a pair of sockets", "calls", "EPERM", socket.socketpair)

# Programs and processes of its own.
add("run a program", "files", "EPERM", lambda: apart(lambda: os.execv("/usr/bin/true", ["true"])))
add("run a program of its own repository", "files", "EPERM", lambda: apart(lambda: os.execv(f"{OWN}/true", ["true"])))
add("fork", "calls", "EPERM", lambda: begun(os.fork()))
add("clone", "calls", "EPERM", lambda: begun(call("clone", 17, 0, 0, 0, 0)))
add("clone3", "calls", "ENOSYS", lambda: begun(call("clone3", struct.pack("8Q", 0, 0, 0, 0, 17, 0, 0, 0), 64)))
add("begin a session of processes", "rights", "EPERM", os.setsid)
add("have memory that can be run", "calls", "ENOSYS", run_memory)
add("make memory run", "calls", "ENOSYS", lambda: make_memory_run("mprotect"))
add("make memory run by a key", "calls", "EPERM", lambda: make_memory_run("pkey_mprotect", -1))
add("let itself be looked into", "calls", "EPERM", lambda: apart(lambda: call("prctl", 4, 1, 0, 0, 0)))
add("have all memory run", "calls", "EPERM", lambda: apart(lambda: call("personality", 0x0400000)))
add("open more files", "calls", "EPERM", raise_open_files)
add("allow itself core files", "rights", "EPERM", lambda: limit(0, resource.RLIMIT_CORE, 1, 1))
add("run before others", "rights", "EPERM", lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))

# Namespaces, and what the kernel offers besides.
add("make a user namespace", "calls", "EPERM", lambda: apart(lambda: call("unshare", 0x10000000)))
add("make a network namespace", "rights", "EPERM", lambda: call("unshare", 0x40000000))
add("enter a namespace", "rights", "EPERM", lambda: own_pidfd("setns", 0x04000000))
add("mount", "rights", "EPERM", lambda: call("mount", b"none", OWN.encode(), b"tmpfs", 0, 0))
add("unmount", "rights", "EPERM", lambda: call("umount2", b"/proc", 2))
add("open a tree of mounts", "calls", "EPERM", lambda: call("open_tree", _here, OTHER.encode(), 0))
add("change the root", "rights", "EPERM", lambda: os.chroot(OWN))
add("pivot the root", "rights", "EPERM", lambda: call("pivot_root", OWN.encode(), OWN.encode()))
add(
    *("set up io_uring", "calls", "EPERM"),
    lambda: os.close(call("io_uring_setup", 1, ctypes.create_string_buffer(120))),
)
add("share memory", "calls", "EPERM", lambda: call("shmctl", call("shmget", 0, 4096, 0o1600), 0, 0))
add("make a semaphore", "calls", "EPERM", lambda: call("semctl", call("semget", 0, 1, 0o1600), 0, 0, 0))
add("make a queue", "calls", "EPERM", lambda: call("msgctl", call("msgget", 0, 0o1600), 0, 0))
add(
    *("make a POSIX queue", "files", "EPERM"),
    lambda: (call("mq_open", b"session", 0o102, 0o600, 0), call("mq_unlink", b"session")),
)
add("have a file without a name", "calls", "EPERM", lambda: os.close(os.memfd_create("x")))
add("add a key", "calls", "EPERM", lambda: call("add_key", b"user", b"x", b"y", 1, -2))
add("find a keyring", "calls", "EPERM", lambda: call("keyctl", 0, -3, 0, 0, 0))
add("watch another repository", "calls", "EPERM", watch)
add("watch by fanotify", "calls", "EPERM", lambda: os.close(call("fanotify_init", 0x200, 0)))
add("load a BPF map", "rights", "EPERM", lambda: call("bpf", 0, struct.pack("4I", 1, 4, 4, 1).ljust(128, b"\0"), 128))
add("count events", "calls", "EPERM", perf)
add("answer page faults", "calls", "EPERM", lambda: os.close(call("userfaultfd", 1)))
add("have a handle of a file", "calls", "EPERM", handle)
add(
    *("open a file by its handle", "rights", "EPERM"),
    lambda: call("open_by_handle_at", path_only("/"), struct.pack("2I8s", 8, 1, b""), 0),
)
add("read the kernel's log", "rights", "EPERM", lambda: call("syslog", 10, 0, 0))
add("write all files to disk", "calls", "EPERM", lambda: call("sync"))
add("type into a terminal", "rights", "ENOSYS", lambda: fcntl.ioctl(0, 0x5412, b"x"))
add("become root", "rights", "EPERM", lambda: os.setresuid(0, 0, 0))
add("become root's group", "rights", "EPERM", lambda: os.setresgid(0, 0, 0))
add("take groups", "rights", "EPERM", lambda: os.setgroups([0]))
add(
    *("take capabilities", "rights", "EPERM"),
    lambda: call("capset", struct.pack("Ii", 0x20080522, 0), struct.pack("6I", 0xC0, 0xC0, 0, 0, 0, 0)),
)
add("swap", "rights", "EPERM", lambda: call("swapon", f"{OWN}/file".encode(), 0))
add("restart by keys", "rights", "EPERM", lambda: call("reboot", 0xFEE1DEAD, 672274793, 0x89ABCDEF, 0))
add("set the host's name", "rights", "EPERM", lambda: socket.sethostname("x"))
add("set the clock", "rights", "EPERM", lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()))
add("account for processes", "rights", "EPERM", lambda: call("acct", f"{OWN}/file".encode()))
add("load a module", "rights", "EPERM", lambda: call("init_module", b"", 0, b""))

for _name, _attempt in (
    ("append to a file of its own repository", lambda: write(f"{OWN}/file")),
    ("make a file in its own repository", lambda: make(f"{OWN}/new")),
    ("make a folder in its own repository", lambda: make_folder(f"{OWN}/new")),
    ("remove a file of its own repository", lambda: remake(f"{OWN}/file")),
    ("rename a file of its own repository", lambda: there_and_back(f"{OWN}/file", f"{OWN}/moved")),
    ("link a file of its own repository", lambda: link(f"{OWN}/file", f"{OWN}/linked")),
    ("empty a file of its own repository", lambda: empty(f"{OWN}/file")),
):
    RESTORING.append(Try(_name, "restoring", "EACCES", _attempt))
# What every session may do: without it the refusals above would say little.
MAY: list[Try] = [
    Try("read its own repository", "may", None, lambda: read(f"{OWN}/file")),
    Try("list its own repository", "may", None, lambda: os.listdir(OWN)),
]


def say(each: Try) -> None:
    try:
        each.attempt()
        number = None
    except OSError as error:
        number = errno.errorcode.get(error.errno or 0, str(error))
    except Exception as error:
        number = repr(error)
    older = OLDER.get(each.name, None if each.expected in ("EACCES", "EXDEV") else each.expected)
    line = {
        **{"name": each.name, "layer": each.layer, "expected": each.expected, "errno": number},
        **{"since": SINCE.get(each.name, 1), "older": older},
    }
    os.write(1, (json.dumps(line) + "\n").encode())


def try_all() -> None:
    with open(f"{OWN}/targets") as file:
        _target.update(json.load(file))
    for each in (*MAY, *RESTORING, *TRIES):
        say(each)


def serve(server: Any, borgs: Callable[[Any], object], before_open: Callable[[str, bool], None]) -> None:
    directory = os.getcwd()
    if directory not in (OWN, "/repos"):  # the other session and a start's questions are answered as always
        borgs(server)
        return
    if directory == "/repos":
        before_open(OWN, False)
    try_all()


def install(server: Any) -> None:
    guard = sys.modules["guard"]
    if os.path.exists("/client/without-filter"):
        import wall

        wall.prepare = lambda *_, **__: False
    borgs = server.serve
    server.serve = lambda self: serve(self, borgs, guard.before_open)


def install_in_reader(reader: dict[str, Any]) -> None:
    def state_of(name: str, known: int | None) -> NoReturn:
        try_all()
        os._exit(0)

    reader["state_of"] = state_of


def operator() -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("\0operator")
    listener.listen(64)
    print(os.getpid(), flush=True)
    time.sleep(600)


if __name__ == "__main__" and sys.argv[1:] == ["operator"]:
    operator()
