import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import type { Status } from "../../../src/ledger/status.ts";
import type { Published, PublishedRepository, PublishedSession } from "../../../src/teller/published.ts";
import { nameOfSessions } from "../../../src/teller/published.ts";

// What a keeper could publish.

const hour = 3600 * 1000;

export function repository(
  name: string,
  now: number,
  status: Partial<Status> = {},
  rest: Partial<PublishedRepository> = {},
): PublishedRepository {
  return {
    status: {
      ...{ repository: name, accounts: [name], lastBackup: now - 7 * hour, lastCommit: now - 7 * hour },
      ...{ lastKind: "create", size: 212e9, reclaimable: 8.4e9, objects: 48_000, quota: null },
      ...{ lastCheck: now - 50 * hour, lastCheckOk: true, lastCompact: now - 240 * hour, lock: null },
      ...{ unfinished: false, brokenOff: 0, late: false, archived: false, problem: null },
      ...status,
    },
    lateAfter: 26 * hour,
    days: Array.from({ length: 30 }, (_, day) => ({ backups: 1, size: 2e11 + day * 4e8 })),
    totals: [{ kind: "create", complete: true, sessions: 30, bytesIn: 2.1e11, bytesOut: 3e6 }],
    ...rest,
  };
}

/** Nothing of which anything is known. */
export const unknown: Partial<Status> = {
  ...{ lastBackup: null, lastCommit: null, lastKind: null, size: null, reclaimable: null, objects: null },
  ...{ lastCheck: null, lastCheckOk: null, lastCompact: null },
};

export function published(
  repositories: PublishedRepository[],
  now: number,
  rest: Partial<Published> = {},
): Published {
  return {
    ...{ made: now, node: "backup", version: "1.0.0", problems: 0, repositories },
    index: { accounts: repositories.length, keys: repositories.length, published: now - 100 * hour },
    settings: now - 200 * hour,
    storage: { free: 1.2e12, size: 4e12 },
    ...rest,
  };
}

export function session(now: number, rest: Partial<PublishedSession> = {}): PublishedSession {
  return {
    ...{ id: "1-2", node: "backup", account: "web", role: "repo", address: "192.0.2.7", repository: "web" },
    ...{ borg: "1.4.5", began: now - hour, ended: now - hour + 61_000, kind: "create", complete: true },
    ...{ code: 0, committed: now - hour + 60_000, transaction: 7, checkOk: null, puts: 12, deletes: 0 },
    ...{ bytesIn: 5e9, bytesOut: 3e6, refused: 0, deletesRefused: 0 },
    ...rest,
  };
}

/** Writes it as a keeper does. */
export function publish(
  folder: string,
  state: Published,
  sessions: Record<string, PublishedSession[]> = {},
): void {
  mkdirSync(`${folder}/sessions`, { recursive: true });
  for (const [name, of] of Object.entries(sessions))
    put(`${folder}/sessions/${nameOfSessions(name)}`, JSON.stringify(of));
  put(`${folder}/state.json`, JSON.stringify(state));
}

export function put(file: string, content: string): void {
  writeFileSync(`${file}.new`, content);
  renameSync(`${file}.new`, file);
}
