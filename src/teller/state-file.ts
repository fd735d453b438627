import { readFileSync, statSync } from "node:fs";
import { codeOf, reasonOf } from "../failure.ts";
import { note } from "../report.ts";
import { nameOfSessions, type Published, type PublishedSession } from "./published.ts";

/** What the keeper published last, read again whenever it has changed. */
export class StateFile {
  readonly #folder: string;
  #seen = "";
  #state: Published | null = null;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @returns null where there is none, or none that can be read */
  read(): Published | null {
    const file = `${this.#folder}/state.json`;
    const seen = signOf(file);
    if (seen !== this.#seen) {
      this.#state = seen === "" ? null : parse(file);
      this.#seen = seen;
    }
    return this.#state;
  }

  /** The last sessions of a repository, the newest first. */
  sessions(repository: string): PublishedSession[] {
    try {
      const sessions = JSON.parse(
        readFileSync(`${this.#folder}/sessions/${nameOfSessions(repository)}`, "utf8"),
      );
      if (Array.isArray(sessions)) return sessions;
      throw new Error(otherForm);
    } catch (error) {
      if (codeOf(error) !== "ENOENT")
        note(`the sessions of ${repository} cannot be read: ${reasonOf(error)}`);
      return [];
    }
  }
}

const otherForm = "it is of another form";

/** What changes with a file that is replaced; empty where there is none. */
function signOf(file: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(file);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return "";
  }
}

function parse(file: string): Published | null {
  try {
    const state: Published = JSON.parse(readFileSync(file, "utf8"));
    if (typeof state.made === "number" && Array.isArray(state.repositories)) return state;
    throw new Error(otherForm);
  } catch (error) {
    note(`the state ${file} cannot be read: ${reasonOf(error)}`);
    return null;
  }
}
