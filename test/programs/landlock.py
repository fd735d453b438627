"""
Has the wall take this kernel's Landlock for the version that the file /client/landlock names, if it is there. Landlock
restricts only what a ruleset names, so a wall that is built as for an older version refuses what it would refuse on a
kernel that has that version. Beside an installed wall.py, and named by it:

    import landlock
    landlock.pretend(sys.modules[__name__])
"""

import contextlib
from typing import Any


def pretend(wall: Any) -> None:
    with contextlib.suppress(FileNotFoundError), open("/client/landlock") as file:
        version = int(file.read())
        wall.landlock_version = lambda: version
