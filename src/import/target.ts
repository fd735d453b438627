import { posix } from "node:path";
import { printable } from "../printable.ts";
import { isRefusal, type Problem, type Refusal } from "../problem.ts";
import { accountName } from "./account-name.ts";
import type { Grant } from "./grant.ts";

/** What is at a path of the other server, as it is seen from here. */
export type Seen =
  /** Neither it nor the folder that it would be in. */
  | { is: "unseen" }
  | { is: "unreadable"; why: string }
  /** The repositories in it, by their paths below it (an empty one: itself), and where each one really is. */
  | { is: "seen"; repositories: { path: string; real: string }[] };

/** What is here already. */
export interface Here {
  look(path: string): Seen;
  isSystemName(name: string): boolean;
  /** The path below the key folder of the key file with this name, in any letter case and role; null if there is none. */
  keyFile(name: string): string | null;
  /** What is in a file below the key folder; null if there is none. */
  content(path: string): string | null;
  /** What is in /repos under a name: nothing, something, or what is really at this path. */
  repository(name: string, real: string | null): "free" | "taken" | "same";
}

/** A repository of the other server, and who opens it. */
export interface Target {
  path: string;
  /** Where it is to be moved from; null if there is nothing yet. */
  real: string | null;
  grants: Grant[];
  /** The name that its account should have. */
  wanted: string;
  /** The path of the line that the name is from: that of the longest counts. */
  by: string;
}

/** What is told of a line, each with its place. */
interface Told {
  left: Problem[];
  remarks: Problem[];
}

type Open = Grant["opens"][0];

export const pathsOf = (grants: readonly Grant[]) =>
  grants.flatMap(({ opens }) => opens.map(({ path }) => path));

/** All folders that paths are in, at whatever depth. */
export function foldersOf(paths: Iterable<string>): Set<string> {
  const folders = new Set<string>();
  for (const path of paths)
    for (let each = posix.dirname(path); each !== "/" && !folders.has(each); each = posix.dirname(each))
      folders.add(each);
  return folders;
}

/** The repositories that keys open. @param all also the keys that open all of them */
export function targetsOf(
  grants: readonly Grant[],
  all: readonly Grant[],
  here: Here,
  { left }: Told,
): Target[] {
  const targets = new Map<string, Target>();
  const paths = new Set(pathsOf(all));
  const folders = foldersOf(paths);
  const isShared = (path: string) => paths.size === 1 || folders.has(path);
  for (const grant of grants)
    for (const open of grant.opens) {
      const opened = repositoriesOf(open, all.length > 1 && isShared(open.path), here);
      if (isRefusal(opened)) {
        left.push({ ...grant.place, ...opened });
        continue;
      }
      for (const { path, real } of opened) {
        const wanted = wantedName(grant, open, path, opened.length === 1, isShared(open.path));
        const target = targets.get(path) ?? { path, real, grants: [], wanted, by: open.path };
        targets.set(path, target);
        target.grants.push(grant);
        if (open.path.length > target.by.length) Object.assign(target, { wanted, by: open.path });
      }
    }
  return [...targets.values()];
}

/** @param isOfAll whether the folder is not one client's */
function repositoriesOf(
  { path, isRepository }: Open,
  isOfAll: boolean,
  here: Here,
): Pick<Target, "path" | "real">[] | Refusal {
  const seen = here.look(path);
  if (seen.is === "unreadable")
    return { text: `${printable(path)} cannot be looked at: ${seen.why}`, hint: "" };
  if (seen.is === "unseen" && !isRepository)
    return {
      text: `${path} is not here, so which repositories are in it is not known`,
      hint: "Mount the other server's folder at this path, and run this again.",
    };
  const inside = seen.is === "seen" ? seen.repositories : [{ path, real: path }];
  const opened = isRepository ? inside.filter((each) => each.path === path) : inside;
  if ([path, ...opened.flatMap(Object.values)].some((each) => printable(each) !== each))
    return { text: "a path has characters that cannot be shown", hint: "Rename it on the other server." };
  if (opened.length > 0) return opened;
  // Nobody has begun it.
  if (isRepository || !isOfAll) return [{ path, real: null }];
  return {
    text: `there is no repository in ${path}, so the key opens none`,
    hint: "Write the key file of the repository that its client will begin.",
  };
}

/**
 * The name that the account of a repository should have.
 * @param isOnly whether the folder has no other repository
 * @param isShared whether the folder is not one client's
 */
function wantedName(
  { called }: Grant,
  { path, isRepository }: Open,
  repository: string,
  isOnly: boolean,
  isShared: boolean,
): string {
  const folder = called ?? posix.basename(path);
  if (isRepository || repository === path) return folder;
  const inside = posix.relative(path, repository).replaceAll("/", "-");
  if (isShared && called === undefined) return inside;
  return isOnly ? folder : `${folder}-${inside}`;
}

/** Each repository with its name here. Those that have none are left. */
export function namesOf(
  targets: readonly Target[],
  here: Here,
  { left, remarks }: Told,
): Map<Target, string> {
  const nameFor = (text: string) =>
    accountName(text, (name) => name === "default" || here.isSystemName(name));
  const wanting = new Map<string | undefined, number>();
  for (const { wanted } of targets) {
    const name = nameFor(wanted)?.toLowerCase();
    wanting.set(name, (wanting.get(name) ?? 0) + 1);
  }
  const names = new Map<Target, string>();
  const used = new Map<string, Target>();
  for (const target of targets) {
    const first = nameFor(target.wanted);
    const isAmbiguous = first !== null && wanting.get(first.toLowerCase())! > 1;
    const parent = posix.basename(posix.dirname(target.path));
    const name = isAmbiguous ? nameFor(`${parent}-${posix.basename(target.path)}`) : first;
    const other = name !== null && used.get(name.toLowerCase());
    const { place } = target.grants[0]!;
    if (name === null || other) {
      left.push({
        ...place,
        text: other
          ? `${target.path} and ${other.path} would both be ${name}`
          : `${target.path} has no name that an account can have`,
        hint: "Rename it on the other server, and in a copy of the file.",
      });
      continue;
    }
    used.set(name.toLowerCase(), target);
    names.set(target, name);
    if (name !== target.wanted)
      remarks.push({
        ...place,
        text: `${target.path} is called ${name} here, because "${target.wanted}" is ${isAmbiguous ? "another's name too" : "not a name for an account"}`,
        hint: "",
      });
  }
  return names;
}
