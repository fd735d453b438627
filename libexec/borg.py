#!/usr/bin/python3 -I
"""
Starts borg as borg's own script does, but faster. scripts/install puts it in place as
/usr/local/lib/borgserver/borg, with the interpreter that has borg's packages.

-I: nothing in a repository, which is a session's home, is a part of the program.
"""

import gc
import os

# borg looks its host's name up at every start, also where BORG_HOST_ID is set, and a name that /etc/hosts lacks may
# ask a name server that never answers: a second for each (resolv.conf(5)) instead of ten.
os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:1")

# What the imports make is not garbage, and looking for some in it takes a sixth of borg's start.
gc.disable()
from borg.archiver import main  # noqa: E402

gc.freeze()
gc.enable()
raise SystemExit(main())
