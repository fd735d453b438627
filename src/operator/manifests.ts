import { spawnSync } from "node:child_process";
import { asOwner, isRoot, whileOwner } from "../owner.ts";
import { borgFile, borgHome, repositoryFolder } from "../paths.ts";
import { exitCode, OperatorError } from "../problem.ts";
import { note, say } from "../report.ts";
import { keptManifests } from "../repositories/manifests.ts";
import type { InForce } from "../server/in-force.ts";
import { environmentOf } from "./borg.ts";
import { wallInForce, wallOf } from "./confined.ts";

/** Lists the manifests that were kept of a repository, the newest first. */
export function listManifests(name: string, { settings: { owner } }: InForce): number {
  const kept = whileOwner(owner, () => keptManifests(name));
  if (kept.length === 0) throw nothingKept(name);
  for (const [at, { keptAt, transaction, size }] of kept.entries())
    say(`${at + 1}  ${keptAt.toISOString()}  transaction ${transaction}  ${size} bytes`);
  return exitCode.done;
}

/** Puts one back, without the repository's key. @param number as the list counts */
export function restoreManifest(name: string, number: string, inForce: InForce): number {
  const { owner } = inForce.settings;
  const repository = `${repositoryFolder}/${name}`;
  const kept = whileOwner(owner, () => keptManifests(name));
  const chosen = kept[Number(number) - 1];
  if (!chosen) throw kept.length === 0 ? nothingKept(name) : noSuch(name, number, kept.length);
  const reach = { repository, also: [], look: [chosen.file] };
  const words = [borgFile, "put-manifest", repository, chosen.file];
  const [program = "", ...rest] = isRoot() ? asOwner(owner, words) : words;
  const wall = wallInForce(inForce) ? wallOf(reach, borgHome) : null;
  const { status, error } = spawnSync(program, rest, {
    stdio: ["ignore", "inherit", "inherit"],
    env: environmentOf(inForce.isServing, borgHome, wall),
  });
  if (status !== 0)
    throw new OperatorError(`the manifest was not put back: ${error?.message ?? `exit ${status}`}`);
  note(
    `${repository} lists its archives as of ${chosen.keptAt.toISOString()} again`,
    "A client that knows a later state takes that for an attack, until it has forgotten it: borg delete --cache-only, and its folder below ~/.config/borg/security.",
  );
  return exitCode.done;
}

const nothingKept = (name: string) =>
  new OperatorError(
    `no manifests are kept of ${repositoryFolder}/${name}`,
    "They are kept of repositories of append-only accounts, from their second session on.",
  );

const noSuch = (name: string, number: string, all: number) =>
  new OperatorError(
    `"${number}" is not one of the manifests kept of ${name}`,
    `Choose a number from 1 to ${all}: borgserver manifests ${name}`,
    exitCode.usage,
  );
