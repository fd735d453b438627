import { parseKeyFile } from "../keys/key-file.ts";
import type { Account } from "../keys/key-folder.ts";
import { plainWord } from "../login/key-line.ts";
import type { Problem, Refusal } from "../problem.ts";
import { type Landlock, type Role, roleNames, roles } from "../role.ts";

/** What the operator set in the environment, validated, and what the start found out. */
export interface Settings {
  /** Numeric owner of everything under /repos, and of every account. */
  uid: number;
  gid: number;
  /** The text of BORG_SSHKEYS, or empty. */
  borgKeys: string;
  /** Appended to borg serve, by role. */
  extraArguments: Record<Role, string[]>;
  sandbox: "auto" | "require" | "off";
  /** How sessions are confined: not the operator's to say, but found out at the start; until then, fully. */
  landlock: Landlock;
  /** sshd_config(5), LogLevel. */
  logLevel: string;
  /** In which an expiry-time without Z is meant, by its name in the time zone database. */
  timeZone: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const logLevels = ["QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3"];
const largestId = 2 ** 32 - 2; // (uid_t) -1 means "no change" to chown(2)

/**
 * Reads the settings.
 * @param reservedIds numeric ids, with their owner's name, that must not own repositories
 * @param hasZone whether the C library knows a time zone by this name (time-zone.ts)
 */
export function readSettings(
  environment: Environment,
  reservedIds: { uids: ReadonlyMap<number, string>; gids: ReadonlyMap<number, string> },
  hasZone: (name: string) => boolean,
): { settings: Settings; problems: Problem[] } {
  const problems: Problem[] = [];
  const value = (name: string) => environment[name] ?? "";

  const readId = (name: string, reserved: ReadonlyMap<number, string>) => {
    const text = value(name) || "1000";
    const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
    const hint = `Set ${name} to the numeric id that owns the repositories, e.g. 1000.`;
    if (!(id <= largestId)) problems.push({ where: name, text: `"${text}" is not a numeric id.`, hint });
    else if (id === 0)
      problems.push({ where: name, text: "The repositories must not belong to root (0).", hint });
    else if (reserved.has(id))
      problems.push({
        where: name,
        text: `${id} is the id of ${reserved.get(id)}, which the server relies on.`,
        hint,
      });
    return id;
  };

  const oneOf = (name: string, allowed: readonly string[], fallback: string) => {
    const text = value(name) || fallback;
    if (!allowed.includes(text))
      problems.push({
        where: name,
        text: `"${text}" is not a value it can have.`,
        hint: `Use one of ${allowed.join(", ")}.`,
      });
    return text;
  };

  const readExtraArguments = (role: Role) => {
    const name = roles[role].setting;
    const words = value(name).split(/\s+/).filter(Boolean);
    for (const [at, word] of words.entries()) {
      const wrong = extraArgumentProblem(word, words[at + 1]);
      if (wrong) problems.push({ where: name, ...wrong });
    }
    return words;
  };

  const readTimeZone = () => {
    const name = value("TZ").replace(/^:/, "") || utc;
    const known = timeZoneOf(name);
    if (known === null)
      problems.push({
        where: "TZ",
        text: `"${name}" is not the name of a time zone.`,
        hint: "Use one such as Europe/Berlin; rules such as CET-1CEST are not read.",
      });
    else if (name !== utc && !hasZone(name))
      problems.push({
        where: "TZ",
        text: `"${name}" is no time zone to borg: there is no file of just this name in /usr/share/zoneinfo.`,
        hint: hasZone(known) ? `Write "${known}".` : "Use one such as Europe/Berlin, letter for letter.",
      });
    return name;
  };

  const sandbox = oneOf("BORG_SANDBOX", ["auto", "require", "off"], "auto") as Settings["sandbox"];
  const settings: Settings = {
    uid: readId("PUID", reservedIds.uids),
    gid: readId("PGID", reservedIds.gids),
    borgKeys: value("BORG_SSHKEYS"),
    extraArguments: Object.fromEntries(roleNames.map((role) => [role, readExtraArguments(role)])) as Record<
      Role,
      string[]
    >,
    sandbox,
    landlock: sandbox === "off" ? 0 : 3,
    logLevel: oneOf("SSH_LOG_LEVEL", logLevels, "INFO"),
    timeZone: readTimeZone(),
  };
  problems.push(...borgAccount(settings).problems);
  return { settings, problems };
}

/** Needs no file: borg takes it as a rule that says the same. */
const utc = "UTC";

/** The zone's own name, which may be another than the one it is called by; null where the runtime knows none. */
function timeZoneOf(name: string): string | null {
  try {
    const { timeZone } = new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions();
    return /^[A-Za-z]/.test(name) ? timeZone : null; // "+02:00" is one to Intl, and none to Date
  } catch {
    return null;
  }
}

/** The environment that says these settings, but for what the start found out. */
export function environmentOf(settings: Settings): Environment {
  return {
    PUID: `${settings.uid}`,
    PGID: `${settings.gid}`,
    BORG_SSHKEYS: settings.borgKeys,
    BORG_SANDBOX: settings.sandbox,
    SSH_LOG_LEVEL: settings.logLevel,
    TZ: settings.timeZone,
    ...Object.fromEntries(
      roleNames.map((role) => [roles[role].setting, settings.extraArguments[role].join(" ")]),
    ),
  };
}

export const borgName = "borg";

/** The account `borg`, an admin, whose keys stand in BORG_SSHKEYS; null where that is not set. */
export function borgAccount({ borgKeys }: Pick<Settings, "borgKeys">): {
  account: Account | null;
  problems: Problem[];
} {
  if (borgKeys.trim() === "") return { account: null, problems: [] };
  const source = "BORG_SSHKEYS";
  // A comma between keys, not one inside the quotes of an option.
  const lines = borgKeys.replace(/"[^"\n]*"|,/g, (found) => (found === "," ? "\n" : found));
  const { keys, problems } = parseKeyFile(source, Buffer.from(lines));
  return { account: { name: borgName, role: "admin", source, state: null, keys }, problems };
}

/**
 * Why a word may not be appended to borg serve. What the role restricts must stay restricted, and borg takes
 * any unambiguous beginning of an option's name (argparse), so every beginning of those is refused.
 * @param next the word behind it, which may be its value
 */
function extraArgumentProblem(word: string, next = ""): Refusal | null {
  const hint = "Remove it.";
  if (!plainWord.test(word))
    return {
      text: `"${word}" has a character that arguments may not have.`,
      hint: "Use letters, digits and @ % + = : , . / _ - only.",
    };
  const option = word.split("=")[0] ?? "";
  const isBeginningOf = (name: string) => option.length > 2 && name.startsWith(option);
  if (isBeginningOf("--restrict-to-path") || isBeginningOf("--restrict-to-repository"))
    return { text: `${word}: what a session can reach is decided by the key's folder alone.`, hint };
  if (option !== "--debug" && isBeginningOf("--debug-profile"))
    return { text: `${word} would write a file at every login.`, hint };
  if (option.length >= "--um".length && isBeginningOf("--umask")) {
    const mask = word.includes("=") ? word.slice(option.length + 1) : next;
    // A mask with a character that no word may have is named as that word.
    if (!isOwnersAlone(mask) && (mask === "" || plainWord.test(mask)))
      return {
        text: `${option} ${mask}: what sessions write is for its owner alone, who has to be able to use it.`,
        hint: "Remove it: borg's own umask is 0077.",
      };
  }
  if (isBeginningOf("--help") || /^-[a-z]*h/.test(option))
    return { text: `${word} would print help instead of serving.`, hint };
  return null;
}

/** Whether a umask (umask(2)), as borg takes one (octal to Python's int), keeps out all others and not the owner. */
function isOwnersAlone(mask: string): boolean {
  return /^(0o)?[0-7]{1,6}$/i.test(mask) && Number.parseInt(mask.replace(/^0o/i, ""), 8) === 0o077;
}
