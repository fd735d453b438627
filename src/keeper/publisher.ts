import { chmodSync, chownSync, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import packageJson from "../../package.json" with { type: "json" };
import { readAccountFiles } from "../accounts/account-files.ts";
import { gidOfAccount } from "../accounts/system-accounts.ts";
import { countIndex } from "../index/read.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Expectation, Status } from "../ledger/status.ts";
import { indexFile, publishedFolder, settingsFile } from "../paths.ts";
import type { Settings } from "../server/settings.ts";
import { nameOfSessions, type Published, publishedDays } from "../teller/published.ts";
import { inChild } from "./child.ts";

/** What is published, as it was found just now. */
export interface Found {
  statuses: readonly Status[];
  expected: readonly Expectation[];
  storage: Published["storage"];
  problems: number;
}

/** In milliseconds: the shortest and the longest time between two publications, where sessions ended and where none did. */
const shortest = 2000;
const longest = 60_000;
const fewSessions = 100;
const batch = 100;

/** Writes what the teller may see into the folder that it sees (teller/published.ts). */
export class Publisher {
  readonly #settings: Settings;
  readonly #ledger: Ledger;
  /** The repositories whose sessions are to be written; null for all. */
  #changed: Set<string> | null = null;
  #last = 0;
  #group: number | null = null;

  constructor(settings: Settings, ledger: Ledger) {
    this.#settings = settings;
    this.#ledger = ledger;
  }

  /** A session of this repository was taken up. */
  changed(repository: string): void {
    this.#changed?.add(repository);
  }

  /** When what sessions changed is to be published, in milliseconds since 1970. */
  get due(): number {
    return this.#changed !== null && this.#changed.size > 0
      ? this.#last + shortest
      : Number.POSITIVE_INFINITY;
  }

  /** @param now in milliseconds since 1970 */
  async publish(found: Found, now: number): Promise<void> {
    const isDue = this.#changed === null || this.#changed.size > 0;
    if (now - this.#last < (isDue ? shortest : longest) && now >= this.#last) return;
    this.#last = now;
    this.#group ??= makeFolders();
    await this.#writeSessions(
      this.#group,
      this.#changed ?? found.statuses.map(({ repository }) => repository),
    );
    this.#changed = new Set();
    write(`${publishedFolder}/state.json`, this.#published(found, now), this.#group);
    const { metricsFile } = this.#settings;
    // What makes the text would stay in this process's memory.
    if (metricsFile !== null) await inChild("write-metrics", metricsFile);
  }

  #published({ statuses, expected, storage, problems }: Found, now: number): Published {
    const lateAfter = new Map(expected.map((each) => [each.repository, each.lateAfter]));
    const days = this.#ledger.lastDays(publishedDays, now);
    const none = Array.from({ length: publishedDays }, () => ({ backups: 0, size: null }));
    const totals = this.#ledger.totals();
    return {
      ...{
        made: now,
        node: hostname(),
        version: packageJson.version,
        index: countIndex(indexFile),
        problems,
        storage,
      },
      settings: statSync(settingsFile, { throwIfNoEntry: false })?.mtimeMs ?? null,
      repositories: statuses.map((status) => ({
        status,
        lateAfter: lateAfter.get(status.repository) ?? null,
        days: days.get(status.repository) ?? none,
        totals: (totals.get(status.repository) ?? []).map(({ repository: _, ...total }) => total),
      })),
    };
  }

  async #writeSessions(group: number, repositories: Iterable<string>): Promise<void> {
    let count = 0;
    for (const repository of repositories) {
      const sessions = this.#ledger.sessions([repository], fewSessions).map(({ key: _, ...rest }) => rest);
      write(`${publishedFolder}/sessions/${nameOfSessions(repository)}`, sessions, group);
      count += 1;
      if (count % batch === 0) await new Promise((resolve) => setImmediate(resolve)); // others wait too
    }
  }
}

/** @returns the group that may read them */
function makeFolders(): number {
  const group = gidOfAccount(readAccountFiles(), "borgteller");
  for (const folder of [publishedFolder, `${publishedFolder}/sessions`]) {
    mkdirSync(folder, { recursive: true });
    chownSync(folder, 0, group);
    chmodSync(folder, 0o750);
  }
  return group;
}

function write(file: string, value: unknown, group: number): void {
  writeFileSync(`${file}.new`, JSON.stringify(value), { mode: 0o640 });
  chownSync(`${file}.new`, 0, group);
  renameSync(`${file}.new`, file);
}
