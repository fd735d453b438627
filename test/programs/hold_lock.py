"""
Holds the lock of an SQLite file. Prints a line when it has it, and ends with the next line of standard input.

    hold_lock.py FILE
"""

import sqlite3
import sys

database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.readline()
