import { nameProblem } from "../keys/account.ts";
import { unitsOfTime } from "../keys/account-settings.ts";
import { parseKeyFile } from "../keys/key-file.ts";
import { parseSettingsFile } from "../keys/settings-file.ts";
import { repositoryFolder } from "../paths.ts";
import type { Problem } from "../problem.ts";
import { type Role, roles } from "../role.ts";
import { accountName } from "./account-name.ts";
import type { Found, Grant } from "./grant.ts";
import { foldersOf, type Here, namesOf, pathsOf, type Target, targetsOf } from "./target.ts";

export interface PlannedFile {
  /** Below the key folder. */
  path: string;
  content: string;
  /** Whether it is there, with this content. */
  isThere: boolean;
  /** What it is for, for people. */
  says: string;
}

/** What is to be done so that the keys open here what they opened on the other server. */
export interface Plan {
  /** In the order in which they are to be written: settings before keys that they bind. */
  files: PlannedFile[];
  moves: { from: string; to: string }[];
  left: Problem[];
  remarks: Problem[];
  problems: Problem[];
}

/** What belongs together, and is taken over or left together: the accounts of one repository, or an admin. */
interface Draft {
  /** Of the first account. */
  name: string;
  accounts: { name: string; role: Role; grants: Grant[]; settings: string[] }[];
  target: Target | null;
}

export function planImport(found: Found, here: Here): Plan {
  const plan: Plan = {
    files: [],
    moves: [],
    left: [...found.left],
    remarks: [...found.remarks],
    problems: [...found.problems],
  };
  const admins = adminsOf(found.grants);
  const targets = targetsOf(
    found.grants.filter((grant) => !admins.has(grant)),
    found.grants,
    here,
    plan,
  );
  const names = namesOf(targets, here, plan);
  const used = new Set([...names.values()].map((name) => name.toLowerCase()));
  for (const [target, name] of names) {
    const draft = draftOf(target, name, used, here, plan);
    if (draft) settle(draft, here, plan);
  }
  for (const draft of adminDrafts([...admins], used, here, plan)) settle(draft, here, plan);
  return plan;
}

/** The keys that may do everything in a folder that holds what all others open: admins, in the words of this server. */
function adminsOf(grants: readonly Grant[]): Set<Grant> {
  const paths = pathsOf(grants);
  const folders = foldersOf(paths);
  return new Set(
    grants.filter(({ opens: [open, ...more], isAppendOnly }) => {
      if (!open || more.length > 0 || open.isRepository || isAppendOnly || !folders.has(open.path))
        return false;
      return paths.every((path) => path === open.path || path.startsWith(`${open.path}/`));
    }),
  );
}

/** The accounts of a repository: one for the keys that only add, one for those that may do everything; null if they have no name. */
function draftOf(target: Target, name: string, used: Set<string>, here: Here, plan: Plan): Draft | null {
  const accounts: Draft["accounts"] = [];
  for (const role of ["appendonly", "repo"] as const) {
    const grants = target.grants.filter(({ isAppendOnly }) => isAppendOnly === (role === "appendonly"));
    if (grants.length === 0) continue;
    const isFirst = accounts.length === 0;
    const settings = isFirst ? ofRepository(target.grants) : [`repository = "${name}"`];
    const account = isFirst ? name : `${name}-full`;
    accounts.push({ name: account, role, grants, settings: [...settings, ...quotaOf(grants, plan)] });
  }
  const second = accounts[1]?.name;
  if (
    second !== undefined &&
    (nameProblem(second) !== null || used.has(second.toLowerCase()) || here.isSystemName(second))
  ) {
    plan.left.push({
      ...target.grants[0]!.place,
      text: `${target.path} needs two accounts, because some of its keys only add, and ${second} is no free name`,
      hint: "Write its key files by hand.",
    });
    return null;
  }
  if (second !== undefined) used.add(second.toLowerCase());
  return { name, accounts, target };
}

/** The settings that hold for a repository, whoever opens it. */
function ofRepository(grants: readonly Grant[]): string[] {
  const lateAfter = Math.min(...grants.map(({ lateAfter }) => lateAfter ?? Number.POSITIVE_INFINITY));
  return [
    ...(Number.isFinite(lateAfter) ? [`late-after = "${inUnits(lateAfter)}"`] : []),
    ...(grants.some(({ isArchived }) => isArchived) ? ["archived = true"] : []),
  ];
}

/** The largest unit that leaves a whole number. */
function inUnits(seconds: number): string {
  const [unit, size] = Object.entries(unitsOfTime).findLast(([, size]) => seconds % size === 0) ?? ["s", 1];
  return `${seconds / size}${unit}`;
}

/** The line for the quota of an account. Keys with different ones are a problem: an account has one. */
function quotaOf(grants: readonly Grant[], plan: Plan): string[] {
  const [first] = grants;
  const other = grants.find(({ quota }) => quota !== first!.quota);
  if (other)
    plan.problems.push({
      ...other.place,
      text: `this key and that of ${nameOfPlace(first!)} open the same repository with different quotas`,
      hint: "Write the same into both, in a copy of the file.",
    });
  if (first!.quota === null) return [];
  const line = `quota = ${JSON.stringify(first!.quota)}`;
  for (const { text, hint } of parseSettingsFile("", line, false).problems)
    plan.problems.push({ ...first!.place, text, hint });
  return [line];
}

const nameOfPlace = ({ place: { where, line } }: Grant) => (line === undefined ? where : `line ${line}`);

/** Admins are named by the comments of their keys. */
function adminDrafts(admins: readonly Grant[], used: Set<string>, here: Here, plan: Plan): Draft[] {
  /** By name, in small letters. */
  const drafts = new Map<string, { name: string; grant: Grant }[]>();
  for (const grant of admins) {
    const isTaken = (name: string) =>
      name === "default" || here.isSystemName(name) || used.has(name.toLowerCase());
    const comment = accountName(grant.key.comment, () => false) ?? "admin";
    const name = [comment, `admin-${comment}`].find((each) => nameProblem(each) === null && !isTaken(each));
    if (name === undefined) {
      plan.left.push({
        ...grant.place,
        text: `there is no free name for this admin`,
        hint: "Give the key another comment.",
      });
      continue;
    }
    plan.remarks.push({
      ...grant.place,
      text: `the key opens the folder of all others, so it becomes the admin ${name}, who opens every repository here`,
      hint: "",
    });
    drafts.set(name.toLowerCase(), [...(drafts.get(name.toLowerCase()) ?? []), { name, grant }]);
  }
  return [...drafts.values()]
    .map((each) => ({ name: each[0]!.name, grants: each.map(({ grant }) => grant) }))
    .map(({ name, grants }) => ({
      name,
      accounts: [{ name, role: "admin", grants, settings: quotaOf(grants, plan) }],
      target: null,
    }));
}

/** Puts what belongs together into the plan, or leaves it where something else is in its place. */
function settle({ name, accounts, target }: Draft, here: Here, plan: Plan): void {
  const files: PlannedFile[] = [];
  const problems: Problem[] = [];
  for (const { name: account, role, grants, settings } of accounts) {
    const place = grants[0]!.place;
    const path = `${roles[role].folder}/${account}`;
    const ofSettings = `settings/${account}`;
    const lines = keyLines(grants, path, plan);
    const content = lines.map((line) => `${line}\n`).join("");
    const parts = [
      ...(settings.length > 0 ? [fileOf(ofSettings, `${settings.join("\n")}\n`, settings.join(", "))] : []),
      fileOf(path, content, lines.length === 1 ? "1 key" : `${lines.length} keys`),
    ];
    const other = here.keyFile(account);
    const kept = here.content(ofSettings);
    if (other !== null && (other !== path || here.content(path) !== content))
      problems.push({ ...place, text: `/sshkeys/${other} is there already`, hint: hereAlready });
    else if (kept !== null && kept !== parts.find((part) => part.path === ofSettings)?.content)
      problems.push({ ...place, text: `/sshkeys/${ofSettings} is there already`, hint: hereAlready });
    for (const { text, hint } of [
      ...parseKeyFile(path, Buffer.from(content)).problems,
      ...parseSettingsFile(ofSettings, settings.join("\n"), false).problems,
    ])
      problems.push({ ...place, text, hint });
    files.push(...parts.map((part) => ({ ...part, isThere: here.content(part.path) === part.content })));
  }
  const isDone = files.every(({ isThere }) => isThere);
  const state = target && here.repository(name, target.real);
  if (target && state === "taken" && !(isDone && target.real === null))
    problems.push({
      ...target.grants[0]!.place,
      text: `there is something in ${repositoryFolder}/${name} already, and it is not ${target.path}`,
      hint: "Move it away, or write the key file by hand.",
    });
  plan.left.push(...problems);
  if (problems.length > 0) return;
  const until = target && target.path !== `${repositoryFolder}/${name}` ? `, until now ${target.path}` : "";
  plan.files.push(
    ...files.map((file) => ({
      ...file,
      says: `${file.says}${file.path.startsWith("settings/") ? "" : until}`,
    })),
  );
  if (target && target.real !== null && state === "free")
    plan.moves.push({ from: target.real, to: `${repositoryFolder}/${name}` });
}

const hereAlready = "It is left as it is, and nothing is taken over for it.";

const fileOf = (path: string, content: string, says: string) => ({ path, content, says });

/** The lines of a key file, from parsed fields. A key has one line. */
function keyLines(grants: readonly Grant[], path: string, plan: Plan): string[] {
  const lines = new Map<string, { grant: Grant; limits: string }>();
  for (const grant of grants) {
    const { addresses, expires, fingerprint } = grant.key;
    const limits = [addresses && `from="${addresses}"`, expires && `expiry-time="${expires}"`]
      .filter(Boolean)
      .join(",");
    const other = lines.get(fingerprint);
    if (!other) lines.set(fingerprint, { grant, limits });
    else if (other.limits !== limits)
      plan.left.push({
        ...grant.place,
        text: `the key is in ${nameOfPlace(other.grant)} too, with other options`,
        hint: `To have these instead, change them in /sshkeys/${path}.`,
      });
  }
  return [...lines.values()].map(({ grant: { key }, limits }) =>
    [limits, key.type, key.blob, key.comment].filter((part) => part !== "").join(" "),
  );
}
