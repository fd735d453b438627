import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { readAccountFiles } from "../accounts/account-files.ts";
import { ownIds } from "../accounts/account-plan.ts";
import { settingsFile } from "../paths.ts";
import { exitCode, ProblemsFound } from "../problem.ts";
import { type Environment, environmentOf, readSettings, type Settings } from "./settings.ts";
import { isInZoneDatabase } from "./time-zone.ts";

/**
 * The settings in force: those of the server's start, so that a shell that lost the container's environment
 * cannot change them; before a start, the environment's. Throws the problems of the environment.
 */
export function settingsInForce(environment: Environment): Settings {
  const { settings, problems } = read(environment);
  if (problems.length > 0) throw new ProblemsFound(problems, exitCode.settingProblems);
  return settingsOfStart() ?? settings;
}

/**
 * The settings that the server was started with in this container, or null where it was not. Throws where what was
 * kept of them is not what a start keeps.
 */
export function settingsOfStart(): Settings | null {
  const kept = readKept();
  if (kept === null) return null;
  const settings = parseKept(kept);
  if (settings === null)
    throw new ProblemsFound(
      [
        {
          where: settingsFile,
          text: "What the server's start kept of its settings is damaged.",
          hint: "Restart the container: each start writes the file anew.",
        },
      ],
      exitCode.settingProblems,
    );
  return settings;
}

/** Keeps the settings for the commands that follow the start. There is nothing secret in them. */
export function storeSettings(settings: Settings): void {
  writeFileSync(`${settingsFile}.new`, JSON.stringify(settings), { mode: 0o644 });
  renameSync(`${settingsFile}.new`, settingsFile);
}

const read = (environment: Environment) =>
  readSettings(environment, ownIds(readAccountFiles()), isInZoneDatabase);

/** Null for no file; empty for one that cannot be read, as for one that is. */
function readKept(): string | null {
  try {
    return readFileSync(settingsFile, "utf8");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? null : "";
  }
}

/** The settings, if they are, value by value, those that their own environment would give; else null. */
function parseKept(text: string): Settings | null {
  try {
    const kept = JSON.parse(text) as Settings;
    const { settings, problems } = read(environmentOf(kept));
    settings.landlock = kept.landlock;
    const isWhole = problems.length === 0 && [0, 1, 2, 3].includes(kept.landlock);
    return isWhole && JSON.stringify(settings) === JSON.stringify(kept) ? settings : null;
  } catch {
    return null;
  }
}
