import { reasonOf } from "../failure.ts";
import { keyFolder } from "../paths.ts";
import type { Problem } from "../problem.ts";
import { fewOf, note } from "../report.ts";
import { roleNames, roles } from "../role.ts";
import { Alarm } from "./alarm.ts";
import { Burst } from "./burst.ts";
import { inChild } from "./child.ts";
import { areLarge, isToldOf, lookAtFiles, lookAtFolders } from "./folder-look.ts";
import { FolderWatches } from "./folder-watches.ts";
import type { KeyProblems } from "./key-problems.ts";
import { RemovedLately } from "./removal.ts";
import type { RevokedConnections } from "./revoked-connections.ts";
import type { Remembered, TakenUp } from "./take-up.ts";
import { ToldProblems } from "./told-problems.ts";

/** The folders whose files say who may do what. */
const fileFolders = [...roleNames.map((role) => roles[role].folder), "settings"].map(
  (name) => `${keyFolder}/${name}`,
);
const folders = [keyFolder, ...fileFolders];

const patience = { quiet: 100, longest: 400 };
/** A look at all files where the system tells of changes takes no more than this share of the time. */
const shareOfLooks = 1 / 1000;
/** How long taking up changes may keep the next from being taken up, in milliseconds, so that a long burst leaves the processor to others. */
const longestRest = 5000;
/** The longest pause between two tries where something is wrong, in milliseconds. */
const longestRetry = 600_000;

/**
 * Takes up changes in the key folder, soon after they are made.
 * @param every how often it is looked at where the file system does not tell, in milliseconds
 * @param revoked is told when keys may have been taken away
 */
export async function watchKeyFolder(
  every: number,
  revoked: RevokedConnections,
  problems: KeyProblems,
): Promise<never> {
  const watched = new WatchedFolder(every, revoked, problems);
  try {
    return await watched.keep();
  } finally {
    watched.close();
  }
}

class WatchedFolder {
  readonly #every: number;
  readonly #revoked: RevokedConnections;
  readonly #keyProblems: KeyProblems;
  readonly #alarm = new Alarm();
  readonly #burst = new Burst(patience);
  readonly #watches: FolderWatches;
  readonly #told = new ToldProblems();
  readonly #removed = new RemovedLately();
  #folders: Remembered["folders"] = {};
  /** What was wrong when changes were last taken up. */
  #problems: readonly Problem[] = [];
  /** What was seen before the last time that changes were taken up; null for what was not looked at. */
  #taken: { folders: string; files: string | null } | null = null;
  #files: string | null = null;
  #nextLook = 0;
  /** Before that, the files are not looked at where the system tells of changes. */
  #nextFiles = 0;
  #retry = { at: Number.POSITIVE_INFINITY, pause: 0 };
  /** Before that, changes are not taken up again. */
  #restUntil = 0;

  constructor(every: number, revoked: RevokedConnections, problems: KeyProblems) {
    this.#every = every;
    this.#keyProblems = problems;
    this.#revoked = revoked;
    this.#watches = new FolderWatches(folders, () => {
      this.#burst.add(performance.now());
      this.#alarm.ring();
    });
  }

  close(): void {
    this.#watches.close();
  }

  async keep(): Promise<never> {
    for (;;) {
      const now = performance.now();
      if (this.#watches.renew()) this.#burst.add(now);
      if (now >= this.#nextLook) {
        this.#nextLook = now + this.#every;
        if (await this.#look(now)) await this.#takeUp();
      }
      const due = Math.max(Math.min(this.#burst.due, this.#told.due, this.#retry.at), this.#restUntil);
      if (performance.now() >= due) await this.#takeUp();
      else await this.#alarm.wait(Math.min(due, this.#nextLook) - performance.now());
    }
  }

  /** Whether something is other than it was when changes were last taken up. */
  async #look(now: number): Promise<boolean> {
    const isOther = this.#taken?.folders !== lookAtFolders(folders);
    if (now < this.#nextFiles && folders.every(isToldOf)) return isOther;
    this.#files = areLarge(fileFolders)
      ? await inChild<string>("look", fileFolders)
      : lookAtFiles(fileFolders);
    this.#nextFiles = now + (performance.now() - now) / shareOfLooks;
    return isOther || this.#taken?.files !== this.#files;
  }

  async #takeUp(): Promise<void> {
    const begun = performance.now();
    this.#burst.end();
    // What changes from here on is seen by the next look.
    const taken = { folders: lookAtFolders(folders), files: this.#files };
    this.#files = null;
    const failure = await this.#inChild(begun);
    this.#taken = taken;
    const now = performance.now();
    this.#restUntil = now + Math.min(now - begun, longestRest);
    const problems = failure ? [...this.#problems, failure] : this.#problems;
    this.#tell([...problems, ...this.#watches.problems], now);
    if (problems.length === 0) this.#retry = { at: Number.POSITIVE_INFINITY, pause: 0 };
    else if (begun >= this.#retry.at || this.#retry.pause === 0) {
      const pause = Math.min(Math.max(2 * this.#retry.pause, this.#every), longestRetry);
      this.#retry = { at: now + pause, pause };
    }
  }

  /** @returns why it could not be found out whether anything has changed, or null */
  async #inChild(begun: number): Promise<Problem | null> {
    const removedLately = this.#removed.count(begun);
    const remembered: Remembered = { removedLately, isHeld: this.#removed.isHeld, folders: this.#folders };
    let taken: TakenUp;
    try {
      taken = await inChild<TakenUp>("take-up", remembered);
    } catch (error) {
      return { where: keyFolder, text: `changes are not taken up: ${reasonOf(error)}`, hint: "" };
    }
    this.#removed.add(performance.now(), taken.removed, taken.isHeld);
    this.#folders = taken.folders;
    this.#problems = taken.problems;
    for (const line of fewOf(taken.lines)) note(line);
    this.#revoked.look(taken.isRevoking);
    return null;
  }

  #tell(problems: readonly Problem[], now: number): void {
    const { appeared, mended } = this.#told.next(problems, now);
    if (appeared.length + mended.length > 0) this.#keyProblems.set(this.#told.all.map(lineOf));
    const hints = new Map(appeared.map((problem) => [lineOf(problem), problem.hint]));
    for (const line of fewOf([...hints.keys()])) note(line, hints.get(line));
    for (const line of fewOf(mended.map(lineOf))) note(`mended: ${line}`);
  }
}

const lineOf = ({ where, line, text }: Problem) => `${where}${line === undefined ? "" : `:${line}`}: ${text}`;
