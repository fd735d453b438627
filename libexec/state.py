"""
Reads what a repository's own files say of it, without its passphrase or its lock. Clients decide what is in there, so
nothing of it is trusted: the process that reads is the owner of the repositories and nobody else, closed in to reading
(wall.py), and bounded in time and memory: it opens regular files and folders alone, and reads no more of them than borg
would have written. Where one repository ends it all the same, as on storage that hangs, the caller
(src/ledger/reader.ts) starts another behind that one.

    read-state    a line of JSON about each repository that a line of standard input names
"""

import contextlib
import errno
import json
import os
import re
import resource
import signal
import stat
import struct
import sys
from collections.abc import Iterator
from typing import IO, Any

# borg's own wrapper of it lifts its limits on what may be allocated.
import msgpack
import wall

REPOSITORIES = "/repos"
SETTINGS = "/run/borgserver/settings.json"

# Each repository has so many seconds, then the process ends; and so much memory, in bytes.
PATIENCE = 30
MEMORY = 512 * 1024 * 1024

# borg has a dozen names in a repository, a thousand segments in a folder of `data`, and a lock of one name.
MOST_NAMES = 20_000
# borg makes them of 500 MB, and long ago of 5 MB.
MOST_SEGMENTS = 10_000_000
LARGEST_ROSTER = 64 * 1024
# How often what changes while it is read is read.
TRIES = 5

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class Unreadable(Exception):
    """Why a repository's files say nothing, as part of a sentence."""


class Moved(Unreadable):
    """Somebody committed while this was read, or, on network storage, these names and files are not of the same moment."""


@contextlib.contextmanager
def _folder(name: str, at: int | None = None, shown_as: str = "") -> Iterator[int]:
    try:
        folder = os.open(name, _FOLDER, dir_fd=at)
    except NotADirectoryError:  # nor is a link to one
        raise Unreadable(f"{shown_as or name} is not a directory") from None
    try:
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def _file(name: str, at: int) -> Iterator[tuple[IO[bytes], os.stat_result]]:
    try:
        descriptor = os.open(name, _FILE, dir_fd=at)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise
        raise Unreadable(f"{name} is not a regular file") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable(f"{name} is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            yield file, found
    finally:
        os.close(descriptor)


def _names(folder: int) -> list[str]:
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) > MOST_NAMES:
                raise Unreadable("there are more files in it than borg makes")
    return names


def _numbers(names: list[str], prefix: str = "") -> list[int]:
    """What stands behind this in names that are otherwise digits, the highest first."""
    found = (re.fullmatch(rf"{re.escape(prefix)}([0-9]{{1,18}})", name) for name in names)
    return sorted((int(each[1]) for each in found if each), reverse=True)


def _committed(at: int, names: list[str]) -> int | None:
    """The number of the last commit: the highest index but for empty files, which a crash may have left."""
    for number in _numbers(names, "index."):
        found = os.stat(f"index.{number}", dir_fd=at, follow_symlinks=False)
        if found.st_size > 0 or not stat.S_ISREG(found.st_mode):
            return number
    return None


def _index(at: int, number: int) -> dict[str, int]:
    """The number of objects, from the header of borg's hash index (HashHeader in _hashindex.c), and when it was written."""
    header = struct.Struct("<8siibb")
    with _file(f"index.{number}", at) as (file, found):
        content = file.read(header.size)
    if len(content) < header.size:
        raise Unreadable("its index is cut off")
    magic, objects, buckets, key, value = header.unpack(content)
    size = header.size + buckets * (key + value)
    if magic != b"BORG_IDX" or not 0 <= objects <= buckets or key != 32 or size != found.st_size:
        raise Unreadable("its index is not one of borg's")
    return {"objects": objects, "last_commit": found.st_mtime_ns}


def _hints(at: int, number: int) -> dict[str, int | None]:
    """
    The size, and what a compaction would free (Repository.write_index in borg's repository.py). Read one by one: only
    their numbers are ever held. What borg writes behind them, a few bytes for each object that was deleted, is not read.
    """
    known: dict[str, int | None] = {"size": None, "reclaimable": None}
    with _file(f"hints.{number}", at) as (file, _):
        # The largest of what is asked for is a name. It limits what is allocated for one value too.
        unpacker = msgpack.Unpacker(file, raw=True, max_buffer_size=4096)
        try:
            for _ in range(unpacker.read_map_header()):
                name = unpacker.unpack()
                if name == b"version":
                    if unpacker.unpack() != 2:  # of a Borg before 1.1, until the next commit
                        break
                elif name == b"segments":
                    _sum_of_map(unpacker)
                elif name == b"compact":
                    known["reclaimable"] = _sum_of_map(unpacker)
                elif name == b"storage_quota_use":
                    known["size"] = _number(unpacker.unpack())
                elif isinstance(name, bytes):
                    break
                else:
                    raise ValueError(name)
        except (ValueError, msgpack.UnpackException) as error:
            raise Unreadable("its hints are not borg's") from error
    return known


def _sum_of_map(unpacker: Any) -> int:
    """The sum of the values of a map from segments to sizes or counts."""
    count = unpacker.read_map_header()
    if count > MOST_SEGMENTS:
        raise ValueError(count)
    total = 0
    for _ in range(count):
        _number(unpacker.unpack())
        total += _number(unpacker.unpack())
    return _number(total)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError(value)
    return value


def _is_unfinished(at: int, committed: int | None) -> bool:
    """Whether there are segments behind the last commit, which a session that broke off leaves (data/FOLDER/SEGMENT)."""
    with contextlib.suppress(FileNotFoundError), _folder("data", at) as data:
        for last in _numbers(_names(data))[:1]:
            with _folder(str(last), data, f"data/{last}") as segments:
                return any(each > (-1 if committed is None else committed) for each in _numbers(_names(segments)))
    return False


def _lock(at: int, names: list[str]) -> dict[str, Any] | None:
    if "lock.exclusive" in names:
        with contextlib.suppress(FileNotFoundError), _folder("lock.exclusive", at) as folder:
            # HOST.PID-THREAD (ExclusiveLock in borg's locking.py)
            holders = [re.fullmatch(r"(.{1,300})\.([0-9]{1,10})-[0-9a-f]+", name) for name in _names(folder)]
            host, pid = next(((found[1], int(found[2])) for found in holders if found), ("", 0))
            return {"kind": "exclusive", "host": host, "pid": pid, "since": os.fstat(folder).st_mtime_ns}
    if "lock.roster" in names:
        with contextlib.suppress(FileNotFoundError), _file("lock.roster", at) as (file, found):
            holder = _sharing(file.read(LARGEST_ROSTER))
            return holder and {"kind": "shared", **holder, "since": found.st_mtime_ns}
    return None


def _sharing(roster: bytes) -> dict[str, Any] | None:
    """Who is named first in a roster of locks (LockRoster in borg's locking.py); None where nobody is, or it is none."""
    try:
        # Decoded here: json would guess an encoding, and behind the wall it cannot import what it guessed.
        (host, pid, _), *_others = json.loads(roster.decode())["shared"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(host, str) or type(pid) is not int or not 0 <= pid < 1 << 32:
        return None
    return {"host": host[:300], "pid": pid}


def read(at: int, known: int | None) -> dict[str, Any]:
    """@param known the number of the commit that was last read: of the same one only the lock is looked at"""
    names = _names(at)
    if "config" not in names:
        if names:
            raise Unreadable("it is not a repository")
        return {"commit": None, "lock": None, "unfinished": False}
    committed = _committed(at, names)
    lock = _lock(at, names)
    unfinished = not (lock and lock["kind"] == "exclusive") and _is_unfinished(at, committed)
    state = {"commit": committed, "lock": lock, "unfinished": unfinished}
    if committed is None:
        return state
    if committed == known:
        return {**state, "unchanged": True}
    try:
        return {**state, **_index(at, committed), **_hints(at, committed)}
    finally:
        if _committed(at, _names(at)) != committed:
            raise Moved("it changed while it was read")


def _read_until_it_rests(at: int, known: int | None) -> dict[str, Any]:
    why = Unreadable()
    for _ in range(TRIES):
        try:
            return read(at, known)
        except Moved as moved:
            why = moved
        except FileNotFoundError as error:  # a commit takes the files of the one before it away
            why = Moved(f"{error.filename} is missing")
        except OSError as error:
            if error.errno != errno.ESTALE:  # as above, on NFS
                raise
            why = Moved("it changed while it was read")
    raise why


def state_of(name: str, known: int | None) -> dict[str, Any]:
    nothing = {"commit": None, "lock": None, "unfinished": False}
    passing = False
    try:
        if name in ("", ".", "..") or re.search(r"[/\0\ud800-\udc7f\udd00-\udfff]", name):
            raise Unreadable("this is not the name of a repository")
        with _folder(f"{REPOSITORIES}/{name}", shown_as="it") as at:
            return {"repository": name, **_read_until_it_rests(at, known), "problem": None}
    except Unreadable as error:
        problem = str(error)
        passing = isinstance(error, Moved)  # another look may find it at rest
    except FileNotFoundError:
        problem = "its directory is missing"
    except MemoryError:
        problem = "reading it took too much memory"
    except OSError as error:
        problem = f"it cannot be read ({': '.join(filter(None, (error.filename, error.strerror)))})"
    return {"repository": name, **nothing, "problem": problem, **({"passing": True} if passing else {})}


def main() -> None:
    with open(SETTINGS) as file:
        settings = json.load(file)
    wall.prctl(15, b"borg-reader", 0, 0, 0)  # PR_SET_NAME: sessions' processes are called borg
    wall.prepare()
    os.chdir("/")
    os.setgroups([])
    os.setresgid(settings["gid"], settings["gid"], settings["gid"])
    os.setresuid(settings["uid"], settings["uid"], settings["uid"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    if settings["walled"]:
        wall.close_in([("read", REPOSITORIES)])
    for line in sys.stdin:
        asked = json.loads(line)
        signal.alarm(PATIENCE)
        state = state_of(asked["repository"], asked["known"])
        signal.alarm(0)
        print(json.dumps(state), flush=True)
