"""
Changes an index and ends as a program that is killed does, so that what SQLite keeps beside it stays there.

    leave_journal.py FILE wal|journal
"""

import os
import sqlite3
import sys

database = sqlite3.connect(sys.argv[1], isolation_level=None)
if sys.argv[2] == "wal":
    database.execute("PRAGMA journal_mode = WAL")
else:
    database.execute("PRAGMA cache_size = 1")  # so that pages are written before the end
database.execute("BEGIN")
database.execute("UPDATE grant SET comment = hex(randomblob(9000))")
if sys.argv[2] == "wal":
    database.execute("COMMIT")
os._exit(0)
