import { chmodSync, existsSync, renameSync, rmSync } from "node:fs";
import { type Database, openDatabase } from "../database.ts";
import { codeOf } from "../failure.ts";
import type { RepositoryState } from "./reader.ts";
import type { Kind, SessionRecord } from "./record.ts";

/** How far a file of records has been read. */
export interface Cursor {
  node: string;
  file: string;
  /** In bytes. */
  offset: number;
}

/** A session, and the node that served it. */
export type LedgerSession = SessionRecord & { node: string };

/** What the sessions of a repository tell about it; times in milliseconds since 1970. */
export interface History {
  /** How many backups have broken off since the last complete one. */
  brokenOff: number;
  lastBackup: number | null;
  lastCheck: number | null;
  lastCheckOk: boolean | null;
  lastCompact: number | null;
  /** The number of the last commit that a session made, and what that session was. */
  transaction: number | null;
  kind: Kind | null;
}

/** How many sessions of a kind a repository has had. */
export interface Total {
  repository: string;
  kind: Kind;
  complete: boolean;
  sessions: number;
  /** From clients, and to them. */
  bytesIn: number;
  bytesOut: number;
}

/** A day of a repository. */
export interface Day {
  /** How many complete backups were made. */
  backups: number;
  /** The size that was seen last, in bytes; null where nobody looked. */
  size: number | null;
}

/** How long sessions are kept, in milliseconds. What they tell of a repository is kept for ever. */
export const retention = 400 * 24 * 3600 * 1000;

/** How long the sizes of days are kept, in days. */
const daysOfSizes = 31;
const day = 24 * 3600 * 1000;

const schemaVersion = 2;
const schema = `
  PRAGMA application_id = 0x626f7267;
  PRAGMA user_version = ${schemaVersion};
  CREATE TABLE cursor (node TEXT, file TEXT, offset INTEGER NOT NULL, PRIMARY KEY (node, file)) WITHOUT ROWID, STRICT;
  CREATE TABLE session (
    node TEXT, id TEXT, account TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL, key TEXT NOT NULL,
    repository TEXT, borg TEXT NOT NULL, began INTEGER NOT NULL, ended INTEGER NOT NULL, kind TEXT NOT NULL,
    complete INTEGER NOT NULL, code INTEGER, committed INTEGER, commit_number INTEGER, check_ok INTEGER,
    puts INTEGER NOT NULL, deletes INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
    refused INTEGER NOT NULL, deletes_refused INTEGER NOT NULL,
    PRIMARY KEY (node, id)
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX session_by_repository ON session (repository, kind, ended);
  CREATE INDEX session_by_time ON session (began);
  CREATE TABLE history (
    repository TEXT PRIMARY KEY, last_backup INTEGER, last_check INTEGER, last_check_ok INTEGER, last_compact INTEGER,
    commit_number INTEGER, kind TEXT, broken_off INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE total (
    repository TEXT, kind TEXT, complete INTEGER, sessions INTEGER NOT NULL, bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL, PRIMARY KEY (repository, kind, complete)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE state (
    repository TEXT PRIMARY KEY, looked INTEGER NOT NULL, commit_number INTEGER, last_commit INTEGER, size INTEGER,
    reclaimable INTEGER, objects INTEGER, lock TEXT, unfinished INTEGER NOT NULL, problem TEXT
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE size (
    repository TEXT, day INTEGER, size INTEGER NOT NULL, PRIMARY KEY (repository, day)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE told (
    kind TEXT, subject TEXT, level INTEGER NOT NULL, text TEXT NOT NULL, said INTEGER NOT NULL,
    PRIMARY KEY (kind, subject)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, address TEXT NOT NULL, content TEXT NOT NULL, made INTEGER NOT NULL,
    due INTEGER NOT NULL, tries INTEGER NOT NULL, handed INTEGER NOT NULL
  ) STRICT;
`;

/**
 * What the server knows of the past: sessions, derived from the records of all nodes, and what the repositories' own
 * files said when they were last looked at. Any process may read while one writes (SQLite's WAL).
 */
export class Ledger {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  /** For what is kept in the same file, and changes with it (alerts/). */
  get database(): Database {
    return this.#database;
  }

  /** Opens it for reading. @returns null if there is none yet. Throws if it cannot answer */
  static read(file: string): Ledger | null {
    if (!existsSync(file)) return null;
    const database = openDatabase(file, { readonly: true, timeout: patience });
    try {
      demandVersion(database);
      return new Ledger(database);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /**
   * Opens it for writing, and makes it if there is none. One that is damaged, or of another version, is set aside: it is
   * derived, and what is not too old is read again.
   * @returns also what it is called then, or null
   */
  static open(file: string): { ledger: Ledger; aside: string | null } {
    try {
      return { ledger: new Ledger(openForWriting(file)), aside: null };
    } catch (error) {
      if (!existsSync(file) || isPassing(error)) throw error;
      const aside = `${file}.damaged-${new Date().toISOString().replaceAll(":", "")}`;
      renameSync(file, aside);
      for (const end of ["-wal", "-shm"]) rmSync(`${file}${end}`, { force: true });
      return { ledger: new Ledger(openForWriting(file)), aside };
    }
  }

  close(): void {
    this.#database.close();
  }

  cursors(): Cursor[] {
    return this.#database.prepare<[], Cursor>("SELECT node, file, offset FROM cursor").all();
  }

  /**
   * Takes sessions up, and how far their file has been read, both or neither. One that is known is not taken twice.
   * @param also is done in the same transaction, for each that was not known
   */
  take(
    { node, file, offset }: Cursor,
    records: readonly SessionRecord[],
    also: (session: LedgerSession) => void = () => {},
  ): void {
    const insert = this.#database.prepare(
      `INSERT OR IGNORE INTO session VALUES (@node, @id, @account, @role, @address, @key, @repository, @borg, @began,
        @ended, @kind, @complete, @code, @committed, @transaction, @checkOk, @puts, @deletes, @bytesIn, @bytesOut, @refused, @deletesRefused)`,
    );
    const count = this.#database.prepare(
      `INSERT INTO total VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET sessions = sessions + 1,
        bytes_in = bytes_in + excluded.bytes_in, bytes_out = bytes_out + excluded.bytes_out`,
    );
    this.#database.transaction(() => {
      for (const record of records) {
        const { changes } = insert.run({
          ...record,
          node,
          complete: Number(record.complete),
          checkOk: record.checkOk === null ? null : Number(record.checkOk),
        });
        if (changes === 0) continue;
        const { repository, kind, complete, bytesIn, bytesOut } = record;
        if (repository !== null) count.run(repository, kind, Number(complete), bytesIn, bytesOut);
        also({ ...record, node });
      }
      for (const repository of new Set(records.map((record) => record.repository)))
        if (repository !== null) this.#sumUp(repository);
      this.#database.prepare("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)").run(node, file, offset);
    })();
  }

  /** Says anew what the sessions of a repository tell about it, since it was last made. */
  #sumUp(repository: string): void {
    let since = 0;
    const newest = <Row>(columns: string, which: string, order = "ended") =>
      this.#database
        .prepare<[string, number], Row>(
          `SELECT ${columns} FROM session WHERE repository = ? AND ended >= ? AND ${which} ORDER BY ${order} DESC LIMIT 1`,
        )
        .get(repository, since);
    // A delete that is complete and has committed nothing took the whole repository away.
    const made = "(kind = 'init' OR kind = 'delete' AND complete = 1 AND commit_number IS NULL)";
    since = newest<{ ended: number }>("ended", made)?.ended ?? 0;
    const backup = newest<{ at: number; ended: number }>(
      "committed AS at, ended",
      "kind = 'create' AND complete = 1",
    );
    const brokenOff = this.#database
      .prepare<[string, number], { count: number }>(
        "SELECT count(*) AS count FROM session WHERE repository = ? AND kind = 'create' AND complete = 0 AND ended > ?",
      )
      .get(repository, Math.max(since, backup?.ended ?? 0));
    const check = newest<{ at: number; ok: number }>(
      "ended AS at, check_ok AS ok",
      "kind = 'check' AND check_ok IS NOT NULL",
    );
    const compact = newest<{ at: number }>("ended AS at", "kind = 'compact' AND complete = 1");
    const last = newest<{ commit_number: number; kind: string }>(
      "commit_number, kind",
      "commit_number IS NOT NULL",
      "commit_number",
    );
    // What was known stays where the sessions that told it are too old to be there still.
    const known = this.#database
      .prepare<[string], HistoryRow>("SELECT * FROM history WHERE repository = ?")
      .get(repository);
    const kept = (at: number | null | undefined) => (at != null && at >= since ? at : null);
    this.#database
      .prepare("INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
      .run(
        repository,
        backup?.at ?? kept(known?.last_backup),
        check?.at ?? kept(known?.last_check),
        check?.ok ?? (kept(known?.last_check) === null ? null : known?.last_check_ok),
        compact?.at ?? kept(known?.last_compact),
        last?.commit_number ?? null,
        last?.kind ?? null,
        brokenOff?.count ?? 0,
      );
  }

  /** Forgets files that are gone, and sessions that are too old. @param now in milliseconds since 1970 */
  forget(gone: readonly Cursor[], now: number): void {
    const isGone = this.#database.prepare("DELETE FROM cursor WHERE node = ? AND file = ?");
    this.#database.transaction(() => {
      for (const { node, file } of gone) isGone.run(node, file);
      this.#database.prepare("DELETE FROM session WHERE began < ?").run(now - retention);
      this.#database.prepare("DELETE FROM size WHERE day <= ?").run(Math.floor(now / day) - daysOfSizes);
    })();
  }

  /** The sessions of these repositories, or of all, the newest first. */
  sessions(repositories: readonly string[], limit: number): LedgerSession[] {
    const which = repositories.length === 0 ? "" : "WHERE repository IN (SELECT value FROM json_each(?))";
    return this.#database
      .prepare<unknown[], Record<string, never>>(
        `SELECT * FROM session ${which} ORDER BY began DESC, node, id LIMIT ?`,
      )
      .all(...(which ? [JSON.stringify(repositories)] : []), limit)
      .map(sessionOf);
  }

  /** What sessions tell about repositories, by name: about these, or about all. */
  histories(repositories?: readonly string[]): Map<string, History> {
    const rows = this.#rows<HistoryRow>("history", repositories);
    return new Map(rows.map((row) => [row.repository, historyOf(row)]));
  }

  #rows<Row>(table: "history" | "state", repositories: readonly string[] | undefined): Row[] {
    const which = repositories ? "WHERE repository IN (SELECT value FROM json_each(?))" : "";
    return this.#database
      .prepare<string[], Row>(`SELECT * FROM ${table} ${which}`)
      .all(...(repositories ? [JSON.stringify(repositories)] : []));
  }

  /** What was last seen of repositories, by name: of these, or of all. */
  states(repositories?: readonly string[]): Map<string, RepositoryState> {
    const rows = this.#rows<StateRow>("state", repositories);
    return new Map(rows.map((row) => [row.repository, stateOf(row)]));
  }

  /** Those of these repositories that were not looked at yet. */
  withoutState(repositories: readonly string[]): string[] {
    return this.#database
      .prepare<[string], { value: string }>(
        "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT repository FROM state)",
      )
      .all(JSON.stringify(repositories))
      .map(({ value }) => value);
  }

  /** Those of these repositories whose files, when they were last looked at, did not have what a session committed. */
  behind(repositories: readonly string[]): string[] {
    return this.#database
      .prepare<[string], { repository: string }>(
        `SELECT repository FROM state JOIN history USING (repository)
          WHERE repository IN (SELECT value FROM json_each(?)) AND state.problem IS NULL
            AND coalesce(state.commit_number, -1) < history.commit_number`,
      )
      .all(JSON.stringify(repositories))
      .map(({ repository }) => repository);
  }

  /** The repositories that could not be read, or whose last commit no session made that was recorded. */
  unexplained(): string[] {
    return this.#database
      .prepare<[], { repository: string }>(
        `SELECT repository FROM state LEFT JOIN history USING (repository)
          WHERE state.problem IS NOT NULL
            OR state.commit_number IS NOT NULL AND state.commit_number IS NOT history.commit_number`,
      )
      .all()
      .map(({ repository }) => repository);
  }

  /** How many objects a repository had when it was last looked at; null where that is not known. */
  objectsOf(repository: string): number | null {
    return (
      this.#database
        .prepare<[string], { objects: number | null }>("SELECT objects FROM state WHERE repository = ?")
        .get(repository)?.objects ?? null
    );
  }

  /** Stores what was seen of repositories. @param now in milliseconds since 1970 */
  keepStates(states: readonly RepositoryState[], now: number): void {
    const insert = this.#database.prepare(
      "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    const today = Math.floor(now / day);
    const ofToday = this.#database.prepare("INSERT OR REPLACE INTO size VALUES (?, ?, ?)");
    this.#database.transaction(() => {
      for (const { repository, size } of states) if (size !== null) ofToday.run(repository, today, size);
      for (const state of states)
        insert.run(
          ...[state.repository, now, state.commit, state.lastCommit, state.size, state.reclaimable],
          ...[
            state.objects,
            state.lock && JSON.stringify(state.lock),
            Number(state.unfinished),
            state.problem,
          ],
        );
    })();
  }

  /** Of each repository, by name, how many sessions of each kind there ever were. */
  totals(): Map<string, Total[]> {
    const rows = this.#database.prepare<[], TotalRow>("SELECT * FROM total").all();
    return Map.groupBy(rows.map(totalOf), ({ repository }) => repository);
  }

  /** Of each repository, by name, its last days in UTC, today last. @param now in milliseconds since 1970 */
  lastDays(count: number, now: number): Map<string, Day[]> {
    const first = Math.floor(now / day) - count + 1;
    const found = new Map<string, Day[]>();
    const dayOf = (repository: string, at: number) => {
      const days = found.get(repository) ?? Array.from({ length: count }, () => ({ backups: 0, size: null }));
      found.set(repository, days);
      return days[at - first];
    };
    const backups = this.#database.prepare<[number], { repository: string; day: number; count: number }>(
      `SELECT repository, ended / ${day} AS day, count(*) AS count FROM session
        WHERE repository IS NOT NULL AND kind = 'create' AND complete = 1 AND began >= ? GROUP BY 1, 2`,
    );
    // What began the day before may have ended on the first.
    for (const row of backups.all((first - 1) * day)) {
      const its = dayOf(row.repository, row.day);
      if (its) its.backups = row.count;
    }
    const sizes = this.#database.prepare<[number], { repository: string; day: number; size: number }>(
      "SELECT * FROM size WHERE day >= ?",
    );
    for (const row of sizes.all(first)) {
      const its = dayOf(row.repository, row.day);
      if (its) its.size = row.size;
    }
    return found;
  }

  /** Forgets what was seen of all repositories but these. */
  forgetStates(but: readonly string[]): void {
    this.#database
      .prepare("DELETE FROM state WHERE repository NOT IN (SELECT value FROM json_each(?))")
      .run(JSON.stringify(but));
  }
}

/** Longest wait for another process's lock, in milliseconds. */
const patience = 10_000;

function openForWriting(file: string): Database {
  const isNew = !existsSync(file);
  const database = openDatabase(file, { readonly: false, timeout: patience });
  try {
    if (isNew) chmodSync(file, 0o600);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    if (database.pragma("user_version", { simple: true }) === 0) database.exec(`BEGIN; ${schema} COMMIT`);
    demandVersion(database);
    if (database.pragma("quick_check", { simple: true }) !== "ok") throw new Error("it is damaged");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function demandVersion(database: Database): void {
  const version = database.pragma("user_version", { simple: true });
  if (version !== schemaVersion)
    throw new Error(`its schema is version ${version}, this program reads version ${schemaVersion}`);
}

/** Whether a failure says nothing about the file: the disk is full, or somebody else is writing. */
function isPassing(error: unknown): boolean {
  return /^SQLITE_(FULL|BUSY|LOCKED|IOERR|CANTOPEN|READONLY|NOMEM)/.test(codeOf(error) ?? "");
}

function sessionOf(row: Record<string, never>): LedgerSession {
  const { check_ok, commit_number, bytes_in, bytes_out, complete, deletes_refused, ...rest } = row;
  return {
    ...(rest as unknown as LedgerSession),
    complete: complete === 1,
    checkOk: check_ok === null ? null : check_ok === 1,
    transaction: commit_number ?? null,
    bytesIn: bytes_in ?? 0,
    bytesOut: bytes_out ?? 0,
    deletesRefused: deletes_refused ?? 0,
  };
}

interface TotalRow {
  repository: string;
  kind: Kind;
  complete: number;
  sessions: number;
  bytes_in: number;
  bytes_out: number;
}

const totalOf = ({ repository, kind, complete, sessions, bytes_in, bytes_out }: TotalRow): Total => ({
  ...{ repository, kind, complete: complete === 1, sessions },
  ...{ bytesIn: bytes_in, bytesOut: bytes_out },
});

interface HistoryRow {
  broken_off: number;
  repository: string;
  last_backup: number | null;
  last_check: number | null;
  last_check_ok: number | null;
  last_compact: number | null;
  commit_number: number | null;
  kind: Kind | null;
}

function historyOf(row: HistoryRow): History {
  return {
    lastBackup: row.last_backup,
    lastCheck: row.last_check,
    lastCheckOk: row.last_check_ok === null ? null : row.last_check_ok === 1,
    lastCompact: row.last_compact,
    transaction: row.commit_number,
    kind: row.kind,
    brokenOff: row.broken_off,
  };
}

interface StateRow {
  repository: string;
  commit_number: number | null;
  last_commit: number | null;
  size: number | null;
  reclaimable: number | null;
  objects: number | null;
  lock: string | null;
  unfinished: number;
  problem: string | null;
}

function stateOf(row: StateRow): RepositoryState {
  const { repository, size, reclaimable, objects, problem } = row;
  return {
    ...{ repository, size, reclaimable, objects, problem },
    commit: row.commit_number,
    lastCommit: row.last_commit,
    lock: row.lock === null ? null : JSON.parse(row.lock),
    unfinished: row.unfinished === 1,
  };
}
