import Sqlite, { type Database } from "better-sqlite3";
import { reasonOf } from "./failure.ts";
import { addonFile } from "./paths.ts";
import { installAgain, OperatorError } from "./problem.ts";

export type { Database };

/**
 * Opens a database for a command; a login opens the index by itself (index/lookup.ts). One that is opened for
 * reading must exist.
 * @param timeout how long to wait for another process's lock, in milliseconds
 */
export function openDatabase(file: string, options: { readonly: boolean; timeout: number }): Database {
  return new Sqlite(file, { ...options, ...nativeBinding(), fileMustExist: options.readonly });
}

/**
 * The package's native code. The compiled program loads it from where it is installed and from nowhere else: embedded
 * in the executable, it would be unpacked into /tmp at each start. On Node, where unit tests run, the package finds
 * its own.
 */
function nativeBinding(): { nativeBinding?: string } {
  if (!("bun" in process.versions)) return {};
  loaded ??= load();
  // The package accepts loaded code as well as a path (lib/binding.js), but its type declarations know only the path.
  return { nativeBinding: loaded as string };
}

let loaded: unknown;

function load(): unknown {
  const module = { exports: {} };
  try {
    process.dlopen(module, addonFile);
  } catch (error) {
    throw new OperatorError(`${addonFile} cannot be loaded: ${reasonOf(error)}`, installAgain);
  }
  return module.exports;
}
