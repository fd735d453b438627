"""
Runs SQL on an SQLite file, which is made where there is none, and prints what it answers, a line for each row.

    sqlite.py FILE STATEMENT...
"""

import sqlite3
import sys

database = sqlite3.connect(sys.argv[1])
for statement in sys.argv[2:]:
    for row in database.execute(statement):
        print(*row)
database.commit()
