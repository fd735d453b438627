import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { readAccountFiles } from "./account-files.ts";
import { reservedIds } from "./account-plan.ts";
import { settingsFile } from "./paths.ts";
import { exitCode, ProblemsFound } from "./report.ts";
import { type Environment, readSettings, type Settings } from "./settings.ts";

/**
 * The settings in force: those of the server's start, so that a shell that lost the container's environment
 * cannot change them; before a start, the environment's. Throws the problems of the environment.
 */
export function settingsInForce(environment: Environment): Settings {
  const { settings, problems } = readSettings(environment, reservedIds(readAccountFiles()));
  if (problems.length > 0) throw new ProblemsFound(problems, exitCode.settingProblems);
  return settingsOfStart() ?? settings;
}

/** The settings that the server was started with in this container, or null where it was not. */
export function settingsOfStart(): Settings | null {
  if (!existsSync(settingsFile)) return null;
  return JSON.parse(readFileSync(settingsFile, "utf8"));
}

/** Keeps the settings for the commands that follow the start. There is nothing secret in them. */
export function storeSettings(settings: Settings): void {
  writeFileSync(`${settingsFile}.new`, JSON.stringify(settings), { mode: 0o644 });
  renameSync(`${settingsFile}.new`, settingsFile);
}
