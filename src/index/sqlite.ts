import { Database } from "bun:sqlite";

export type { Database };

/**
 * Opens a database with the SQLite that is part of the runtime. One that is opened for reading must exist.
 * @param timeout how long to wait for another process's lock, in milliseconds
 */
export function openDatabase(
  file: string,
  { readonly, timeout }: { readonly: boolean; timeout: number },
): Database {
  const database = new Database(file, readonly ? { readonly } : { create: true });
  database.exec(`PRAGMA busy_timeout = ${timeout}`);
  return database;
}

/** What a pragma says that has one value. */
export function pragma(database: Database, name: string): unknown {
  return Object.values(database.prepare<Record<string, unknown>>(`PRAGMA ${name}`).get() ?? {})[0];
}
