"""
Looks accounts up, over and over, until a file END appears, and prints as JSON what came of it.

    look_up.py END NAME=RECORDS...

RECORDS are those that may be found, GID:UID, separated by "|"; a "?" behind them says that there may be none.

A lookup maps an index and reads a block of the lines; one that reads the lines one after the other reads much more,
which /proc/self/io tells.
"""

import json
import os
import pwd
import sys

CURRENT = "/var/lib/borgserver/current"
LINEAR = 65536  # bytes

end, *words = sys.argv[1:]
io = os.open("/proc/self/io", os.O_RDONLY)


def bytes_read() -> int:
    return int(os.pread(io, 100, 0).split(b"\n")[0].split()[1])


expected: dict[str, tuple[set[str], bool]] = {}
for word in words:
    name, records = word.split("=")
    expected[name] = (set(records.rstrip("?").split("|")), records.endswith("?"))

counts = {"lookups": 0, "hits": 0, "straddling": 0, "linear": 0}
wrong: list[str] = []
while not os.path.exists(end):
    for name, (right, may_be_none) in expected.items():
        generation = os.readlink(CURRENT)
        before = bytes_read()
        record = None
        try:
            record = pwd.getpwnam(name)
        except KeyError:
            if not may_be_none:
                wrong.append(f"{name}: none")
        counts["linear"] += bytes_read() - before > LINEAR
        counts["straddling"] += os.readlink(CURRENT) != generation
        counts["lookups"] += 1
        if record is None:
            continue
        counts["hits"] += 1
        if record.pw_name != name or f"{record.pw_gid}:{record.pw_uid}" not in right:
            wrong.append(f"{name}: {record}")
print(json.dumps({**counts, "wrong": len(wrong), "examples": wrong[:5]}))
