import { readFileSync } from "node:fs";
import { reasonOf } from "../failure.ts";
import { exitCode } from "../problem.ts";
import { note, reportFailure, sayJson } from "../report.ts";
import type { Settings } from "../server/settings.ts";
import { inChild } from "./child.ts";
import { keepLedger } from "./keep-ledger.ts";
import { KeyProblems } from "./key-problems.ts";
import { RevokedConnections } from "./revoked-connections.ts";
import { watchKeyFolder } from "./watched-folder.ts";

/** What the keeper does: parts without an end, and null for one that is switched off. What fails in one does not end another. */
function partsOf(settings: Settings): { what: string; keep: (() => Promise<never>) | null }[] {
  const { watchEvery } = settings;
  const revoked = new RevokedConnections();
  const problems = new KeyProblems();
  return [
    {
      what: "watching /sshkeys",
      keep: watchEvery === null ? null : () => watchKeyFolder(watchEvery * 1000, revoked, problems),
    },
    { what: "keeping the ledger", keep: () => keepLedger(settings, problems) },
    { what: "ending connections of removed keys", keep: () => revoked.keep() },
  ];
}

/** What it has done by processes of their own (child.ts). */
const tasks: Record<string, (question: never) => Promise<unknown>> = {
  settings: async () => (await import("../server/in-force.ts")).inForceSinceStart()?.settings ?? null,
  look: async (folders) => (await import("./folder-look.ts")).lookAtFiles(folders),
  "take-up": async (question) => (await import("./take-up.ts")).takeUp(question),
  "write-metrics": async (file) => (await import("./write-metrics.ts")).writeMetrics(file),
  repositories: async (question) => {
    const inForce = (await import("../server/in-force.ts")).inForceSinceStart();
    if (!inForce) return [];
    return (await import("./repositories.ts")).repositoriesToLookAt(question, inForce.settings.owner);
  },
  "end-revoked": async (question) => (await import("./end-revoked.ts")).endRevoked(question),
};

/** How long a part that failed is left alone, in milliseconds. */
const pause = 10_000;

/**
 * The keeper: a process beside sshd that no login and no session depends on.
 * @param words a task's name, for a process that does it
 * @returns the exit code; a keeper goes on until it is killed
 */
export async function keep(words: readonly string[]): Promise<number> {
  process.umask(0o022);
  try {
    const task = tasks[words[0] ?? ""];
    if (task) {
      sayJson(await task(JSON.parse(readFileSync(0, "utf8")) as never));
      return exitCode.done;
    }
    // What reads them would stay in this process's memory.
    const settings = await inChild<Settings | null>("settings", null);
    if (!settings) {
      note("no server was started in this container, so there is nothing to keep");
      return exitCode.failed;
    }
    process.on("uncaughtException", (error) => note(`the keeper goes on after a fault: ${reasonOf(error)}`));
    for (const { what, keep } of partsOf(settings)) if (keep) goOn(what, keep);
    return await new Promise<never>(() => setInterval(() => {}, 2 ** 31 - 1)); // also where all is switched off
  } catch (error) {
    return reportFailure(error);
  }
}

async function goOn(what: string, keep: () => Promise<never>): Promise<never> {
  for (;;) {
    try {
      await keep();
    } catch (error) {
      note(`${what} failed and begins anew: ${reasonOf(error)}`);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
