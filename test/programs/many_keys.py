"""
Key files with a key each that nobody has the private half of.

    many_keys.py COUNT PATH     PATH0, PATH1, …
"""

import base64
import os
import sys
from pathlib import Path

for number in range(int(sys.argv[1])):
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + os.urandom(32)
    Path(f"{sys.argv[2]}{number}").write_text(f"ssh-ed25519 {base64.b64encode(blob).decode()}\n")
