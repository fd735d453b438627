"""
What each session did: a line of JSON in /repos/.borgserver/NODE/YEAR-MONTH.jsonl, where no session reaches (NODE is the
host name), and one in the server's log for people.

A session counts in a small file that it maps before it is closed in. So what it counted is there however it ends; the
recorder, a process beside it, makes the line when its process is gone, also where that was while no recorder ran.

    record.begin(…)     in a session's process, as the owner, before the wall
    record.install()    once in the process that forks: the repository and the server that count
    record.begin_command()   in an operator's command, before the wall
    record.run(pipe)    the recorder's life
"""

import contextlib
import fcntl
import functools
import json
import mmap
import os
import select
import sys
import time
from typing import Any, NamedTuple, NoReturn

import borg.archiver
import borg.remote
import guard
from borg.helpers import Manifest
from borg.repository import Repository

RECORDS = "/repos/.borgserver"
# In seconds: how soon an operator's command that has ended is seen.
OFTEN = 10

# A file has the counters, each of eight bytes in the machine's order, then the client's version, who it is of, and the
# repository that it opened.
_SIZE, _VERSION_AT, _IDENTITY_AT, _OPENED_AT = 4096, 256, 512, 2048
_NAMES = (
    *("gets", "bytes_out", "puts", "bytes_in", "manifests", "deletes", "deletes_before", "refused"),
    *("commits", "compactions", "since_commit", "creates", "checks", "repairs", "keys", "last", "ended", "code"),
    *("committed", "check_result", "lists", "destroys"),
    *("broken_locks", "gets_after_delete", "exclusive", "transaction", "deletes_refused"),
)
_GETS, _BYTES_OUT, _PUTS, _BYTES_IN, _MANIFESTS, _DELETES, _DELETES_BEFORE, _REFUSED = range(8)
_COMMITS, _COMPACTIONS, _SINCE_COMMIT, _CREATES, _CHECKS, _REPAIRS, _KEYS, _LAST, _ENDED, _CODE = range(8, 18)
_COMMITTED, _CHECK_RESULT, _LISTS, _DESTROYS = range(18, 22)
_BROKEN_LOCKS, _GETS_AFTER_DELETE, _EXCLUSIVE, _TRANSACTION, _DELETES_REFUSED = range(22, 27)

# What the last check of the whole repository found (_CHECK_RESULT; 0 where there was none).
_SOUND, _DAMAGED = 1, 2

# In a session that could not have a file, such as on a full disk, it is memory alone: that costs a line, not the session.
_file: mmap.mmap = mmap.mmap(-1, _SIZE)
_count: Any = memoryview(_file).cast("Q")


def folder() -> str:
    return f"{RECORDS}/{os.uname().nodename}"


# The role of an operator's command.
OPERATOR = "operator"


class Login(NamedTuple):
    """What sshd's side says of a session."""

    address: str
    fingerprint: str


def begin(account: str, role: str, login: Login) -> None:
    """Begins to count, in a file that is mapped and closed. Raises OSError where there can be no such file."""
    global _file, _count
    began = time.time_ns()
    identity = {
        **{"account": account, "role": role, "address": login.address},
        **{"key": login.fingerprint, "began": began, "process": _start_of(os.getpid())},
    }
    text = json.dumps(identity).encode()
    if len(text) >= _OPENED_AT - _IDENTITY_AT:
        raise OSError("the identity of a session is too long")
    os.makedirs(f"{folder()}/open", exist_ok=True)
    path = f"{folder()}/open/{began}-{os.getpid()}"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.posix_fallocate(file, 0, _SIZE)  # or a full disk would end the process when it counts (mmap(2), SIGBUS)
            os.pwrite(file, text, _IDENTITY_AT)
            # It takes a descriptor of its own, the lowest that is free, which a session is not to have.
            lowest = os.dup(file)
            os.close(lowest)
            _file = mmap.mmap(file, _SIZE)
            os.close(lowest)
        except OSError:
            os.remove(path)
            raise
    finally:
        os.close(file)
    _count = memoryview(_file).cast("Q")


def end(code: int) -> None:
    """Says with which exit code a session ended by itself."""
    _count[_CODE] = code
    _count[_ENDED] = time.time_ns()


def stat_of(pid: int | str) -> list[str]:
    """What proc_pid_stat(5) says of a process, from its state on, which is there the third field."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()  # a name may hold spaces and brackets


def _start_of(pid: int) -> str:
    """When a process started, in clock ticks since which boot: with its number it is one process and no other."""
    state, *fields = stat_of(pid)
    if state in "ZX":  # it has ended, and its parent has not looked yet
        raise ProcessLookupError(pid)
    with open("/proc/sys/kernel/random/boot_id") as boot:
        return f"{pid} {fields[18]} {boot.read().strip()}"


class RecordedServer(guard.GuardedServer):
    @guard.instead_of(borg.remote.RepositoryServer.negotiate)
    def negotiate(self, client_data: Any) -> Any:
        if isinstance(client_data, dict):
            version: Any = client_data.get(b"client_version", client_data.get("client_version", ()))
            text = ".".join(str(int(part)) for part in tuple(version)[:3]).encode()[:31]
            _file[_VERSION_AT : _VERSION_AT + len(text)] = text
        return super().negotiate(client_data)


class _Counting(Repository):  # type: ignore[misc]
    """A repository that counts what succeeded, and what was refused."""

    lock: Any

    @functools.cached_property
    def _committed_before(self) -> int:
        """The last segment that was committed before this session changed anything; -1 where there was none."""
        committed = self.get_index_transaction_id()
        return -1 if committed is None else committed

    @guard.instead_of(Repository.open)
    def open(self, *arguments: Any, **options: Any) -> None:
        super().open(*arguments, **options)
        path = os.fsencode(self.path)[: _SIZE - _OPENED_AT]
        _file[_OPENED_AT : _OPENED_AT + len(path)] = path
        if self.created:
            _count[_CREATES] += 1
        _count[_EXCLUSIVE] = self.lock is not None and self.lock.got_exclusive_lock()

    @guard.instead_of(Repository.list)
    def list(self, *arguments: Any, **options: Any) -> Any:
        ids = super().list(*arguments, **options)
        _count[_LISTS] += 1
        return ids

    def _before_delete(self) -> None:
        pass

    _has_deleted = False

    @guard.instead_of(Repository.get)
    def get(self, *arguments: Any, **options: Any) -> Any:
        data = super().get(*arguments, **options)
        _count[_GETS] += 1
        if self._has_deleted:
            self._has_deleted = False
            _count[_GETS_AFTER_DELETE] += 1
        _count[_BYTES_OUT] += len(data)
        _count[_LAST] = time.time_ns()
        return data

    @guard.instead_of(Repository.put)
    def put(self, id: bytes, data: bytes, wait: bool = True) -> None:
        self._committed_before  # noqa: B018 - seen before the first change
        with _or_refused():
            super().put(id, data)
        _count[_MANIFESTS if id == Manifest.MANIFEST_ID else _PUTS] += 1
        _count[_BYTES_IN] += len(data)
        _count[_SINCE_COMMIT] += 1
        _count[_LAST] = time.time_ns()

    @guard.instead_of(Repository.delete)
    def delete(self, id: bytes, wait: bool = True) -> None:
        with _or_refused_delete():
            self._before_delete()
            was_before = id in self and self.index[id][0] <= self._committed_before
            super().delete(id)
        self._has_deleted = True
        _count[_DELETES] += 1
        _count[_DELETES_BEFORE] += was_before
        _count[_SINCE_COMMIT] += 1
        _count[_LAST] = time.time_ns()

    @guard.instead_of(Repository.commit)
    def commit(self, **options: Any) -> None:
        with _or_refused():
            super().commit(**options)
        _count[_COMMITS] += 1
        _count[_COMPACTIONS] += bool(options.get("compact"))
        _count[_SINCE_COMMIT] = 0
        _count[_TRANSACTION] = self.get_index_transaction_id() or 0
        _count[_LAST] = _count[_COMMITTED] = time.time_ns()

    @guard.instead_of(Repository.check)
    def check(self, **options: Any) -> Any:
        with _or_refused():
            done = super().check(**options)
        _count[_REPAIRS if options.get("repair") else _CHECKS] += 1
        if options.get("repair"):  # it commits by itself
            _count[_TRANSACTION] = self.get_index_transaction_id() or 0
        if not options.get("max_duration"):  # else it looked at a part
            _count[_CHECK_RESULT] = _SOUND if done else _DAMAGED
        _count[_LAST] = time.time_ns()
        return done

    @guard.instead_of(Repository.destroy)
    def destroy(self) -> None:
        with _or_refused_delete():
            super().destroy()
        _count[_DESTROYS] += 1
        _count[_SINCE_COMMIT] = 0
        _count[_LAST] = time.time_ns()

    @guard.instead_of(Repository.break_lock)
    def break_lock(self) -> None:
        with _or_refused():
            super().break_lock()
        _count[_BROKEN_LOCKS] += 1
        _count[_LAST] = time.time_ns()

    @guard.instead_of(Repository.save_key)
    def save_key(self, keydata: bytes) -> None:
        with _or_refused():
            super().save_key(keydata)
        _count[_KEYS] += 1
        _count[_LAST] = time.time_ns()


class RecordedRepository(_Counting, guard.GuardedRepository):
    """What a client's calls reach."""

    def _before_delete(self) -> None:
        self._demand_lock()  # before the index is looked into


class _or_refused:  # noqa: N801 - reads as a statement
    """Counts an error of the calls in it. Not a generator, which would cost a put more than all else here."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            _count[_REFUSED] += 1


class _or_refused_delete(_or_refused):  # noqa: N801 - reads as a statement
    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        super().__exit__(kind, error, trace)
        if kind is not None:
            _count[_DELETES_REFUSED] += 1


def install() -> None:
    """Has this process count what it serves, behind the guard."""
    guard.install()
    borg.remote.Repository = RecordedRepository
    borg.archiver.RepositoryServer = RecordedServer


def begin_command() -> None:
    """Has an operator's command count, on the repository that it opens by its path."""
    begin("", OPERATOR, Login("", ""))
    borg.archiver.Repository = _Counting


# What is made of it.


def kind_of(counted: dict[str, int]) -> str:
    """
    What a session was, by its calls. A backup has put objects and taken none away that was there before it. rename puts
    one archive and takes one away; recreate, which does more of both, is "other". The calls of prune and of delete are
    the same: where one archive was taken away it is called delete, where several were, each read before it goes, prune.
    """
    if counted["checks"] or counted["repairs"] or (counted["lists"] and counted["exclusive"]):
        return "check"
    if counted["destroys"]:
        return "delete"
    if counted["deletes_before"]:
        if counted["puts"]:
            return "rename" if counted["puts"] == counted["deletes"] == counted["commits"] == 1 else "other"
        return "prune" if counted["gets_after_delete"] else "delete"
    if counted["puts"]:
        return "create"
    if counted["creates"]:
        return "init"
    if counted["compactions"]:
        return "compact"
    if counted["keys"]:
        return "key"
    if counted["broken_locks"]:
        return "break-lock"
    return "other" if counted["commits"] or counted["manifests"] else "read"


def line_of(content: bytes) -> dict[str, Any] | None:
    """What the file of a session says; None where it had not begun."""
    identity = content[_IDENTITY_AT:_OPENED_AT].rstrip(b"\0")
    if not identity:
        return None
    said = json.loads(identity)
    numbers = memoryview(content[: 8 * len(_NAMES)]).cast("Q")
    counted = dict(zip(_NAMES, numbers, strict=True))
    kind = kind_of(counted)
    return {
        **{name: said[name] for name in ("account", "role", "address", "key", "began")},
        # An admin's session is of the one that it opened; null where it opened none.
        "repository": os.fsdecode(content[_OPENED_AT:].rstrip(b"\0")) or None,
        "ended": counted["ended"] or counted["last"] or said["began"],
        "borg": content[_VERSION_AT:_IDENTITY_AT].rstrip(b"\0").decode("ascii", "replace"),
        "kind": kind,
        # Nothing was left without a commit, and where something had to be committed it was.
        "complete": counted["since_commit"] == 0 and (kind != "create" or counted["commits"] > 0),
        "committed": counted["committed"] or None,
        # The number of its last commit, by which the repository's files are named: whether another one came after it.
        "transaction": counted["transaction"] or None,
        # Whether a check of the whole repository found it sound; null where there was none.
        "check_ok": {_SOUND: True, _DAMAGED: False}.get(counted["check_result"]),
        "code": counted["code"] if counted["ended"] else None,
        **{name: counted[name] for name in _NAMES[:11] if name != "since_commit"},
        "deletes_refused": counted["deletes_refused"],
    }


def sentence_of(line: dict[str, Any]) -> str:
    """The line of a session for people: who, from where, what, how much, how it ended."""
    seconds = max(0, line["ended"] - line["began"]) / 1e9
    done = line["kind"] + ("" if line["complete"] else ", broken off")
    who = f"session of {line['account']} ({line['role']}) from {line['address'] or 'an unknown address'}"
    if line["role"] == OPERATOR:
        return f"an operator's command on {line['repository']}: {done}; {seconds:.0f} s"
    return (
        f"{who}: {done};"
        f" {_bytes(line['bytes_in'])} in, {_bytes(line['bytes_out'])} out, {line['puts']} objects put,"
        f" {line['deletes']} deleted{', ' + str(line['refused']) + ' refused' if line['refused'] else ''};"
        f" {seconds:.0f} s; borg {line['borg'] or 'unknown'}, {line['key'] or 'an unknown key'}"
    )


def _bytes(count: int) -> str:
    number, units = float(count), ["B", "kB", "MB", "GB", "TB", "PB"]
    while number >= 1000 and len(units) > 1:
        number /= 1000
        units.pop(0)
    return f"{number:.0f} {units[0]}" if units[0] == "B" else f"{number:.1f} {units[0]}"


_said = ""


def collect() -> list[int]:
    """Makes the lines of the sessions whose process is gone. @returns the numbers of those that run"""
    global _said
    running: list[int] = []
    at = folder()
    try:
        names = sorted(os.listdir(f"{at}/open"))
        _said = ""
    except FileNotFoundError:
        return running
    except OSError as error:  # network storage may be away; what lies there waits
        if str(error) != _said:
            print(f"borgserver: what sessions did cannot be read: {error}", file=sys.stderr, flush=True)
        _said = str(error)
        return running
    for name in names:
        path = f"{at}/open/{name}"
        try:
            with open(path, "rb") as file:
                content = file.read(_SIZE)
            identity = content[_IDENTITY_AT:_OPENED_AT].rstrip(b"\0")
            process = json.loads(identity)["process"] if identity else name.rpartition("-")[2]
            if _runs(process):
                running.append(int(process.split(" ")[0]))
                continue
            line = line_of(content.ljust(_SIZE, b"\0"))
            # What an operator only read is nobody's news.
            if line is not None and (line["role"] != OPERATOR or line["kind"] != "read"):
                _append(at, {"id": name, **line})
            os.remove(path)
        except (OSError, ValueError, KeyError) as error:
            print(f"borgserver: the record {path} cannot be kept: {error}", file=sys.stderr, flush=True)
    return running


def _runs(process: str) -> bool:
    pid = int(process.split(" ")[0])
    try:
        return _start_of(pid) == process if " " in process else os.path.exists(f"/proc/{pid}")
    except OSError:
        return False


def _append(at: str, line: dict[str, Any]) -> None:
    month = time.strftime("%Y-%m", time.gmtime(line["began"] / 1e9))
    path = f"{at}/{month}.jsonl"
    # What a recorder that was ended in between has written already, and half a line that it left.
    with open(path, "a+b") as file:
        file.seek(max(0, file.tell() - 65536))
        before = file.read()
        if f'"id": "{line["id"]}"'.encode() not in before:
            half = b"\n" if before and not before.endswith(b"\n") else b""
            file.write(half + json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            print(f"borgserver: {sentence_of(line)}", file=sys.stderr, flush=True)


class _Claim:
    """
    The host name as this server's alone: a lock on a file beside its records, for as long as the recorder lives. By it
    the starts of other servers on the storage see that this one runs (src/repositories/nodes.ts). Two that begin together
    see nothing of each other then; the one that does not get the lock says so.
    """

    # A recorder that is about to end may hold it still, in seconds.
    PATIENCE = 15

    def __init__(self) -> None:
        self.holds = False
        self.said = False
        self.began = time.monotonic()

    def take(self) -> None:
        if self.holds:
            return
        try:
            os.makedirs(folder(), exist_ok=True)
            # On NFS it has to be open for writing (flock(2)).
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.open(f"{folder()}/serving", flags, 0o600)
        except OSError:  # as on a full disk; the next try may succeed
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.holds = True
            if self.said:
                self._say("no other server has this server's host name any more")
        except BlockingIOError:
            os.close(file)
            if not self.said and time.monotonic() - self.began > self.PATIENCE:
                self.said = True
                self._say(
                    f"WARNING: another server on this storage is called {os.uname().nodename} too, so one may take the"
                    " other's locks and records for its own\n  Stop one, and give it another host name."
                )
        except OSError:  # the storage has no locks
            os.close(file)

    def _say(self, line: str) -> None:
        print(f"borgserver: {line}", file=sys.stderr, flush=True)


def run(ended: int) -> NoReturn:
    """
    The recorder: looks when the process that serves sessions writes into this pipe that one has ended, when one ends that
    was there before it, and now and then for operators' commands. Ends with that process.
    """
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    claim = _Claim()
    for pid in collect():
        with contextlib.suppress(OSError):  # it has ended meanwhile, and the first look finds it
            poll.register(os.pidfd_open(pid), select.POLLIN)
    while True:
        claim.take()
        collect()
        for descriptor, _ in poll.poll(OFTEN * 1000):
            if descriptor != ended:
                poll.unregister(descriptor)
                os.close(descriptor)
            elif not os.read(ended, 65536):
                collect()
                os._exit(0)
