"""
Runs a program on a terminal (pty(7)), answers each of its prompts with the passphrase "secret", and prints what it
shows.

    on_terminal.py PROGRAM [ARGUMENT]...
"""

import os
import pty
import sys

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""
while True:
    try:
        part = os.read(terminal, 1024)
    except OSError:
        break
    if not part:
        break
    seen += part
    if seen.endswith(b": "):
        os.write(terminal, b"secret\n")
print(seen.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
