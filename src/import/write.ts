import { linkSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { codeOf } from "../failure.ts";
import { OperatorError } from "../problem.ts";
import type { PlannedFile } from "./plan.ts";

/**
 * Writes files below the key folder that are not there yet. Each appears whole, under a name that is skipped until then, and
 * none takes the place of another. What was written stays where a later one cannot be: the next run goes on from there.
 */
export function writeFiles(folder: string, files: readonly PlannedFile[]): void {
  for (const { path, content } of files.filter(({ isThere }) => !isThere)) {
    const file = join(folder, path);
    const unfinished = join(dirname(file), `.${basename(file).slice(0, 200)}.new`);
    try {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(unfinished, content, { mode: 0o644 });
      place(unfinished, content, file);
    } catch (error) {
      throw new OperatorError(
        `${file} cannot be written (${codeOf(error)})`,
        "Then run this again: what is written stays.",
      );
    } finally {
      rmSync(unfinished, { force: true });
    }
  }
}

/** link(2) never replaces a file, as rename(2) would. Some storage has no links. */
function place(unfinished: string, content: string, file: string): void {
  try {
    linkSync(unfinished, file);
  } catch (error) {
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(codeOf(error) ?? "")) throw error;
    writeFileSync(file, content, { mode: 0o644, flag: "wx" });
  }
}
