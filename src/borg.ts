import { spawnSync } from "node:child_process";
import { chownSync, mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { borgHome, repositoryFolder } from "./paths.ts";
import type { Problem } from "./problem.ts";
import { OperatorError, say } from "./report.ts";
import { listRepositories, type Owner } from "./repositories.ts";
import { roleNames, roles } from "./role.ts";
import type { Settings } from "./settings.ts";

/** Has borg test itself (its manual, BORG_SELFTEST): once here, so that sessions need not. @returns borg's version */
export function testBorg(): string {
  const { status, stdout, stderr, error } = borg(["--version"], {});
  if (error || status !== 0)
    throw new OperatorError(`borg does not start: ${error?.message ?? stderr.trim()}`);
  const test = borg(["serve"], {});
  if (test.status !== 0)
    throw new OperatorError(
      `borg's self-test fails:\n${test.stderr.trim()}`,
      "This borg cannot be trusted with backups: repair or replace it.",
    );
  return stdout.trim();
}

/** Extra arguments that borg serve refuses, judged by borg itself: given no client, it parses them and ends. */
export function refusedExtraArguments({ extraArguments }: Settings): Problem[] {
  return roleNames.flatMap((role) => {
    if (extraArguments[role].length === 0) return [];
    const { status, stderr } = borg(["serve", ...extraArguments[role]], { BORG_SELFTEST: "disabled" });
    if (status === 0) return [];
    const reason = stderr.trim().split("\n").at(-1) ?? "";
    return [
      {
        where: roles[role].setting,
        text: `borg serve does not accept it: ${reason}.`,
        hint: "See borg serve --help.",
      },
    ];
  });
}

/**
 * Runs a borg command as the owner of the repositories, never as root. The word `all` stands for every
 * repository, one after the other.
 * @returns the exit code; of several runs the worst
 */
export function runBorg(words: readonly string[], owner: Owner): number {
  if (!words.includes("all")) return runAsOwner(words, owner);
  const repositories = listRepositories(repositoryFolder);
  if (repositories.length === 0)
    throw new OperatorError(`there is no repository under ${repositoryFolder} yet`);
  let worst = 0;
  for (const repository of repositories) {
    say(`${repository}:`);
    worst = Math.max(
      worst,
      runAsOwner(
        words.map((word) => (word === "all" ? repository : word)),
        owner,
      ),
    );
  }
  return worst;
}

function runAsOwner(words: readonly string[], { uid, gid }: Owner): number {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) {
    mkdirSync(borgHome, { recursive: true, mode: 0o700 });
    chownSync(borgHome, uid, gid);
  }
  const dropRoot = isRoot
    ? ["setpriv", "--reuid", `${uid}`, "--regid", `${gid}`, "--clear-groups", "--"]
    : [];
  const [program = "borg", ...rest] = [...dropRoot, "borg", ...words];
  const { status, signal, error } = spawnSync(program, rest, {
    stdio: "inherit",
    env: {
      // borg asks before it opens a repository that it does not know; these are all the server's own.
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes",
      ...process.env,
      HOME: borgHome,
      // As in sessions (scripts/session): borg clears a dead process's lock only under the same host id.
      BORG_HOST_ID: hostname(),
    },
  });
  if (error) throw error;
  return signal ? 128 : (status ?? 1);
}

function borg(words: string[], environment: Record<string, string>) {
  return spawnSync("borg", words, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, ...environment },
  });
}
