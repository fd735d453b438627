import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { borgFile } from "../paths.ts";

/** What the own files of a repository say (libexec/state.py). Times are milliseconds since 1970, sizes bytes. */
export interface RepositoryState {
  repository: string;
  /** The number of its last commit; null if there is none, or no repository. */
  commit: number | null;
  lastCommit: number | null;
  size: number | null;
  /** What a compaction would free. */
  reclaimable: number | null;
  objects: number | null;
  lock: RepositoryLock | null;
  /** Whether a session left segments that it did not commit. */
  unfinished: boolean;
  /** Why it could not be read. */
  problem: string | null;
}

/** What a look has found. */
export interface Look {
  state: RepositoryState;
  /** Whether it may be another problem, or none, in a moment: somebody was writing. */
  isPassing: boolean;
}

export interface RepositoryLock {
  kind: "exclusive" | "shared";
  host: string;
  pid: number;
  since: number;
}

/** How long the reader may say nothing, in milliseconds: by then a repository has used up its own time, and is told. */
const patience = 120_000;

/**
 * Has repositories read, by a process that can do nothing else. One that it does not come through is told as a problem
 * of that repository, and it goes on behind it.
 * @param known the states that are known, by name: of those that have not changed, only the lock is looked at
 */
export async function readStates(
  repositories: readonly string[],
  known: ReadonlyMap<string, RepositoryState>,
): Promise<Look[]> {
  const looks: Look[] = [];
  let left = [...repositories];
  while (left.length > 0) {
    const read = await readAsFarAsPossible(left, known);
    looks.push(...read);
    left = left.slice(read.length);
    const [culprit, ...others] = left;
    if (culprit === undefined) break;
    looks.push(unread(culprit, "reading it took too much time or memory"));
    left = others;
  }
  return looks;
}

function readAsFarAsPossible(
  repositories: readonly string[],
  known: ReadonlyMap<string, RepositoryState>,
): Promise<Look[]> {
  return new Promise((resolve, reject) => {
    const reader = spawn(borgFile, ["read-state"], { stdio: ["pipe", "pipe", "inherit"], cwd: "/" });
    const looks: Look[] = [];
    let timer = setTimeout(() => reader.kill("SIGKILL"), patience);
    createInterface({ input: reader.stdout }).on("line", (line) => {
      clearTimeout(timer);
      timer = setTimeout(() => reader.kill("SIGKILL"), patience);
      const name = repositories[looks.length];
      if (name !== undefined) looks.push(lookIn(line, name, known.get(name)));
    });
    reader.on("error", reject);
    reader.on("close", () => {
      clearTimeout(timer);
      resolve(looks);
    });
    reader.stdin.on("error", () => {}); // it has ended; what it told counts
    reader.stdin.end(
      repositories
        .map(
          (repository) => `${JSON.stringify({ repository, known: known.get(repository)?.commit ?? null })}\n`,
        )
        .join(""),
    );
  });
}

/** Reads a line of the reader's. Lines come in the order in which repositories were asked about. */
function lookIn(line: string, repository: string, before: RepositoryState | undefined): Look {
  let said: Record<string, unknown>;
  try {
    said = JSON.parse(line);
  } catch {
    return unread(repository, "what was read of it is damaged");
  }
  const number = (name: string) => (typeof said[name] === "number" ? (said[name] as number) : null);
  const lock = said.lock as { kind: "exclusive" | "shared"; host: string; pid: number; since: number } | null;
  const now = {
    lock: lock && { ...lock, since: Math.floor(lock.since / 1e6) },
    unfinished: said.unfinished === true,
    problem: typeof said.problem === "string" ? said.problem : null,
  };
  const isPassing = said.passing === true;
  if (said.unchanged === true && before) return { state: { ...before, ...now }, isPassing };
  const lastCommit = number("last_commit");
  const state = {
    repository,
    commit: number("commit"),
    lastCommit: lastCommit === null ? null : Math.floor(lastCommit / 1e6),
    ...{ size: number("size"), reclaimable: number("reclaimable"), objects: number("objects") },
    ...now,
  };
  return { state, isPassing };
}

const unread = (repository: string, problem: string): Look => ({
  state: {
    ...{ repository, problem, commit: null, lastCommit: null, size: null, reclaimable: null, objects: null },
    ...{ lock: null, unfinished: false },
  },
  isPassing: false,
});
