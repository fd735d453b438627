/** Where things are on a server. Fixed: sshd checks some of them, operators mount others. */
export const keyFolder = "/sshkeys";
export const repositoryFolder = "/repos";
export const indexFile = "/var/lib/borgserver/index.sqlite";
export const libraryFolder = "/usr/local/lib/borgserver";
export const runFolder = "/run/borgserver";
/** HOME of borg commands that operators run: borg keeps its cache and its record of known repositories here. */
export const borgHome = "/var/cache/borgserver";
export const hostKeyFolder = `${keyFolder}/host`;
export const lockFile = "/var/lib/borgserver/lock.sqlite";
