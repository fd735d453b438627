"""
Makes repositories that borg would not leave, each from a copy of a sound one, and beside each a sound neighbour.

    craft.py SOUND FOLDER          one of each kind below, as FOLDER/KIND, and FOLDER/KIND.neighbour; prints their names
    craft.py SOUND FOLDER COUNT    COUNT with random damage, the same in each run, as FOLDER/NUMBER
"""

import json
import os
import random
import shutil
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from typing import Any

import msgpack

KINDS: dict[str, Callable[[str], object]] = {}


def last(prefix: str) -> str:
    return max((name for name in os.listdir() if name.startswith(prefix)), key=lambda name: int(name.split(".")[1]))


def write(name: str, content: bytes, size: int | None = None) -> None:
    if os.path.isdir(name):
        shutil.rmtree(name)
    elif os.path.lexists(name):
        os.remove(name)
    with open(name, "wb") as file:
        file.write(content)
        file.truncate(len(content) if size is None else size)


def socket_at(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(name)


def fifo_at(name: str) -> None:
    os.mkfifo(name)


def link_at(name: str) -> None:
    os.symlink("/etc/passwd", name)


def closed_at(name: str) -> None:
    write(name, b"x" * 30)
    os.chmod(name, 0)


def instead(of: str, make: Callable[[str], object]) -> Callable[[str], None]:
    def put(_: str) -> None:
        name = last(of) if of in ("index", "hints") else of
        if os.path.isdir(name):
            shutil.rmtree(name)
        elif os.path.lexists(name):
            os.remove(name)
        make(name)

    return put


# Each file that is read, by each thing that it is not; what was a folder is a file too.
for _of in ("index", "hints", "lock.roster", "lock.exclusive", "data", "data/0"):
    KINDS[f"fifo {_of}"] = instead(_of, fifo_at)
    KINDS[f"link {_of}"] = instead(_of, link_at)
    KINDS[f"socket {_of}"] = instead(_of, socket_at)
    KINDS[f"closed {_of}"] = instead(_of, closed_at)
for _of in ("index", "hints", "lock.roster"):
    KINDS[f"folder {_of}"] = instead(_of, os.mkdir)


def hints(make: Callable[[str], object]) -> Callable[[str], object]:
    return lambda _: make(last("hints"))


def header(count: int) -> bytes:
    """Of a map."""
    return struct.pack(">BI", 0xDF, count)


# Hints that are none, or no end of them.
KINDS["hints missing"] = hints(os.remove)
KINDS["hints empty"] = hints(lambda name: write(name, b""))
KINDS["hints cut off"] = hints(lambda name: os.truncate(name, 20))
KINDS["hints of a gigabyte"] = hints(lambda name: write(name, b"", 10**9))
KINDS["hints of a gigabyte of segments"] = hints(
    lambda name: write(name, b"\x82\xa7version\x02\xa8segments" + header(2**32 - 1), 10**9)
)
KINDS["fine: hints of ten million segments"] = hints(
    lambda name: write(name, b"\x82\xa7version\x02\xa8segments" + header(10**7), 10**9)
)
KINDS["hints of other words"] = hints(lambda name: write(name, header(2**32 - 1), 10**9))
KINDS["bomb of arrays"] = hints(lambda name: write(name, b"\x81" + b"\xdd\x7f\xff\xff\xff" * 400))
KINDS["bomb of maps"] = hints(lambda name: write(name, b"\x81" + b"\xdf\x7f\xff\xff\xff" * 400))
KINDS["bomb of depth"] = hints(lambda name: write(name, b"\x81" + b"\x91" * 10**6))
KINDS["bomb of text"] = hints(lambda name: write(name, b"\x81\xdb\x7f\xff\xff\xff", 10**9))
KINDS["bomb of bytes"] = hints(lambda name: write(name, b"\x81\xc6\x7f\xff\xff\xff", 10**9))
KINDS["size is text"] = hints(lambda name: write(name, msgpack.packb({"version": 2, "storage_quota_use": "1"})))
KINDS["size is negative"] = hints(lambda name: write(name, msgpack.packb({"version": 2, "storage_quota_use": -1})))
KINDS["size is truth"] = hints(lambda name: write(name, msgpack.packb({"version": 2, "storage_quota_use": True})))
KINDS["size is more than there is"] = hints(
    lambda name: write(name, msgpack.packb({"version": 2, "storage_quota_use": 2**63}))
)
KINDS["compact is a list"] = hints(lambda name: write(name, msgpack.packb({"version": 2, "compact": [1, 2]})))
KINDS["compact adds up to too much"] = hints(
    lambda name: write(name, msgpack.packb({"version": 2, "compact": {1: 2**61, 2: 2**61}}))
)


def index(objects: int, buckets: int, key: int = 32, value: int = 8, magic: bytes = b"BORG_IDX") -> bytes:
    return struct.pack("<8siibb", magic, objects, buckets, key, value)


# An index that lies.
KINDS["index cut off"] = lambda _: write(last("index"), b"BORG_IDX\0")
KINDS["index of another magic"] = lambda _: write(last("index"), index(1, 2, magic=b"BORG2IDX"), 18 + 80)
KINDS["index of more objects than it has places"] = lambda _: write(last("index"), index(3, 2), 18 + 80)
KINDS["index of less than no objects"] = lambda _: write(last("index"), index(-1, 2), 18 + 80)
KINDS["index of less than no places"] = lambda _: write(last("index"), index(-2, -1), 18)
KINDS["index of more places than it has"] = lambda _: write(last("index"), index(5, 2**31 - 1), 18 + 80)
KINDS["index of other keys"] = lambda _: write(last("index"), index(1, 2, key=16, value=24), 18 + 80)
KINDS["index behind all others is no file"] = lambda _: os.mkdir("index.999999999999999999")


def files(names: Iterable[str]) -> Callable[[str], None]:
    def make(_: str) -> None:
        for name in names:
            if name.startswith("lock.exclusive/"):
                os.makedirs("lock.exclusive", exist_ok=True)
            write(name, b"")

    return make


# More than borg makes.
KINDS["entries in the folder"] = files(f"file {number}" for number in range(50_000))
KINDS["entries in data"] = files(f"data/{number}" for number in range(50_000, 100_000))
KINDS["entries in a folder of data"] = files(f"data/0/{number}" for number in range(50_000, 100_000))
KINDS["entries in a lock"] = files(f"lock.exclusive/h.1-{number:x}" for number in range(50_000))

KINDS["no repository"] = lambda _: os.remove("config")


def away(_: str) -> None:
    here = os.getcwd()
    os.rename(here, f"{here}.elsewhere")
    os.symlink(f"{here}.elsewhere", here)


def gone(_: str) -> None:
    shutil.rmtree(os.getcwd())


def file_there(_: str) -> None:
    here = os.getcwd()
    shutil.rmtree(here)
    write(here, b"")


KINDS["directory is a link"] = away
KINDS["directory is missing"] = gone
KINDS["directory is a file"] = file_there
KINDS["directory is closed"] = lambda _: os.chmod(".", 0)

# Strange, and no reason not to be read.
KINDS["fine: index of no size behind it"] = lambda _: write("index.999999", b"")
KINDS["fine: names with line breaks"] = files(
    ("index.9\n", "a\nb", "\n", "\x1b[2J", "index.-9", "index.1e9", "index.٩٩٩٩", "\udcff")
)
KINDS["fine: lock of a name with a line break"] = files(["lock.exclusive/a\nb.1-0"])
KINDS["fine: lock of a long name"] = files([f"lock.exclusive/{'a' * 240}.123-ff"])


def roster(content: Any) -> Callable[[str], None]:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda _: write("lock.roster", text)


KINDS["fine: roster is no JSON"] = roster(b"{")
KINDS["fine: roster is deep"] = roster(b"[" * 60_000)
KINDS["fine: roster is large"] = lambda _: write("lock.roster", b"", 10**9)
KINDS["fine: roster of a list"] = roster([1])
KINDS["fine: roster of nobody"] = roster({"shared": []})
KINDS["fine: roster of no text"] = roster({"shared": [[[], 1, 0]]})
KINDS["fine: roster of no number"] = roster(b'{"shared": [["h", Infinity, 0]]}')
KINDS["fine: roster of a large number"] = roster(b'{"shared": [["h", ' + b"9" * 5000 + b", 0]]}")
KINDS["fine: hints of an old borg"] = hints(
    lambda name: write(name, msgpack.packb({"version": 1, "segments": {1: 2}, "compact": [1]}))
)
WORDS: dict[Any, Any] = {
    **{b"version": 2, b"segments": {1: 2}, b"compact": {1: 20, 3: 22}},
    **{b"storage_quota_use": 4242, b"shadow_index": {bytes(32): [1]}},
}
KINDS["fine: words of bytes"] = hints(lambda name: write(name, msgpack.packb(WORDS, use_bin_type=True)))
KINDS["fine: words of old text"] = hints(lambda name: write(name, msgpack.packb(WORDS, use_bin_type=False)))
KINDS["fine: words of text"] = hints(
    lambda name: write(name, msgpack.packb({word.decode(): said for word, said in WORDS.items()}, use_bin_type=True))
)
KINDS["fine: a gigabyte of deleted objects"] = hints(
    lambda name: write(name, msgpack.packb(WORDS)[:-37] + header(2**25), 10**9)
)


def give(path: str) -> None:
    """To the owner of the repositories."""
    os.chown(path, 1000, 1000, follow_symlinks=False)
    if not os.path.islink(path) and os.path.isdir(path):
        for name in os.listdir(path):
            give(f"{path}/{name}")


def damaged(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(min(len(changed), 200))
        what = chance.randrange(4)
        if what == 0:
            changed[at] = chance.choice((0, 0x80, 0xC1, 0xC6, 0xD6, 0xDB, 0xDD, 0xDF, 0xFF, chance.randrange(256)))
        elif what == 1:
            changed[at:at] = chance.randbytes(chance.choice((1, 4, 64)))
        elif what == 2 and len(changed) > at + 1:
            del changed[at : at + chance.choice((1, 4, 64))]
        changed = changed or bytearray(b"\0")
        if what == 3:
            del changed[max(at, 1) :]
    return bytes(changed)


def damage(sound: str, folder: str, count: int) -> None:
    chance = random.Random(14)
    read = {}
    os.chdir(sound)
    for name in (last("index"), last("hints"), "config"):
        with open(name, "rb") as file:
            read[name] = file.read()
    read["lock.roster"] = json.dumps({"shared": [["host@1", 77, 0]], "exclusive": []}).encode()
    for number in range(count):
        os.mkdir(f"{folder}/{number}")
        victim = chance.choice([name for name in read if name != "config"])
        for name, content in read.items():
            write(f"{folder}/{number}/{name}", damaged(content, chance) if name == victim else content)
    give(folder)


def main() -> None:
    sound, folder, *count = sys.argv[1:]
    if count:
        damage(sound, folder, int(count[0]))
        return
    for kind, craft in KINDS.items():
        path = f"{folder}/{kind.replace('/', '-')}"
        print(os.path.basename(path))
        for each in (path, f"{path}.neighbour"):
            shutil.copytree(sound, each)
            give(each)
        os.chdir(path)
        craft(path)
        os.chdir("/")
        if os.path.lexists(path):
            give(path)


main()
