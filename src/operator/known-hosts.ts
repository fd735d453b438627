import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { hostKeyFolder, runFolder } from "../paths.ts";
import { exitCode, OperatorError, ProblemsFound } from "../problem.ts";
import { say } from "../report.ts";
import { knownHosts, readHostKeys } from "../server/host-keys.ts";

/** Prints known_hosts lines for an address. @returns the exit code */
export function printKnownHosts(address: string): number {
  mkdirSync(runFolder, { recursive: true });
  const copies = mkdtempSync(`${runFolder}/known-hosts-`);
  try {
    const { keys, problems } = readHostKeys(hostKeyFolder, copies);
    if (problems.length > 0) throw new ProblemsFound(problems, exitCode.settingProblems);
    if (keys.length === 0)
      throw new OperatorError(
        `there is no host key in ${hostKeyFolder} yet`,
        "The first start of the server makes them.",
        exitCode.settingProblems,
      );
    const lines = knownHosts(address, keys);
    if (!lines) throw new OperatorError(`"${address}" is not HOST or HOST:PORT`, "", exitCode.usage);
    for (const line of lines) say(line);
    return exitCode.done;
  } finally {
    rmSync(copies, { recursive: true, force: true });
  }
}
