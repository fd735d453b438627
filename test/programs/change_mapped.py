"""
Changes a file through a memory mapping (mmap(2)): to the content of another file of its size, when a line is read.
Prints "ready" before, "done" after, and ends with the next line.

    change_mapped.py FILE CONTENT
"""

import mmap
import sys
from pathlib import Path

with open(sys.argv[1], "r+b") as file:
    mapping = mmap.mmap(file.fileno(), 0)
    mapping[:] = bytes(mapping)  # from here on the page is writable, and the kernel is not asked again
    print("ready", flush=True)
    sys.stdin.readline()
    mapping[:] = Path(sys.argv[2]).read_bytes()
    print("done", flush=True)
    sys.stdin.readline()
