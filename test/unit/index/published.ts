import { renameSync, rmSync } from "node:fs";
import { buildIndex, type IndexContent } from "../../../src/index/publish.ts";
import { unseen } from "../../../src/progress.ts";

/** Builds an index and puts it in the place of another. */
export function publishIndex(file: string, content: IndexContent): void {
  rmSync(`${file}.new`, { force: true });
  buildIndex(`${file}.new`, file, content, process.getgid!(), unseen);
  renameSync(`${file}.new`, file);
}
