/** Marks a file as a borgserver index (PRAGMA application_id): "borg" in ASCII. */
export const applicationId = 0x626f7267;

/** Counted up with every change of the tables; a program reads its own version alone. */
export const schemaVersion = 4;

/**
 * `grant` holds what a login asks for, found by one descent of its B-tree; `role` the extra arguments of borg
 * serve, as a JSON array, and how sessions are confined: nothing at a login sees the environment. `account` is
 * for operators, and tells the next rebuild which key files it need not read.
 */
export const schema = `
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
  CREATE TABLE role (name TEXT PRIMARY KEY, arguments TEXT NOT NULL, landlock INTEGER NOT NULL) WITHOUT ROWID, STRICT;
  CREATE TABLE account (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    source TEXT NOT NULL,
    size REAL,
    mtime REAL,
    ctime REAL,
    inode REAL,
    device REAL,
    hash TEXT
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE grant (
    account TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    role TEXT NOT NULL,
    type TEXT NOT NULL,
    blob TEXT NOT NULL,
    addresses TEXT NOT NULL,
    expires TEXT NOT NULL,
    line INTEGER NOT NULL,
    comment TEXT NOT NULL,
    PRIMARY KEY (account, fingerprint)
  ) WITHOUT ROWID, STRICT;
`;
