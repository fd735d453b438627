/** What the modules under test use of Bun, on Node. */
import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

export class Database extends DatabaseSync {
  constructor(file: string, { readonly = false }: { readonly?: boolean }) {
    super(file, { readOnly: readonly });
  }
}

export const file = (path: string) => ({ size: statSync(path, { throwIfNoEntry: false })?.size ?? 0 });
