import Sqlite from "better-sqlite3";
import { libraryFolder } from "./paths.ts";

/** An open database. */
export type Database = Sqlite.Database;

/**
 * Opens a database with the native addon that stands beside the program. Bun refuses to load an addon whose
 * file is named better_sqlite3.node (it says so itself), hence the other name; under Node, where unit tests
 * run, the package finds its own.
 * @param timeout how long to wait for another process's lock, in milliseconds
 */
export function openDatabase(file: string, options: { readonly: boolean; timeout: number }): Database {
  return new Sqlite(file, {
    ...options,
    fileMustExist: options.readonly,
    ...(addon && { nativeBinding: addon }),
  });
}

const addon = "bun" in process.versions ? loadAddon(`${libraryFolder}/sqlite.node`) : null;

function loadAddon(file: string): string {
  const module = { exports: {} };
  process.dlopen(module, file);
  // The package takes the loaded addon as well as a path (lib/database.js); its type declarations know the path alone.
  return module.exports as unknown as string;
}
