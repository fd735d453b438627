"""
What a client's borg serve refuses beyond what borg itself does. In every role a session opens one repository, once,
and writes only while it holds the exclusive lock; an append-only one takes nothing away that was backed up; a
restoring one reads, without a lock.

A refusal is borg's Error with one argument, which clients show as one line: 1.2 and later by its name, 1.1 by its text
(handle_error and RPCError in borg's remote.py).

    guard.install()                 once in a process, before it serves
    guard.prove()                   whether it holds with this borg; imports what borg imports late, too
    guard.serve_as("appendonly")    before the first byte of a client
"""

import argparse
import functools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, cast

import borg.archiver
import borg.remote
from borg.constants import DEFAULT_SEGMENTS_PER_DIR, MAX_SEGMENT_SIZE_LIMIT
from borg.crypto.file_integrity import FileIntegrityError, IntegrityCheckedFile
from borg.hashindex import NSIndex
from borg.helpers import Error, IntegrityError, Manifest, msgpack
from borg.locking import Lock, LockError, LockErrorT
from borg.logger import setup_logging
from borg.remote import RepositoryServer
from borg.repository import LoggedIO, Repository

Role = Literal["repo", "appendonly", "restore", "admin"]
Deletions = Literal["refused", "kept"]

_keeps = False
_only_reads = False
_is_archived = False
_has_own_quota = False


def _nothing(path: str, create: bool) -> None:
    pass


# Called with the path that a session opens, and whether it is to be made, before a byte of it is read.
before_open: Callable[[str, bool], None] = _nothing


def serve_as(role: Role, deletions: Deletions = "refused", archived: bool = False, has_own_quota: bool = False) -> None:
    """
    Says what this process serves a client as. `deletions` is for append-only: "kept" leaves them to borg's own
    --append-only, which writes them down, and whoever compacts later makes them final. `archived` is why it only reads.
    With `has_own_quota`, a quota comes with every session of the account, and none is written into a new repository.
    """
    global _keeps, _only_reads, _is_archived, _has_own_quota
    _has_own_quota = has_own_quota
    _is_archived = archived
    _keeps = role == "appendonly" and deletions == "refused"
    _only_reads = role == "restore"


def install() -> None:
    """Has this process serve by these rules. What borg does here as a client, or to a path, stays as it is."""
    borg.remote.Repository = GuardedRepository
    borg.archiver.RepositoryServer = GuardedServer


_Method = TypeVar("_Method", bound=Callable[..., Any])


def instead_of(borgs: Any) -> Callable[[_Method], _Method]:
    """Gives a method the signature of borg's, by which it filters what a client passes (filter_args in remote.py)."""

    def signed(method: _Method) -> _Method:
        return cast(_Method, functools.wraps(borgs)(method))

    return signed


class GuardedServer(RepositoryServer):  # type: ignore[misc]
    """What a client's calls reach first; those that it does not have itself are the repository's."""

    # Those that are known here: what a later borg adds might write.
    rpc_methods = (
        *("negotiate", "open", "rollback", "inject_exception"),
        *("get", "list", "scan", "__len__", "load_key"),
        *("put", "delete", "commit", "check", "save_key", "get_free_nonce", "commit_nonce_reservation"),
        *("destroy", "break_lock"),
    )
    has_opened = False

    @instead_of(RepositoryServer.open)
    def open(self, path: str, **options: Any) -> Any:
        # Another would drop the lock of the first, and with it what is known of who put what.
        if self.has_opened:
            raise Error("a session opens one repository, once.")
        self.has_opened = True
        # Without the exclusive lock nothing is made.
        creates = options.get("create") and options.get("exclusive") and options.get("lock", True)
        before_open(os.path.realpath(self._resolve_path(path)), bool(creates))
        return super().open(path, **options)


class NoLock:
    """Stands for the lock where a session has none, so that borg's own questions for it get an answer."""

    is_exclusive = False

    def got_exclusive_lock(self) -> bool:
        return False

    def upgrade(self) -> None:
        """Reading, borg asks for it where the index has to be written anew (replay_segments in its repository.py)."""
        raise _unsettled()

    def release(self) -> None:
        pass


def _unsettled() -> Error:
    return Error("the repository is being changed, or was left in the middle of a change: try again.")


def _settled(read: Callable[..., Any]) -> Any:
    """Of a method that reads: without a lock, says so where another session compacted or committed meanwhile."""

    @functools.wraps(read)
    def reading(repository: "GuardedRepository", *arguments: Any, **options: Any) -> Any:
        try:
            return read(repository, *arguments, **options)
        except (OSError, IntegrityError) as error:
            if not isinstance(repository.lock, NoLock) or repository.is_settled():
                raise
            repository.rollback()
            raise _unsettled() from error

    return reading


class GuardedRepository(Repository):  # type: ignore[misc]
    """The repository that a client's calls reach."""

    lock: Any
    storage_quota: int | None
    # The transaction that the index in memory is of.
    _read: int | None = None
    # Ids of objects that were not there before: the last one that was put, the last before the manifest, and the last
    # before the manifest of the last commit.
    _put: bytes | None = None
    _listed: bytes | None = None
    _checkpoint: bytes | None = None

    @instead_of(Repository.__init__)
    def __init__(
        self, path: str, create: bool = False, exclusive: Any = False, lock: bool = True, **options: Any
    ) -> None:
        super().__init__(path, create=create, exclusive=exclusive, lock=lock and not _only_reads, **options)
        if (exclusive or create) if _only_reads else (create and not (lock and exclusive)):
            raise self._refusal()

    @instead_of(Repository.create)
    def create(self, path: str) -> None:
        if _keeps and self._broke_off(path):
            # An init that is running holds it.
            Lock(os.path.join(path, "lock"), exclusive=True, timeout=1).acquire()
            super().destroy()
        quota = self.storage_quota
        if _has_own_quota:
            self.storage_quota = None  # in the config it would bind everybody, and go on when the account's is raised
        super().create(path)
        self.storage_quota = quota

    def _broke_off(self, path: str) -> bool:
        """Whether an init ended before its commit. To borg what it left is a repository, to be deleted first."""
        names = os.listdir(path) if self.is_repository(path) else []
        if "config" not in names or any(name.startswith("index.") for name in names):
            return False
        segments = LoggedIO(path, MAX_SEGMENT_SIZE_LIMIT, DEFAULT_SEGMENTS_PER_DIR)
        return segments.get_latest_segment() in (None, 0) and segments.get_segments_transaction_id() is None

    @instead_of(Repository.open)
    def open(self, *arguments: Any, **options: Any) -> None:
        super().open(*arguments, **options)
        if self.lock is None:
            self.lock = NoLock()
            self.do_lock = True

    def _refusal(self) -> Error:
        if _only_reads and _is_archived:
            return Error("this repository is archived: it can be listed and extracted, and nothing in it changes.")
        if _only_reads:
            return Error("this account is for restoring: it can list and extract, and change nothing.")
        return Error("this session does not hold the repository's exclusive lock, without which nothing is written.")

    def _demand_lock(self) -> None:
        """Asks each time: somebody may have broken the lock."""
        if self.lock is None or not self.lock.got_exclusive_lock():
            raise self._refusal()

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """
        With the exclusive lock, and the config as it is then. Clients change and import a key under a shared lock, or
        none (do_change_passphrase and do_key_import in borg's archiver.py).
        """
        if self.lock is None or _only_reads:
            raise self._refusal()
        if self.lock.got_exclusive_lock():
            yield
            return
        if isinstance(self.lock, NoLock):
            lock = Lock(os.path.join(self.path, "lock"), exclusive=True, timeout=self.lock_wait)
            take, leave = lock.acquire, lock.release
        else:
            take, leave = self.lock.upgrade, self.lock.downgrade
        take()
        try:
            self.config = ConfigParser(interpolation=None)
            with open(os.path.join(self.path, "config")) as file:
                self.config.read_file(file)
            yield
        finally:
            leave()
            self.rollback()  # drops the index, too: another session may have come between

    # What reads.

    get = _settled(Repository.get)
    list = _settled(Repository.list)
    scan = _settled(Repository.scan)
    __len__ = _settled(Repository.__len__)

    def is_settled(self) -> bool:
        """Whether no other session writes, and none has since the index was read."""
        return self.get_index_transaction_id() == self._read and not os.path.exists(
            os.path.join(self.path, "lock.exclusive")
        )

    @instead_of(Repository.open_index)
    def open_index(self, transaction_id: int | None, **options: Any) -> Any:
        self._read = transaction_id
        if transaction_id is None or not isinstance(self.lock, NoLock):
            return super().open_index(transaction_id, **options)
        # borg removes an index that it cannot read.
        path = os.path.join(self.path, f"index.{transaction_id}")
        integrity = self._read_integrity(transaction_id, b"index")
        try:
            with IntegrityCheckedFile(path, write=False, integrity_data=integrity) as file:
                return NSIndex.read(file)
        except (ValueError, OSError, FileIntegrityError) as error:
            raise _unsettled() from error

    # What writes.

    @instead_of(Repository.prepare_txn)
    def prepare_txn(self, *arguments: Any, **options: Any) -> None:
        try:
            super().prepare_txn(*arguments, **options)
        except BaseException:
            self.rollback()  # or the next call would take what was read by then for a whole index
            raise

    @instead_of(Repository.put)
    def put(self, id: bytes, data: bytes, wait: bool = True) -> None:
        self._demand_lock()
        if _keeps and id == Manifest.MANIFEST_ID:
            self._listed = self._put
        elif _keeps and id in self:
            return
        super().put(id, data)
        if id != Manifest.MANIFEST_ID:
            self._put = id

    @instead_of(Repository.delete)
    def delete(self, id: bytes, wait: bool = True) -> None:
        self._demand_lock()
        if _keeps and id in self and not self._is_own(id):
            raise Error("this account is append-only: it cannot delete what was backed up.")
        super().delete(id)

    def _is_own(self, id: bytes) -> bool:
        """
        Whether an object came after this session's last commit, or is the archive of just that commit: a client
        deletes that of a checkpoint when it goes on (write_checkpoint in borg's archive.py).
        """
        if id == Manifest.MANIFEST_ID:
            return False
        committed = self.get_index_transaction_id()
        segment, _ = self.index[id]
        return id == self._checkpoint or (self._active_txn and (committed is None or segment > committed))

    @instead_of(Repository.commit)
    def commit(self, **options: Any) -> None:
        self._demand_lock()
        if _keeps:
            # Clients before 1.2 know no other commit than one that compacts, and do not say so.
            if options.get("compact"):
                raise Error("this account is append-only: it cannot compact the repository.")
            options["compact"] = False
        if not self._active_txn:
            self.prepare_txn(self.get_transaction_id())
        listed = self._listed
        super().commit(**options)
        self._checkpoint = listed

    @instead_of(Repository.rollback)
    def rollback(self) -> None:
        super().rollback()
        self._put = self._listed = None

    @instead_of(Repository.check)
    def check(self, **options: Any) -> Any:
        self._demand_lock()
        if _keeps and options.get("repair"):
            raise Error("this account is append-only: it cannot repair the repository.")
        try:
            return super().check(**options)
        except BaseException:
            self.rollback()  # it makes a new index in memory, which must not be written half
            raise

    @instead_of(Repository.save_key)
    def save_key(self, keydata: bytes) -> None:
        with self._exclusively():
            if _keeps and self.load_key():
                raise Error("this account is append-only: it cannot change the repository's key.")
            super().save_key(keydata)

    @instead_of(Repository.get_free_nonce)
    def get_free_nonce(self) -> Any:
        self._demand_lock()
        return super().get_free_nonce()

    @instead_of(Repository.commit_nonce_reservation)
    def commit_nonce_reservation(self, next_unreserved: int, start_nonce: int | None) -> None:
        self._demand_lock()
        # Encrypting twice with one nonce gives both texts away.
        if _keeps and next_unreserved < (self.get_free_nonce() or 0):
            raise Error("this account is append-only: it cannot set the repository's nonce back.")
        super().commit_nonce_reservation(next_unreserved, start_nonce)

    @instead_of(Repository.destroy)
    def destroy(self) -> None:
        self._demand_lock()
        # An init that was cancelled takes its own beginning away.
        if _keeps and not (self.created and self.io.get_segments_transaction_id() is None):
            raise Error("this account is append-only: it cannot delete the repository.")
        super().destroy()

    @instead_of(Repository.break_lock)
    def break_lock(self) -> None:
        if _only_reads:
            raise self._refusal()
        if not _keeps:
            super().break_lock()
            return
        try:
            if not isinstance(self.lock, NoLock):
                raise LockError(self.path)  # it is this session's
            # Whoever takes a lock removes those of processes of this host that are gone.
            Lock(os.path.join(self.path, "lock"), exclusive=True, timeout=1).acquire().release()
        except (LockError, LockErrorT) as error:
            raise Error(
                "this account is append-only: it cannot break a lock that is in use, or another server's."
            ) from error


# The proof: what clients call, and what they must be told. Nothing but None or these bytes is a success.

_REFUSED = object()
_DONE = object()
_Step = tuple[str, dict[str, Any], object]


def prove() -> str:
    """
    Serves a throwaway repository in each role, as sessions do. Leaves the process serving as "repo".
    @returns what was answered otherwise than the guard would have it; empty where it holds
    """
    setup_logging(is_serve=True, level="critical")  # what is refused here is no news
    with tempfile.TemporaryDirectory(prefix="borgserver-guard-") as folder:
        try:
            for role, steps in _proof(os.path.join(folder, "repository")):
                serve_as(role)
                reason = _session(folder, role, steps)
                if reason:
                    return reason
            return ""
        except Exception as error:
            return f"it could not be tried out: {type(error).__name__}: {error}"
        finally:
            serve_as("repo")


def _proof(path: str) -> list[tuple[Role, list[_Step]]]:
    manifest, first, second = Manifest.MANIFEST_ID, b"1" * 32, b"2" * 32

    def open_(answer: object, **how: Any) -> _Step:
        return ("open", {"path": path, "lock_wait": 1, **how}, answer)

    def put(id: bytes, data: bytes, answer: object = None) -> _Step:
        return ("put", {"id": id, "data": data}, answer)

    get: _Step = ("get", {"id": first}, b"what was backed up")
    open_again = open_(_REFUSED, exclusive=True)
    writes: list[_Step] = [
        put(second, b"", _REFUSED),
        ("delete", {"id": first}, _REFUSED),
        ("commit", {}, _REFUSED),
        ("check", {"repair": True}, _REFUSED),
        ("commit_nonce_reservation", {"next_unreserved": 1, "start_nonce": None}, _REFUSED),
        ("destroy", {}, _REFUSED),
    ]
    return [
        ("repo", [open_(_REFUSED, create=True, exclusive=False)]),
        (
            "repo",
            [
                ("negotiate", {"client_data": {"client_version": borg.remote.BORG_VERSION}}, _DONE),
                open_(_DONE, create=True, exclusive=True),
                *(put(first, b"what was backed up"), put(manifest, b"1"), ("commit", {"compact": False}, None)),
                open_again,
            ],
        ),
        *(("repo", [open_(_DONE, **how), get, *writes, get]) for how in ({"lock": False}, {"exclusive": False})),
        (
            "appendonly",
            [
                open_(_DONE, exclusive=True),
                *(put(first, b"another"), put(second, b"2"), put(manifest, b"2"), ("commit", {}, None)),
                *(("delete", {"id": id}, answer) for id, answer in ((first, _REFUSED), (second, None))),
                ("delete", {"id": manifest}, _REFUSED),
                ("commit", {"compact": True}, _REFUSED),
                ("check", {"repair": True}, _REFUSED),
                *(("save_key", {"keydata": b"key"}, answer) for answer in (None, _REFUSED)),
                ("commit_nonce_reservation", {"next_unreserved": 2, "start_nonce": None}, None),
                ("commit_nonce_reservation", {"next_unreserved": 1, "start_nonce": 2}, _REFUSED),
                *(("destroy", {}, _REFUSED), ("break_lock", {}, _REFUSED), get),
            ],
        ),
        ("restore", [open_(_REFUSED, exclusive=True)]),
        ("restore", [open_(_DONE), get, *writes, ("save_key", {"keydata": b""}, _REFUSED), get]),
    ]


def _session(folder: str, role: Role, steps: list[_Step]) -> str:
    """Has borg serve answer calls from a file into another. @returns what it answered otherwise than it should"""
    asked = [{b"i": number, b"m": call, b"a": named} for number, (call, named, _) in enumerate(steps)]
    with open(os.path.join(folder, "calls"), "w+b") as calls, open(os.path.join(folder, "answers"), "w+b") as answers:
        calls.write(b"".join(msgpack.packb(call) for call in asked))
        calls.seek(0)
        own = sys.stdin, sys.stdout
        try:
            sys.stdin, sys.stdout = calls, answers
            borg.archiver.Archiver().do_serve(
                argparse.Namespace(
                    restrict_to_paths=[],
                    restrict_to_repositories=[folder + "/repository"],
                    append_only=False,
                    storage_quota=None,
                )
            )
        finally:
            sys.stdin, sys.stdout = own
        answers.seek(0)
        unpacker = msgpack.Unpacker(use_list=False)
        unpacker.feed(answers.read())
        told = [answer for answer in unpacker if isinstance(answer, dict)]
    for (call, _, expected), answer in zip(steps, told, strict=True):
        if expected is _REFUSED:
            if answer.get(b"exception_class") != b"Error":
                return f"in the role {role}, {call} was not refused"
        elif b"r" not in answer:
            return f"in the role {role}, {call} failed: {b' '.join(answer[b'exception_short']).decode().strip()}"
        elif expected not in (_DONE, answer[b"r"]):
            return f"in the role {role}, {call} gave something else"
    return ""
