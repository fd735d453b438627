/** Marks a file as a borgserver index (PRAGMA application_id): "borg" in ASCII. */
export const applicationId = 0x626f7267;

/** Increased with every change of the tables. A program reads its own version only. */
export const schemaVersion = 7;

/** Why this program does not read a database with these marks (PRAGMA application_id, user_version) as an index; null if it does. */
export function whyUnreadable(application: unknown, version: unknown): string | null {
  if (application !== applicationId) return "it is not a borgserver index";
  if (version !== schemaVersion)
    return `its schema is version ${version}, this program reads version ${schemaVersion}`;
  return null;
}

/** What a login asks, of an account and a fingerprint. */
export const grantQuery = `
  SELECT g.role, type, blob, addresses, expires, arguments, repository, quota, archived
  FROM grant AS g JOIN role ON role.name = g.role JOIN account ON account.name = g.account
  WHERE account = ? AND fingerprint = ?`;

/**
 * `grant` holds what a login asks for, found by one descent of its B-tree. `role` holds the extra arguments of borg serve,
 * as a JSON array, whether sessions stand behind the wall, and what becomes of deletions, because nothing at a login or a
 * session sees the environment. `account` holds the id by which a session is known (libexec/resident.py), and what settings
 * files say of it, null where none does; the rest of it is for operators, and for the next rebuild, which need not read
 * files that are unchanged.
 */
export const schema = `
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
  CREATE TABLE role (
    name TEXT PRIMARY KEY,
    arguments TEXT NOT NULL,
    walled INTEGER NOT NULL,
    deletions TEXT NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE account (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    uid INTEGER NOT NULL,
    source TEXT NOT NULL,
    size REAL,
    mtime REAL,
    ctime REAL,
    inode REAL,
    device REAL,
    hash TEXT,
    repository TEXT,
    quota INTEGER,
    late_after INTEGER,
    deletions TEXT,
    archived INTEGER
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
