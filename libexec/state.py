"""
Reads what a repository's own files say of it, without its passphrase or its lock. Clients decide what is in there, so
nothing of it is trusted: the process that reads is the owner of the repositories and nobody else, closed in to reading
(wall.py), and bounded in time and memory. Where one repository ends it, the caller (src/ledger/reader.ts) starts another
behind that one.

    read-state    a line of JSON about each repository that a line of standard input names
"""

import contextlib
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

import wall
from borg.helpers import msgpack

REPOSITORIES = "/repos"
SETTINGS = "/run/borgserver/settings.json"

# Each repository has so many seconds, then the process ends; and so much memory, in bytes.
PATIENCE = 30
MEMORY = 512 * 1024 * 1024

# borg has a dozen names in a repository, a thousand segments in a folder of `data`, and a lock of one name.
MOST_NAMES = 20_000
LARGEST_ROSTER = 64 * 1024
# For each segment that is not empty hints have a few bytes, and for each object that was deleted and is not compacted
# away, about fifty.
LARGEST_HINTS = 4 * 1024**3

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class Unreadable(Exception):
    """Why a repository's files say nothing, as part of a sentence."""


class Moved(Exception):
    """Somebody committed while this was read."""


@contextlib.contextmanager
def _folder(name: str, at: int | None = None) -> Iterator[int]:
    folder = os.open(name, _FOLDER, dir_fd=at)
    try:
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def _file(name: str, at: int, largest: int) -> Iterator[tuple[IO[bytes], os.stat_result]]:
    descriptor = os.open(name, _FILE, dir_fd=at)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable(f"{name} is not a regular file")
        if found.st_size > largest:
            raise Unreadable(f"{name} is larger than borg makes it")
        yield file, found


def _names(folder: int) -> list[str]:
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) > MOST_NAMES:
                raise Unreadable("there are more files in it than borg makes")
    return names


def _highest(names: list[str], pattern: str = r"([0-9]{1,18})") -> int | None:
    numbers = [int(found[1]) for name in names if (found := re.fullmatch(pattern, name))]
    return max(numbers, default=None)


def _committed(at: int, names: list[str]) -> int | None:
    """The number of the last commit: the highest index that is not empty, which a crash may have left."""
    numbers = [int(found[1]) for name in names if (found := re.fullmatch(r"index\.([0-9]{1,18})", name))]
    for number in sorted(numbers, reverse=True):
        if os.stat(f"index.{number}", dir_fd=at, follow_symlinks=False).st_size > 0:
            return number
    return None


def _index(at: int, number: int) -> dict[str, int]:
    """The number of objects, from the header of borg's hash index (HashHeader in _hashindex.c), and when it was written."""
    header = struct.Struct("<8siibb")
    with _file(f"index.{number}", at, 1 << 50) as (file, found):
        content = file.read(header.size)
        if len(content) < header.size:
            raise Unreadable("its index is cut off")
        magic, objects, buckets, key, value = header.unpack(content)
        size = header.size + buckets * (key + value)
        if magic != b"BORG_IDX" or not 0 <= objects <= buckets or key != 32 or size != found.st_size:
            raise Unreadable("its index is not one of borg's")
        return {"objects": objects, "last_commit": found.st_mtime_ns}


def _hints(at: int, number: int) -> dict[str, int | None]:
    """The size, and what a compaction would free. Read one by one: only their numbers are ever held."""
    size = reclaimable = None
    with _file(f"hints.{number}", at, LARGEST_HINTS) as (file, _):
        try:
            unpacker = msgpack.Unpacker(file, use_list=False, raw=True, max_buffer_size=1024**2)
            for _ in range(unpacker.read_map_header()):
                name = unpacker.unpack()
                if name in (b"storage_quota_use", "storage_quota_use"):
                    size = _number(unpacker.unpack())
                elif name in (b"compact", "compact"):
                    reclaimable = 0
                    for _ in range(unpacker.read_map_header()):
                        unpacker.skip()
                        reclaimable += _number(unpacker.unpack())
                else:
                    unpacker.skip()
        except (ValueError, msgpack.UnpackException) as error:
            raise Unreadable("its hints are not borg's") from error
    return {"size": size, "reclaimable": reclaimable}


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise ValueError(value)
    return value


def _is_unfinished(at: int, committed: int | None) -> bool:
    """Whether there are segments behind the last commit, which a session that broke off leaves (data/FOLDER/SEGMENT)."""
    with contextlib.suppress(FileNotFoundError), _folder("data", at) as data:
        last = _highest(_names(data))
        if last is not None:
            with _folder(str(last), data) as segments:
                segment = _highest(_names(segments))
                return segment is not None and segment > (-1 if committed is None else committed)
    return False


def _lock(at: int, names: list[str]) -> dict[str, Any] | None:
    if "lock.exclusive" in names:
        with contextlib.suppress(FileNotFoundError), _folder("lock.exclusive", at) as folder:
            # HOST.PID-THREAD (ExclusiveLock in borg's locking.py)
            holders = [re.fullmatch(r"(.{1,300})\.([0-9]{1,10})-[0-9a-f]+", name) for name in _names(folder)]
            host, pid = next(((found[1], int(found[2])) for found in holders if found), ("", 0))
            return {"kind": "exclusive", "host": host, "pid": pid, "since": os.fstat(folder).st_mtime_ns}
    if "lock.roster" in names:
        with contextlib.suppress(FileNotFoundError), _file("lock.roster", at, LARGEST_ROSTER) as (file, found):
            try:
                (host, pid, _), *_others = json.load(file)["shared"]
                return {"kind": "shared", "host": str(host)[:300], "pid": int(pid), "since": found.st_mtime_ns}
            except (ValueError, KeyError, TypeError, RecursionError):
                return None  # nobody shares it
    return None


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
        state.update(_index(at, committed))
        state.update(_hints(at, committed))
    except FileNotFoundError:
        raise Moved from None
    if _committed(at, _names(at)) != committed:
        raise Moved
    return state


def state_of(name: str, known: int | None) -> dict[str, Any]:
    nothing = {"commit": None, "lock": None, "unfinished": False}
    try:
        if "/" in name or name in ("", ".", ".."):
            raise Unreadable("this is not the name of a repository")
        for _ in range(5):
            with contextlib.suppress(Moved), _folder(f"{REPOSITORIES}/{name}") as at:
                return {"repository": name, **read(at, known), "problem": None}
        raise Unreadable("it changed while it was read")
    except Unreadable as error:
        problem = str(error)
    except FileNotFoundError:
        problem = "its directory is missing"
    except MemoryError:
        problem = "reading it took too much memory"
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})"
    return {"repository": name, **nothing, "problem": problem}


def main() -> None:
    with open(SETTINGS) as file:
        settings = json.load(file)
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
