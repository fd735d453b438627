#!/usr/bin/python3 -I
"""
Starts borg as borg's own script does, with what a server of many repositories needs to be otherwise. libexec/install
puts it in place as /usr/local/lib/borgserver/borg, with the interpreter that has borg's packages.

-I: nothing in a repository, which is a session's home, is a part of the program.
"""

import functools
import gc
import json
import os
import shutil
import sys
from typing import Any

# borg looks its host's name up at every start, also where BORG_HOST_ID is set, and a name that /etc/hosts lacks may
# ask a name server that never answers: a second for each (resolv.conf(5)) instead of ten.
os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:1")

if sys.argv[1:] == ["resident"]:
    # borg reads these while it is imported. The host id is the same in every session, and after the container was made
    # anew under the same name, so that borg knows which locks were left by processes that have ended. borg tested itself
    # at the server's start.
    os.environ.update(BORG_HOST_ID=os.uname().nodename, BORG_SELFTEST="disabled", BORG_SHOW_SYSINFO="no")

# Nothing that the imports make is garbage, and looking for garbage takes a sixth of borg's start.
gc.disable()
from borg.archiver import main  # noqa: E402
from borg.helpers import Error  # noqa: E402
from borg.repository import Repository  # noqa: E402

gc.freeze()
gc.enable()

# borg serve reads into buffers of 10 MiB (BUFSIZE in borg's constants.py). glibc maps each one anew, page by page,
# until it has seen a mapping of that size freed: then it keeps what is not larger (mallopt(3), M_MMAP_THRESHOLD).
# borg's self-test happens to free one, and sessions run without it. The pages of this one are never touched (calloc).
bytes(12 * 1024 * 1024)


def empty(repository: Repository) -> None:
    """
    Takes the place of Repository.destroy (borg's repository.py): the directory stays, because only the operator
    makes and removes directories below /repos, and `borg init` begins anew in it.
    """
    if repository.append_only:
        raise Error("this account is append-only: it cannot delete the repository.")
    repository.close()
    # First the config, as borg does: without it this is not a repository any more, whatever happens to the rest.
    os.remove(os.path.join(repository.path, "config"))
    with os.scandir(repository.path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.remove(entry.path)


borg_check = Repository.check


# wraps: borg takes the names of what a client may pass from the signature (filter_args in borg's remote.py).
@functools.wraps(borg_check)
def check(repository: Repository, repair: bool = False, **options: Any) -> Any:
    """Takes the place of Repository.check, which ends with a traceback where it refuses to repair."""
    if repair and repository.append_only:
        raise Error("this account is append-only: it cannot repair the repository.")
    return borg_check(repository, repair=repair, **options)


Repository.destroy = empty
Repository.check = check

# Beside this file, where -I does not look.
sys.path.append(os.path.dirname(os.path.realpath(__file__)))
import guard  # noqa: E402
import wall  # noqa: E402

guard.install()
# The process that serves all sessions (resident.py).
if sys.argv[1:] == ["resident"]:
    import resident

    resident.main()
# For a start of the server (src/server/borg-check.ts, confinement.ts).
if sys.argv[1:] == ["prove-guard"]:
    raise SystemExit(guard.prove() or 0)
if sys.argv[1:] == ["tell-wall"]:
    print(wall.tell())
    raise SystemExit
# For the keeper (src/ledger/reader.ts).
if sys.argv[1:] == ["read-state"]:
    import state

    state.main()
    raise SystemExit
# An operator's command, in the server's container (src/operator/borg.ts): what it does is recorded as a session's is.
if os.environ.get("BORG_HOST_ID") == os.uname().nodename and sys.argv[1:2] != ["serve"]:
    import contextlib

    import record

    with contextlib.suppress(OSError):
        record.begin_command()
# An operator's command (src/operator/confined.ts).
if "BORGSERVER_WALL" in os.environ:
    wall.close_in([*wall.SYSTEM, *map(tuple, json.loads(os.environ.pop("BORGSERVER_WALL")))], narrow=False)
# For an operator (src/operator/manifests.ts): the list of archives as it was, a raw object from a file.
if sys.argv[1:2] == ["put-manifest"]:
    from borg.logger import setup_logging

    setup_logging(level="warning")
    _, _, path, file = sys.argv
    with open(file, "rb") as raw, Repository(path, exclusive=True, lock_wait=10) as repository:
        repository.put(bytes(32), raw.read())
        repository.commit(compact=False)
    raise SystemExit
raise SystemExit(main())
