"""
Closes this process in, for good: a borg that serves a client reaches its repository's directory and nothing else of
this system. Landlock (landlock(7)) decides about files, TCP, signals and abstract sockets, as far as the kernel knows
it; a list of allowed system calls (seccomp(2)) decides about the rest.

    wall.prepare()                                 once in a process that forks; reads files
    wall.close_in([("write", "/repos/web01")])     before the first byte of a client
    wall.close_in(rules, narrow=False)             for an operator's command, which starts programs
    wall.prepare(outward=True)                     for what speaks with the network (teller.py), before close_in
"""

import ctypes
import errno
import json
import os
import stat
import struct
import sys
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, Literal

Rights = Literal["read", "write", "any", "tty", "run"]
Rule = tuple[Rights, str]

_libc = ctypes.CDLL(None, use_errno=True)

# linux/landlock.h. The numbers of its system calls are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_SYM = (1 << bit for bit in (7, 8, 9, 10, 12))
_REFER, _TRUNCATE, _IOCTL_DEV = (1 << bit for bit in (13, 14, 15))
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
_RIGHTS: dict[Rights, int] = {
    "read": _READ,
    "run": _READ | _EXECUTE,
    "write": _WRITE,
    "any": _WRITE | _EXECUTE | _MAKE_SYM | _MAKE_FIFO | _MAKE_SOCK | _IOCTL_DEV,
    "tty": _READ_FILE | _WRITE_FILE | _IOCTL_DEV,
}

# What programs need that are started behind the wall.
SYSTEM: list[Rule] = [
    *(("run", "/usr"), ("run", "/opt"), ("read", "/etc"), ("read", "/proc")),
    *(("tty", "/dev/null"), ("read", "/dev/urandom")),
]

# What programs need that speak with the network: themselves, names (nsswitch.conf(5), resolver(5)) and certificates.
NETWORK: list[Rule] = [
    *(("run", "/usr"), ("tty", "/dev/null"), ("read", "/dev/urandom")),
    *(("read", f"/etc/{name}") for name in ("ld.so.cache", "localtime", "ssl", "passwd", "group", "services")),
    *(("read", f"/etc/{name}") for name in ("nsswitch.conf", "resolv.conf", "hosts", "host.conf", "gai.conf")),
]


def landlock_version() -> int:
    """The version of Landlock that this kernel knows (LANDLOCK_CREATE_RULESET_VERSION); 0 where it has none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, 0, 1)))


def lacks(version: int, can_filter: bool) -> list[str]:
    """What the wall cannot keep a session from, on a kernel with this version of Landlock; parts of one sentence."""
    missing = []
    if version == 0:
        missing.append("the kernel has no Landlock (Linux 5.13 or later, in the list of its security modules)")
    if not can_filter:
        if 0 < version < 3:
            missing.append("before Linux 6.2 it lets sessions empty each other's files")
        if 0 < version < 6:
            missing.append("before Linux 6.12 it lets them signal each other")
        missing.append("system calls are not filtered (seccomp, python3-seccomp)")
    return missing


def _done(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(*arguments: Any) -> int:
    """prctl(2), whose arguments are unsigned long. @returns -1 where it fails"""
    return int(_libc.prctl(*(ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments)))


def close_in(rules: Iterable[Rule], narrow: bool = True, reaches: bool = False) -> None:
    """
    Leaves this process, and what it starts, these paths alone. May be called again, and only ever takes away.
    @param rules a path and what is allowed at and below it; a path that does not exist is skipped
    @param narrow whether the filter of system calls is put on too
    @param reaches whether it may open TCP connections in spite of that
    Raises OSError where the kernel knows a part of it and refuses it.
    """
    global _is_closed_in
    if not _is_closed_in:  # behind the wall there is no prctl(2)
        _done(prctl(38, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    _is_closed_in = True
    version = landlock_version()
    if version > 0:
        # The rights that each version added (landlock(7), VERSIONS); what the kernel does not know it does not restrict.
        handled = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
        # An operator's command may well reach another machine; a session reaches nobody.
        ports = 3 if version >= 4 and narrow and not reaches else 0
        scoped = 3 if version >= 6 else 0
        attributes = struct.pack("=QQQ", handled, ports, scoped)[: 24 if version >= 6 else 16 if version >= 4 else 8]
        ruleset = _done(_libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0), "landlock_create_ruleset")
        try:
            for rights, path in rules:
                _allow(ruleset, _RIGHTS[rights] & handled, path)
            _done(_libc.syscall(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
        finally:
            os.close(ruleset)
    if narrow and _program is not None:
        # prctl(2), PR_SET_SECCOMP: SECCOMP_MODE_FILTER.
        _done(prctl(22, 2, ctypes.byref(_program), 0, 0), "PR_SET_SECCOMP")


def _allow(ruleset: int, rights: int, path: str) -> None:
    try:
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(at).st_mode):
            rights &= _OF_A_FILE
        # LANDLOCK_RULE_PATH_BENEATH
        _done(_libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, at), 0), "landlock_add_rule")
    finally:
        os.close(at)


# What borg serve does in its repository, and Python and glibc by themselves. Not in it, so EPERM: programs, processes,
# sockets, signals; modes, owners, times and attributes of files; links by name, devices; limits, keys, namespaces. Nor
# truncate(2): borg empties files that it opened to write, and Landlock before version 3 knows nothing of it.
_ALLOWED = """
read write readv writev pread64 pwrite64 lseek close close_range dup dup2 dup3
stat lstat fstat newfstatat fstatat64 statx access faccessat faccessat2 readlink readlinkat statfs fstatfs getcwd
chdir fchdir getdents getdents64 rename renameat renameat2 link linkat unlink unlinkat rmdir mkdir mkdirat umask
ftruncate fallocate fadvise64 fsync fdatasync sync_file_range syncfs flock
munmap mremap madvise brk msync mincore futex set_robust_list set_tid_address rseq membarrier
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending sigaltstack pause restart_syscall setitimer getitimer alarm
poll ppoll select pselect6 nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times
getpid gettid getppid getuid geteuid getgid getegid getgroups getresuid getresgid getpgrp getpgid getsid
uname sysinfo getrusage getrandom sched_yield sched_getaffinity getcpu exit exit_group
landlock_create_ruleset landlock_add_rule landlock_restrict_self
""".split()  # noqa: SIM905 - it reads as words

# ioctl(2): whether it is a terminal, its size, close-on-exec and blocking, which Python sets so. fcntl(2): descriptors, flags and
# locks, but not whom a signal is sent to.
_IOCTLS = (0x5401, 0x5413, 0x5421, 0x5450, 0x5451)
_FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030)

# What a process that speaks with the network is refused, as it runs programs, and libraries that nobody can list the calls
# of: other processes, the kernel's own keys, programs and events, mounts and namespaces, devices, the clock, the machine.
_REFUSED = """
ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd perf_event_open
add_key request_key keyctl bpf userfaultfd io_uring_setup io_uring_enter io_uring_register fanotify_init fanotify_mark
mount umount umount2 mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick pivot_root chroot unshare setns
name_to_handle_at open_by_handle_at mknod mknodat quotactl quotactl_fd acct swapon swapoff lookup_dcookie
init_module finit_module delete_module kexec_load kexec_file_load reboot syslog vhangup iopl ioperm
settimeofday adjtimex clock_settime clock_adjtime sethostname setdomainname personality
mq_open mq_unlink msgget semget shmget
""".split()  # noqa: SIM905

_is_closed_in = False
_program: ctypes.Structure | None = None


class _Program(ctypes.Structure):
    """struct sock_fprog of linux/filter.h: how many instructions, of eight bytes each, and where."""

    _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def prepare(outward: bool = False) -> bool:
    """
    Compiles the filter of system calls, for which libseccomp's own bindings are needed (Debian's python3-seccomp, outside
    of an environment of borg's own). @returns whether there is one
    @param outward for a process that starts programs and speaks with the network, and not for a session
    """
    global _program
    if _program is not None:
        return True
    elsewhere = "/usr/lib/python3/dist-packages"
    sys.path.append(elsewhere)
    try:
        import seccomp
    except ImportError:
        return False
    finally:
        sys.path.remove(elsewhere)

    # What this kernel or library does not know yet is told so: programs then do without (clone3 in glibc).
    wall = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
    arch = seccomp.Arch()
    conditional = (_outward_conditions if outward else _session_conditions)(seccomp)
    known = set()
    for number in range(1024):
        try:
            name = seccomp.resolve_syscall(arch, number).decode()
        except ValueError:
            continue  # there is none of this number
        known.add(name)
        if name in conditional:
            continue
        is_allowed = name not in _REFUSED if outward else name in _ALLOWED
        wall.add_rule(seccomp.ALLOW if is_allowed else seccomp.ERRNO(errno.EPERM), number)
    for name in conditional.keys() & known:
        for conditions in conditional[name]:
            wall.add_rule(seccomp.ALLOW, name, *conditions)
    with tempfile.TemporaryFile() as file:
        wall.export_bpf(file)
        file.seek(0)
        code = file.read()
    _program = _Program(len(code) // 8, code)
    return True


# Calls that are allowed with certain arguments alone: for each the lists of conditions, one of which has to hold.
Conditions = dict[str, list[tuple[Any, ...]]]


def _session_conditions(seccomp: Any) -> Conditions:
    arg = seccomp.Arg
    # A new file's mode without S_ISUID and S_ISGID. openat2(2) has it where a filter cannot look.
    # Not O_TRUNC with O_RDONLY, which empties a file as truncate(2) does (Landlock before version 3).
    to_write = ((os.O_TRUNC, 0), (os.O_ACCMODE, os.O_WRONLY), (os.O_ACCMODE, os.O_RDWR))

    def opening(flags: int, mode: int) -> list[tuple[Any, ...]]:
        plain = arg(mode, seccomp.MASKED_EQ, 0o6000, 0)
        return [(plain, arg(flags, seccomp.MASKED_EQ, mask, value)) for mask, value in to_write]

    # Memory that can be run (PROT_EXEC) there is enough of.
    not_to_run = [(arg(2, seccomp.MASKED_EQ, 4, 0),)]
    return {
        "kill": [(arg(1, seccomp.EQ, 0),)],  # borg asks so whether the holder of a lock is alive
        "ioctl": [(arg(1, seccomp.EQ, request),) for request in _IOCTLS],
        "fcntl": [(arg(1, seccomp.EQ, command),) for command in _FCNTLS],
        **{"mmap": not_to_run, "mprotect": not_to_run, "clone3": []},
        **{"open": opening(1, 2), "openat": opening(2, 3), "creat": [(arg(1, seccomp.MASKED_EQ, 0o6000, 0),)]},
    }


def _outward_conditions(seccomp: Any) -> Conditions:
    # IPv4, IPv6, and what glibc asks for this machine's addresses (netlink(7)). Not AF_UNIX: Landlock does not know who may
    # connect to which socket of the system, such as the one that sessions are asked for.
    families = (2, 10, 16)
    # A pair of connected ones is how programs are started; of datagrams it could be connected elsewhere.
    stream = seccomp.Arg(1, seccomp.MASKED_EQ, 0xF, 1)
    # Namespaces (clone(2), CLONE_NEW...), which clone3(2) takes from where a filter cannot look.
    namespaces = 0x7E020000
    return {
        "socket": [(seccomp.Arg(0, seccomp.EQ, family),) for family in families],
        "socketpair": [(stream,)],
        "clone": [(seccomp.Arg(0, seccomp.MASKED_EQ, namespaces, 0),)],
        "clone3": [],
    }


def tell() -> str:
    """
    Tries the wall out, on a throwaway folder. @returns in JSON the version of Landlock, and what the wall lacks here:
    parts of one sentence, none where it is complete
    """
    version = landlock_version()
    missing = lacks(version, prepare())
    with tempfile.TemporaryDirectory(prefix="borgserver-wall-") as folder:
        inside, outside = f"{folder}/inside", f"{folder}/outside"
        for path in (inside, outside):
            os.mkdir(path)
        child = os.fork()
        if child == 0:
            os._exit(_try(inside, outside))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code & 1 and version > 0:
            missing.append("a session that was closed in could write elsewhere")
        if code & 2 and _program is not None:
            missing.append("a session that was closed in could open a socket")
        if code < 0 or code >= 4:
            missing.append(f"a session could not be closed in ({code})")
    return json.dumps({"landlock": version, "lacks": missing})


def _try(inside: str, outside: str) -> int:
    try:
        close_in([("write", inside)])
        os.close(os.open(f"{inside}/file", os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError:
        return 4
    code = 0
    attempts: list[tuple[int, Callable[[], int]]] = [
        (1, lambda: os.open(f"{outside}/file", os.O_CREAT | os.O_WRONLY, 0o600)),
        (2, lambda: _done(_libc.socket(1, 1, 0), "socket")),
    ]
    for bit, attempt in attempts:
        try:
            attempt()
            code |= bit
        except OSError:
            pass
    return code
