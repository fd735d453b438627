"""
Serves every session: has borg imported already, and forks a child for each, which gives up its rights, closes itself in
and becomes the session's borg serve. Its one door is a socket where the session program (session.c) asks.

Who asks is what the kernel says of the socket's other end. What it may is what the index says, never what was sent.
"""

import array
import contextlib
import ctypes
import fcntl
import gc
import grp
import importlib
import ipaddress
import json
import os
import re
import resource
import select
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time
import traceback
from typing import Any, NamedTuple, NoReturn, cast

import borg.archiver
import guard
import record
import wall
from borg.helpers import Error

# What borg and Python import only when they need it, and behind the wall could not any more.
for _late in (
    *("borg.algorithms.checksums", "encodings.ascii", "encodings.idna", "encodings.latin_1"),
    *("linecache", "msgpack.fallback", "shutil", "tempfile"),
):
    importlib.import_module(_late)

# Within the folder that logins are shut in (src/server/door.ts). No account reaches it from outside.
SOCKET = "/var/lib/borgserver/door/run/borgserver/sessions"
INDEX = "/var/lib/borgserver/index.sqlite"
CONNECTIONS = "/run/borgkeys"
SETTINGS = "/run/borgserver/settings.json"
REPOSITORIES = "/repos"

# The descriptor of the server's log in a child, until it serves.
LOG = 4
# In seconds: how long the session program may take to say what it wants. It has all of it in hand.
PATIENCE = 10
# An account's name has 255 bytes at most; the words come from the index, but for how much to log.
LARGEST_MESSAGE = 65536
# How many lines a minute the log gets about requests for other accounts' sessions, whoever makes them how often.
LINES_A_MINUTE = 10

_libc = ctypes.CDLL(None, use_errno=True)


class Refusal(Exception):
    """Why there is no session, as one sentence for the client."""


class Request(NamedTuple):
    """What the session program sends: texts with a zero byte between them, and its descriptors 0, 1 and 2."""

    account: str
    command: str
    # How much to log, e.g. "--info"; nothing else of what the client asked for.
    options: list[str]
    # "ADDRESS PORT ADDRESS PORT" (ssh(1), SSH_CONNECTION)
    connection: str
    descriptors: list[int]


class Account(NamedTuple):
    """What the index says about an account."""

    role: guard.Role
    uid: int
    extra_arguments: list[str]
    walled: bool
    deletions: guard.Deletions
    # The name of what it opens; of no meaning for an admin.
    repository: str
    quota: int | None
    archived: bool

    @property
    def served_as(self) -> guard.Role:
        """From an archived repository everybody but an admin reads alone."""
        return "restore" if self.archived and self.role != "admin" else self.role

    @property
    def directory(self) -> str:
        return REPOSITORIES if self.role == "admin" else f"{REPOSITORIES}/{self.repository}"

    @property
    def command(self) -> list[str]:
        """The words that a login forces (src/login/forced-command.ts)."""
        if self.role == "admin":
            restriction = ["--restrict-to-path", self.directory]
        else:
            restriction = ["--restrict-to-repository", self.directory]
            if self.served_as != "repo":
                restriction.append("--append-only")
        limit = [] if self.quota is None else ["--storage-quota", str(self.quota)]
        return ["borg", "serve", *restriction, *self.extra_arguments, *limit]


class Lines:
    """So many lines a minute, for all children: a pipe that holds a byte for each, which one child alone can take."""

    def __init__(self) -> None:
        self.left, self.new = os.pipe()
        os.set_blocking(self.left, False)
        self.renewed = float("-inf")

    def renew(self) -> None:
        """In the process that forks, before it does."""
        now = time.monotonic()
        if now - self.renewed < 60:
            return
        self.renewed = now
        with contextlib.suppress(BlockingIOError):
            os.read(self.left, LINES_A_MINUTE)
        os.write(self.new, bytes(LINES_A_MINUTE))

    def take(self) -> bool:
        try:
            return len(os.read(self.left, 1)) > 0
        except BlockingIOError:
            return False


class Resident:
    """The process that forks. It stays root, to become others, and keeps no other right of root's."""

    def __init__(self, uid: int, gid: int) -> None:
        self.uid, self.gid = uid, gid
        self.archiver = _prepared_archiver()
        self.title = Title()
        wall.prepare()
        self.memory = _memory() * 3 // 4
        self.lines = Lines()
        self.ended = self._start_recorder()
        self.listener = _listen()

    def _start_recorder(self) -> int:
        """Starts what writes down how sessions ended (record.py). @returns where it is told that one has"""
        look, ended = os.pipe()
        os.set_blocking(ended, False)
        self.recorder = os.fork()
        if self.recorder == 0:
            os.dup2(look, 3)
            os.closerange(4, 65536)
            self.title.set("borg: what sessions did", b"borg-recorder")
            _become(self)
            record.run(3)
        os.close(look)
        return ended

    def _reap(self, *_: object) -> None:
        """Waits for the children that have ended. Not left to the kernel (SIG_IGN), which would forget what they used."""
        with contextlib.suppress(ChildProcessError):  # there is none left
            while ended := os.waitpid(-1, os.WNOHANG)[0]:
                if ended == self.recorder:
                    os.close(self.ended)
                    self.ended = self._start_recorder()
                # It has enough to look at, or has just ended: then the next one looks at all.
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    os.write(self.ended, b".")

    def serve(self) -> NoReturn:
        signal.signal(signal.SIGCHLD, self._reap)
        gc.collect()
        gc.freeze()
        while True:
            try:
                asking, _ = self.listener.accept()
            except ConnectionError:
                continue
            self.lines.renew()
            try:
                child = os.fork()
            except OSError as error:
                _log(f"a session could not be started: {error.strerror}", 2)
                asking.close()
                continue
            if child == 0:
                self.listener.close()
                session(self, asking)
            asking.close()


def session(resident: Resident, asking: socket.socket) -> NoReturn:
    """A child's life. Answers the session program with a letter: R and why not, S when it serves, E and the exit code."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        asking.settimeout(PATIENCE)
        pid, uid, _ = struct.unpack("=iII", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        request = _receive(asking)
        account = _look_up(request.account)
        if account is None or account.uid != uid:
            # The name is one of the index, so it can be printed.
            if account is not None and resident.lines.take():
                _log(
                    f"a process of id {uid} asked for a session of {request.account}, which is not its account: refused"
                )
            raise Refusal("this account is not served any more.")
        if request.options[:1] == ["status"]:
            _tell_status(asking, request)
        if request.command.split() != account.command:
            raise Refusal("what this account may do has just been changed: try again.")
        asking = _take_over(asking, request.descriptors)
        resident.title.set(f"borg: {request.account} [{pid}]")
        login = _login(pid, request)
        _give_up_rights(resident)
        directory = account.directory
        _enter(directory)
        _keep_records(directory, account.repository, account.role)
        _begin_record(request.account, account.role, login)
        if account.walled:
            rights: wall.Rights = "read" if account.served_as == "restore" else "write"
            wall.close_in([(rights, directory)])
            if account.role == "admin":
                guard.before_open = _close_in_once_more
        guard.serve_as(account.served_as, account.deletions, account.archived, account.quota is not None)
        os.close(LOG)
        _answer(asking, b"S")
        code = _serve(resident, [*account.command, *request.options])
        record.end(code & 255)
        _answer(asking, b"E" + bytes([code & 255]))
    except Refusal as refusal:
        _answer(asking, b"R" + str(refusal).encode())
    except BaseException as error:  # nothing of a session may go on in the resident's loop
        _log(f"a session could not be served: {error!r}")
        _answer(asking, b"Rthe session could not be started; the server's log says why.")
    os._exit(code & 255)


def _tell_status(asking: socket.socket, request: Request) -> NoReturn:
    """Shows a client what is known of its repository. Of what it sent, nothing reaches the command but the account's name."""
    json = ["--json"] if "--json" in request.options else []
    shown = subprocess.run(
        ["/usr/local/bin/borgserver", "own-status", request.account, *json],
        stdin=subprocess.DEVNULL,
        stdout=request.descriptors[1],
        stderr=request.descriptors[2],
        timeout=PATIENCE,
        check=False,
    )
    _answer(asking, b"S")
    _answer(asking, b"E" + bytes([shown.returncode & 255]))
    os._exit(0)


def _log(line: str, descriptor: int | None = None) -> None:
    """Writes a line into the server's log, which a session has aside of its client's stderr."""
    with contextlib.suppress(OSError):
        os.write(descriptor or (LOG if _kept else 2), f"borgserver: {line}\n".encode("utf-8", "backslashreplace"))


def _answer(asking: socket.socket, answer: bytes) -> None:
    with contextlib.suppress(OSError):  # whoever asked has ended
        os.write(asking.fileno(), answer)  # behind the wall there is no send(2)


def _receive(asking: socket.socket) -> Request:
    message, ancillary, flags, _ = asking.recvmsg(LARGEST_MESSAGE, socket.CMSG_SPACE(3 * 4))
    received = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received.frombytes(data[: len(data) - len(data) % received.itemsize])
    texts = message.decode("utf-8", "replace").split("\0")
    if texts == ["?"]:
        asking.send(b"S")  # the health check asks whether anybody answers
        os._exit(0)
    if len(texts) != 4 or len(received) != 3 or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        raise Refusal("the session program asked for something that this server does not know.")
    account, command, options, connection = texts
    return Request(account, command, options.split(), connection, list(received))


def _look_up(name: str) -> Account | None:
    index = sqlite3.connect(f"file:{INDEX}?mode=ro", uri=True, timeout=5)
    try:
        row = index.execute(
            "SELECT a.role, a.uid, r.arguments, r.walled, coalesce(a.deletions, r.deletions),"
            " coalesce(a.repository, a.name), a.quota, coalesce(a.archived, 0)"
            " FROM account AS a JOIN role AS r ON r.name = a.role WHERE a.name = ?",
            [name],
        ).fetchone()
    finally:
        index.close()
    if row is None:
        return None
    role, uid, arguments, walled, deletions, repository, quota, archived = row
    return Account(role, uid, json.loads(arguments), bool(walled), deletions, repository, quota, bool(archived))


def _take_over(asking: socket.socket, descriptors: list[int]) -> socket.socket:
    """
    Leaves this process the client's 0, 1 and 2, as 3 the session program, with which it ends, and as 4 the server's log.
    @returns the session program
    """
    high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (*descriptors, asking.detach(), 2)]
    for number, each in enumerate(high):
        os.dup2(each, number, inheritable=False)
    os.closerange(LOG + 1, 65536)
    # New objects: Python remembers of the old ones whether they can seek.
    names = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
    _kept.extend(getattr(sys, name) for name, _ in names)
    for number, (name, mode) in enumerate(names):
        setattr(sys, name, open(number, mode, 1 if number == 2 else -1, errors="backslashreplace", closefd=False))  # noqa: SIM115 - for good
        # borg puts others in their place, and one that is dropped would close its descriptor, or its buffer.
        _kept.append(getattr(sys, name))
    # fcntl(2), F_SETSIG: the kernel asks this process to end when the session program does.
    fcntl.fcntl(3, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(3, 10, signal.SIGTERM)
    fcntl.fcntl(3, fcntl.F_SETFL, fcntl.fcntl(3, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(3, 0)
    if poll.poll(0):  # POLLHUP: it has ended before
        os._exit(1)
    return socket.socket(fileno=3)


_kept: list[Any] = []


def _give_up_rights(resident: Resident) -> None:
    # Before the id: this process may not be looked into afterwards (PR_SET_DUMPABLE), and its files in /proc are root's.
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")  # where memory is short, a session goes before sshd and the process that serves all others
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold what a client sent
    # A session that needs more than three quarters of all there is ends itself, with a message, and nobody else.
    resource.setrlimit(resource.RLIMIT_DATA, (resident.memory, resident.memory))
    _become(resident)


def _become(resident: Resident) -> None:
    os.setgroups([])
    os.setresgid(resident.gid, resident.gid, resident.gid)
    os.setresuid(resident.uid, resident.uid, resident.uid)


def _login(pid: int, request: Request) -> record.Login:
    """Who logged in, by what sshd's program recorded of the connection that a session belongs to (connection-record.ts)."""
    address = request.connection.split(" ")[0]
    if not _is_address(address):
        address = ""  # what sshd did not say is not printed
    try:
        connection, _ = _parent(_parent(pid)[0])
        with open(f"{CONNECTIONS}/{connection}") as file:
            started, account, fingerprint, _ = file.read().split("\n")
        if account == request.account and started == _parent(connection)[1]:
            return record.Login(address, fingerprint)
    except (OSError, ValueError):
        pass  # an unknown key; that keeps nobody from a backup
    return record.Login(address, "")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # Behind a % there may be the name of an interface, and Python takes anything for that.
    return text.isascii() and text.isprintable() and len(text) <= 64


def _parent(pid: int) -> tuple[int, str]:
    """A process's parent, and when it started, in clock ticks since boot."""
    fields = record.stat_of(pid)
    return int(fields[1]), fields[19]


def _begin_record(account: str, role: str, login: record.Login) -> None:
    try:
        record.begin(account, role, login)
    except OSError as error:
        _log(f"what the session of {account} does cannot be recorded: {error}")


def _enter(directory: str) -> None:
    try:
        os.chdir(directory)
    except FileNotFoundError:
        raise Refusal(
            f"{directory} does not exist yet; the server's operator makes it with update-borgusers."
        ) from None
    except OSError:
        raise Refusal(
            f"{directory} cannot be entered; the server's operator has to look at its owner and mode."
        ) from None
    os.environ["HOME"] = directory


def _keep_records(directory: str, name: str, role: guard.Role) -> None:
    """Records what no session can reach. Nothing of it may keep a client from its backup."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if role == "admin" or not os.path.isfile(f"{directory}/config"):
            return
        # That there is a repository here (src/repositories/known-repositories.ts).
        known = f"{record.RECORDS}/repositories/{name}"
        if not os.path.exists(known):
            os.makedirs(os.path.dirname(known), exist_ok=True)
            os.close(os.open(known, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        # What it lists, before somebody can write a list of fewer archives (src/repositories/manifests.ts), if there was
        # a commit since the last time.
        if role == "appendonly":
            last = f"{record.RECORDS}/manifests/{name}/last"
            index = next((each.path for each in os.scandir(directory) if each.name.startswith("index.")), None)
            if index is None or (os.path.exists(last) and os.stat(last).st_mtime_ns == os.stat(index).st_mtime_ns):
                return
            kept = subprocess.run(
                ["/usr/local/bin/borgserver", "keep-manifest", name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=10,
                check=False,
            )
            if kept.returncode == 0:
                at = os.stat(index)
                with open(last, "a"):
                    os.utime(last, ns=(at.st_atime_ns, at.st_mtime_ns))


def _serve(resident: Resident, words: list[str]) -> int:
    sys.argv = words
    gc.enable()
    # One that has its parser already; borg would build another in each session.
    borg.archiver.Archiver = lambda *_, **__: resident.archiver
    try:
        borg.archiver.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:
        traceback.print_exc()
        return 2
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    return 0


def _close_in_once_more(path: str, create: bool) -> None:
    """An admin's session may reach every repository until it opens one, and from then on that one."""
    if create and os.path.dirname(path) == REPOSITORIES:
        # What does not exist cannot be closed in to, and borg begins in an empty directory as well as in none.
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
    elif create and path.startswith(f"{REPOSITORIES}/") and not os.path.exists(path):
        raise Error(f"repositories lie side by side, as {REPOSITORIES}/NAME: {path} cannot be made.")
    wall.close_in([("write", path)], narrow=False)


def _prepared_archiver() -> Any:
    archiver = borg.archiver.Archiver()
    parser = archiver.build_parser()
    archiver.build_parser = lambda *_, **__: parser
    return archiver


class Title:
    """The words that ps(1) shows for a process: the memory that held its arguments and, behind them, its environment."""

    def __init__(self) -> None:
        # arg_start, arg_end, env_start and env_end are the fields 48 to 51, and the first here is the third.
        self.begin, self.arguments_end, _, self.end = (int(each) for each in record.stat_of("self")[45:49])

    def set(self, title: str, name: bytes = b"borg") -> None:
        wall.prctl(15, name, 0, 0, 0)  # PR_SET_NAME
        length = self.end - self.begin
        if length <= 0:
            return
        # The kernel reads on behind the arguments' end where that is no zero byte (get_mm_cmdline in fs/proc/base.c).
        text = title.encode()[: length - 1]
        room = self.arguments_end - self.begin
        if len(text) < room:
            text = text.ljust(room, b"\0")
        ctypes.memset(self.begin, 0, length)
        ctypes.memmove(self.begin, text, len(text))


def _listen() -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    new = f"{SOCKET}.new"
    with contextlib.suppress(FileNotFoundError):
        os.remove(new)
    try:
        listener.bind(new)
    except OSError:  # on a full disk there is the room of the one that is replaced
        os.remove(SOCKET)
        new = SOCKET
        listener.bind(new)
    os.chmod(new, 0o666)  # who may ask is decided by who asks
    listener.listen(4096)
    os.rename(new, SOCKET)
    return listener


def _memory() -> int:
    """In bytes, how much memory this container may use."""
    with open("/proc/meminfo") as file:
        total = int(cast(re.Match[str], re.search(r"^MemTotal: *(\d+) kB", file.read(), re.M))[1]) * 1024
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path) as file:
                return min(total, int(file.read()))
        except (OSError, ValueError):
            continue
    return total


def _drop_rights() -> None:
    """Leaves this process, and what it forks, CAP_SETGID and CAP_SETUID of all capabilities (capabilities(7))."""
    for capability in range(64):
        if capability not in (6, 7):
            wall.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP, for which a container may lack the right
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    kept = 1 << 6 | 1 << 7
    if _libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def main() -> NoReturn:
    with open(SETTINGS) as file:
        settings = json.load(file)
    wall.prctl(15, b"borg-resident", 0, 0, 0)  # PR_SET_NAME
    wall.prctl(1, int(signal.SIGTERM), 0, 0, 0)  # PR_SET_PDEATHSIG: with the entrypoint
    os.umask(0o077)  # of the records too; borg serve sets its own
    os.chdir("/")
    # A session proves nothing any more, but here it imports what borg imports late.
    guard.prove()
    record.install()
    os.setgroups([grp.getgrnam("borgkeys").gr_gid])  # what the login program writes of a connection it may read
    resident = Resident(settings["uid"], settings["gid"])
    _drop_rights()
    resident.serve()
