/** Paths on a server. They are fixed: sshd checks some of them, operators mount others. */
export const keyFolder = "/sshkeys";
export const repositoryFolder = "/repos";
/** The server's own records, next to the repositories. No session except an admin's can reach them. */
export const recordsFolder = `${repositoryFolder}/.borgserver`;
/** What is published: a folder for each publication, and links (index/generation.ts). */
export const stateFolder = "/var/lib/borgserver";
/** A link to the folder of the publication that counts. */
export const generationFolder = `${stateFolder}/current`;
/** A link to the index of that publication. */
export const indexFile = `${stateFolder}/index.sqlite`;
export const libraryFolder = "/usr/local/lib/borgserver";
/** The accounts' shell (libexec/session.c). */
export const sessionFile = `${libraryFolder}/session`;
/** All of the system that a login's processes see (ChrootDirectory): their shell and its socket, at the paths these have outside. */
export const doorFolder = `${stateFolder}/door`;
/** Starts the real borg (libexec/install): `borg` on PATH is a link to our program, which runs this as the owner of the repositories. */
export const borgFile = `${libraryFolder}/borg`;
/** SQLite as commands use it: the native code of better-sqlite3. Bun does not load a file that has its own name, better_sqlite3.node. */
export const addonFile = `${libraryFolder}/sqlite.node`;
/** What sshd calls (AuthorizedKeysCommand), and operators. */
export const programFile = "/usr/local/bin/borgserver";
export const runFolder = "/run/borgserver";
/** Where the accounts' shell reaches what serves sessions (libexec/resident.py). Outside of the door a link into it. */
export const sessionSocket = `${runFolder}/sessions`;
/** The number of the process that is this server's sshd (libexec/entrypoint). */
export const sshdPidFile = `${runFolder}/sshd.pid`;
/** A file for each connection, written by the login program. Not in runFolder, where only root can write. */
export const connectionFolder = "/run/borgkeys";
/** The settings of the server's start. It exists if a server was started in this container. */
export const settingsFile = `${runFolder}/settings.json`;
/** HOME of borg commands that operators run: borg keeps its cache and its record of known repositories here. */
export const borgHome = "/var/cache/borgserver";
export const hostKeyFolder = `${keyFolder}/host`;
/** The copies that sshd reads, which only root can read. */
export const hostKeyCopies = `${runFolder}/host-keys`;
export const lockFile = `${stateFolder}/lock.sqlite`;
/** What is known of sessions and repositories (ledger/ledger.ts). */
export const ledgerFile = `${stateFolder}/ledger.sqlite`;
/** The addresses of NOTIFY, which root alone may read. */
export const notifyFile = `${runFolder}/notify.json`;
/** What the keeper publishes for the teller (teller/published.ts). */
export const publishedFolder = `${runFolder}/published`;
/** The Python of the environment that Apprise has of its own. */
export const appriseFile = "/opt/apprise/bin/python";
