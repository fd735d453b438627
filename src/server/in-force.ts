import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { readAccountFiles } from "../accounts/account-files.ts";
import { ownIds } from "../accounts/system-accounts.ts";
import { codeOf } from "../failure.ts";
import { borgAccount } from "../keys/borg-sshkeys.ts";
import { settingsFile } from "../paths.ts";
import { exitCode, type Problem, ProblemsFound } from "../problem.ts";
import { type Environment, environmentOf, readSettings, type Settings } from "./settings.ts";
import { isInZoneDatabase } from "./time-zone.ts";

/** The settings that are in force in this container. */
export interface InForce {
  settings: Settings;
  /** Whether the kernel is to confine sessions and operators' commands, as far as it can. */
  walled: boolean;
  /** Why the guard in borg serve does not hold here, as the start found out; empty where it does, and before a start. */
  unguarded: string;
  /** Whether the server was started in this container. */
  isServing: boolean;
}

/**
 * What is in force: what the server was started with, so that a shell without the container's environment cannot change
 * it; before a start, the environment. Throws the problems of the environment.
 */
export function inForce(environment: Environment): InForce {
  const { settings, problems } = readAll(environment);
  if (problems.length > 0) throw new ProblemsFound(problems, exitCode.settingProblems);
  return (
    inForceSinceStart() ?? {
      settings,
      walled: settings.sandbox !== "off",
      unguarded: "",
      isServing: false,
    }
  );
}

/** What the server was started with in this container, or null if it was not. Throws if the record of that is damaged. */
export function inForceSinceStart(): InForce | null {
  const kept = readKept();
  if (kept === null) return null;
  const found = parseKept(kept);
  if (found === null)
    throw new ProblemsFound(
      [
        {
          where: settingsFile,
          text: "the settings that the server's start stored are damaged",
          hint: "Restart the container: each start writes the file anew.",
        },
      ],
      exitCode.settingProblems,
    );
  return found;
}

/** Records it for the commands that follow the start. There is nothing secret in it. */
export function keepInForce(inForce: Omit<InForce, "isServing">): void {
  writeFileSync(`${settingsFile}.new`, textOf(inForce), { mode: 0o644 });
  renameSync(`${settingsFile}.new`, settingsFile);
}

/** The settings and every problem, those of the keys in BORG_SSHKEYS included. */
export function readAll(environment: Environment): { settings: Settings; problems: Problem[] } {
  const { settings, problems } = readSettings(environment, ownIds(readAccountFiles()), isInZoneDatabase);
  return { settings, problems: [...problems, ...borgAccount(settings).problems] };
}

const textOf = ({ settings: { owner, ...settings }, walled, unguarded }: Omit<InForce, "isServing">) =>
  JSON.stringify({ ...owner, ...settings, walled, unguarded });

/** Null if there is no file; empty if it cannot be read, or is empty. */
function readKept(): string | null {
  try {
    return readFileSync(settingsFile, "utf8");
  } catch (error) {
    return codeOf(error) === "ENOENT" ? null : "";
  }
}

/** What was recorded, if each value is what its own environment would give; otherwise null. */
function parseKept(text: string): InForce | null {
  try {
    const { uid, gid, walled, unguarded, ...kept } = JSON.parse(text);
    const { settings, problems } = readAll(environmentOf({ owner: { uid, gid }, ...kept }));
    const found = { settings, walled, unguarded };
    const isWhole = problems.length === 0 && typeof walled === "boolean" && typeof unguarded === "string";
    return isWhole && textOf(found) === text ? { ...found, isServing: true } : null;
  } catch {
    return null;
  }
}
