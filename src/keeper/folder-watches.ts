import { type FSWatcher, statSync, watch } from "node:fs";
import { basename } from "node:path";
import { reasonOf } from "../failure.ts";
import { isLeftover } from "../keys/account.ts";
import type { Problem } from "../problem.ts";

/** Watches of a few folders themselves: inotify(7) then tells of names that come and go, and of changes of files. */
export class FolderWatches {
  readonly #folders: readonly string[];
  readonly #changed: () => void;
  readonly #open = new Map<string, { watcher: FSWatcher; folder: string }>();
  readonly #failed = new Map<string, string>();

  /** @param changed is called for each change */
  constructor(folders: readonly string[], changed: () => void) {
    this.#folders = folders;
    this.#changed = changed;
  }

  /**
   * Opens the watches that are missing. A watch is of one folder, wherever it goes: where another one is at its path, that
   * one is watched instead.
   * @returns whether one was opened or closed, so that changes may not have been told
   */
  renew(): boolean {
    let isOther = false;
    for (const path of this.#folders) {
      const folder = folderAt(path);
      const open = this.#open.get(path);
      if (open?.folder === folder || (folder === null && !open)) continue;
      this.#close(path);
      if (folder !== null) this.#watch(path, folder);
      isOther ||= open !== undefined || this.#open.has(path);
    }
    return isOther;
  }

  /** Why folders cannot be watched. */
  get problems(): Problem[] {
    return [...this.#failed].map(([where, reason]) => ({
      where,
      text: `changes are not seen at once, but every WATCH_EVERY: ${reason}`,
      hint: "The host may need more watches: sysctl fs.inotify.max_user_watches and max_user_instances.",
    }));
  }

  close(): void {
    for (const path of this.#folders) this.#close(path);
  }

  #watch(path: string, folder: string): void {
    try {
      const watcher = watch(path, { persistent: false }, (event, name) => {
        // Perhaps the folder itself went. The next one at this path may have its number.
        if (event === "rename" && name === basename(path)) this.#close(path);
        if (name === null || !isScratch(name)) this.#changed();
      });
      watcher.on("error", () => {
        this.#close(path);
        this.#changed();
      });
      this.#open.set(path, { watcher, folder });
      this.#failed.delete(path);
    } catch (error) {
      this.#failed.set(path, reasonOf(error));
    }
  }

  #close(path: string): void {
    this.#open.get(path)?.watcher.close();
    this.#open.delete(path);
    this.#failed.delete(path);
  }
}

/**
 * Whether a name is one that counts for nothing, as that of a file which is being written and will be renamed. Those that
 * begin with two dots are Kubernetes', whose links lead through them.
 */
const isScratch = (name: string) => isLeftover(name) && !name.startsWith("..");

/** Which folder is at a path; null if none is. */
function folderAt(path: string): string | null {
  try {
    const found = statSync(path);
    return found.isDirectory() ? `${found.dev}:${found.ino}` : null;
  } catch {
    return null;
  }
}
