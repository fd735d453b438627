import { chmodSync, chownSync, closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { IndexContent } from "./index-content.ts";
import { applicationId, schema, schemaVersion } from "./index-schema.ts";
import { roleNames } from "./role.ts";
import { openDatabase } from "./sqlite.ts";

/**
 * Builds a new index beside the old one and renames it over that (rename(2)): readers see one or the other,
 * whole, and a crash at any point leaves the old one. The caller holds the lock (lock.ts).
 * @param group numeric group that may read it
 */
export function publishIndex(file: string, { settings, accounts }: IndexContent, group: number): void {
  const unfinished = `${file}.new`;
  rmSync(unfinished, { force: true });
  const database = openDatabase(unfinished, { readonly: false, timeout: 0 });
  // No journal while it is built (a crash leaves a file that nobody reads); the finished file is in rollback
  // mode, which a reader without write access can open.
  database.pragma("journal_mode = OFF");
  database.pragma("synchronous = OFF");
  database.pragma(`application_id = ${applicationId}`);
  database.pragma(`user_version = ${schemaVersion}`);
  database.exec(schema);
  const role = database.prepare("INSERT INTO role VALUES (?, ?, ?)");
  const account = database.prepare("INSERT INTO account VALUES (?, ?, ?)");
  const grant = database.prepare("INSERT INTO grant VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  database.transaction(() => {
    for (const name of roleNames)
      role.run(name, JSON.stringify(settings.extraArguments[name]), settings.landlock);
    for (const { name, role, source, keys } of accounts) {
      account.run(name, role, source);
      for (const { fingerprint, type, blob, addresses, expires, line, comment } of keys)
        grant.run(name, fingerprint, role, type, blob, addresses, expires, line, comment);
    }
  })();
  database.close();
  chownSync(unfinished, 0, group);
  chmodSync(unfinished, 0o640);
  sync(unfinished);
  renameSync(unfinished, file);
  sync(dirname(file));
}

/** Forces a file, or the names in a folder, to disk (fsync(2)). */
function sync(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
