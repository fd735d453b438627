import { isIP } from "node:net";
import type { Owner } from "../owner.ts";
import { isRefusal, type Problem, type Refusal } from "../problem.ts";
import { type Deletions, plainWord, type Role, roleNames, roles } from "../role.ts";

/** What the operator set in the environment, validated. It never changes after it was read. */
export interface Settings {
  /** How far sessions must be confined by the kernel. */
  sandbox: "auto" | "require" | "off";
  /** The owner of everything under /repos, and of every account. */
  owner: Owner;
  /** The text of BORG_SSHKEYS, or empty (keys/borg-sshkeys.ts). */
  borgKeys: string;
  /** Appended to borg serve, by role. */
  extraArguments: Record<Role, string[]>;
  /** What append-only is held to. */
  deletions: Deletions;
  /** How often the key folder is looked at where the file system does not tell, in seconds; null if it is not watched. */
  watchEvery: number | null;
  /** HOST:PORT of the page and the metrics; null where there is to be none. */
  statusListen: string | null;
  /** A file for the textfile collector of node_exporter; null where there is to be none. */
  metricsFile: string | null;
  /** Whether what settings files name may be an address of this machine, or of its link. */
  pingPrivate: boolean;
  /** sshd_config(5), LogLevel. */
  logLevel: string;
  /** The time zone of an expiry-time without Z, by its name in the time zone database. */
  timeZone: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Numeric ids that must not own repositories, each with the name of its account or group. */
export interface ReservedIds {
  uids: ReadonlyMap<number, string>;
  gids: ReadonlyMap<number, string>;
}

const sandboxes = ["auto", "require", "off"] as const;
const deletions = ["refused", "kept"] as const;
const logLevels = ["QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3"];
const largestId = 2 ** 32 - 2; // (uid_t) -1 means "no change" to chown(2)
const usualId = 1000;
const usualWatch = 30; // seconds
const longestWatch = 24 * 60 * 60;

/**
 * Reads the settings.
 * @param hasZone whether the C library knows a time zone by this name (time-zone.ts)
 * @returns also every problem; a setting with a problem has its default value
 */
export function readSettings(
  environment: Environment,
  reserved: ReservedIds,
  hasZone: (name: string) => boolean,
): { settings: Settings; problems: Problem[] } {
  const problems: Problem[] = [];
  const read = <Value>(name: string, parse: (text: string) => Value | Refusal, usual: Value): Value => {
    const text = environment[name] ?? "";
    const value = text === "" ? usual : parse(text);
    if (!isRefusal(value)) return value;
    problems.push({ where: name, ...value });
    return usual;
  };
  const readId = (name: string, taken: ReadonlyMap<number, string>) =>
    read(name, (text) => parseId(name, text, taken), usualId);
  const readWords = (name: string) => {
    const words = (environment[name] ?? "").split(/\s+/).filter(Boolean);
    for (const refusal of refusedArguments(words)) problems.push({ where: name, ...refusal });
    return words;
  };

  const settings: Settings = {
    sandbox: read("BORG_SANDBOX", (text) => oneOf(sandboxes, text), "auto"),
    owner: { uid: readId("PUID", reserved.uids), gid: readId("PGID", reserved.gids) },
    borgKeys: environment.BORG_SSHKEYS ?? "",
    extraArguments: Object.fromEntries(
      roleNames.map((role) => [role, readWords(roles[role].setting)]),
    ) as Record<Role, string[]>,
    deletions: read("APPENDONLY_DELETIONS", (text) => oneOf(deletions, text), "refused"),
    watchEvery: read("WATCH_EVERY", parseWatchEvery, usualWatch),
    statusListen: read("STATUS_LISTEN", parseListen, null),
    metricsFile: read("METRICS_FILE", parseMetricsFile, null),
    pingPrivate: read("PING_PRIVATE", (text) => oneOf(["0", "1"], text), "0") === "1",
    logLevel: read("SSH_LOG_LEVEL", (text) => oneOf(logLevels, text), "INFO"),
    timeZone: read("TZ", (text) => parseTimeZone(text, hasZone), utc),
  };
  return { settings, problems };
}

function parseId(name: string, text: string, reserved: ReadonlyMap<number, string>): number | Refusal {
  const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
  const hint = `Set ${name} to the numeric id that owns the repositories, e.g. ${usualId}.`;
  if (!(id <= largestId)) return { text: `"${text}" is not a numeric id`, hint };
  if (id === 0) return { text: "the repositories must not belong to root (0)", hint };
  const owner = reserved.get(id);
  return owner === undefined ? id : { text: `${id} is the id of ${owner}, which the server relies on`, hint };
}

function oneOf<Value extends string>(allowed: readonly Value[], text: string): Value | Refusal {
  return (
    allowed.find((each) => each === text) ?? {
      text: `"${text}" is not a valid value`,
      hint: `Use one of ${allowed.join(", ")}.`,
    }
  );
}

/** Seconds, or null for "off". */
function parseWatchEvery(text: string): number | null | Refusal {
  if (text === "off") return null;
  const [, count = "", unit = ""] = /^([0-9]{1,5})([smh])$/.exec(text) ?? [];
  const seconds = Number(count) * (unit === "h" ? 60 * 60 : unit === "m" ? 60 : 1);
  if (seconds >= 1 && seconds <= longestWatch) return seconds;
  return {
    text: `"${text}" is not a time from 1s to 24h`,
    hint: "Use a number with s, m or h, such as 30s or 5m, or off for commands alone.",
  };
}

/** HOST:PORT, where an empty HOST is every address. Names are not looked up: what one means may change. */
function parseListen(text: string): string | Refusal {
  const [, host = "", port = ""] = /^(\[[0-9a-fA-F:.]+\]|[0-9.]*|localhost):([0-9]{1,5})$/.exec(text) ?? [];
  const isAddress = ["", "localhost"].includes(host) || isIP(host.replace(/^\[|\]$/g, "")) !== 0;
  const hint = "Use HOST:PORT, such as 127.0.0.1:9100, [::1]:9100, or :9100 for every address.";
  if (port === "" || !isAddress) return { text: `"${text}" is not an address to listen at`, hint };
  if (Number(port) < 1024 || Number(port) > 65535)
    return {
      text: `${port} is not a port from 1024 to 65535`,
      hint: "Lower ones need rights that the page does not have.",
    };
  return text;
}

/** Whether others than this machine can reach what listens there. */
export const isOpenToOthers = (listen: string) => !/^(127\.[0-9.]+|\[::1\]|localhost):/.test(listen);

/** The collector reads files of this ending alone. */
function parseMetricsFile(text: string): string | Refusal {
  if (/^\/(?:[^/\p{Cc}]+\/)+[^/\p{Cc}]+\.prom$/u.test(text) && !text.includes("/../")) return text;
  return {
    text: `"${text}" is not the path of a file for a textfile collector`,
    hint: "Use one in a folder that is mounted for it, such as /metrics/borgserver.prom.",
  };
}

/** It needs no file: borg reads it as a rule with the same meaning. */
const utc = "UTC";

function parseTimeZone(text: string, hasZone: (name: string) => boolean): string | Refusal {
  const name = text.replace(/^:/, "") || utc;
  const known = timeZoneOf(name);
  if (known === null)
    return {
      text: `"${name}" is not the name of a time zone`,
      hint: "Use one such as Europe/Berlin; rules such as CET-1CEST are not read.",
    };
  if (name === utc || hasZone(name)) return name;
  return {
    text: `borg does not know the time zone "${name}": /usr/share/zoneinfo has no file of exactly this name`,
    hint: hasZone(known) ? `Write "${known}".` : "Use one such as Europe/Berlin, letter for letter.",
  };
}

/** The zone's own name, which may differ from the one that was given; null if the runtime does not know it. */
function timeZoneOf(name: string): string | null {
  try {
    const { timeZone } = new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions();
    return /^[A-Za-z]/.test(name) ? timeZone : null; // Intl accepts "+02:00", and Date does not
  } catch {
    return null;
  }
}

/** The environment that gives these settings. */
export function environmentOf(settings: Settings): Environment {
  return {
    PUID: `${settings.owner.uid}`,
    PGID: `${settings.owner.gid}`,
    BORG_SSHKEYS: settings.borgKeys,
    BORG_SANDBOX: settings.sandbox,
    APPENDONLY_DELETIONS: settings.deletions,
    WATCH_EVERY: settings.watchEvery === null ? "off" : `${settings.watchEvery}s`,
    STATUS_LISTEN: settings.statusListen ?? "",
    METRICS_FILE: settings.metricsFile ?? "",
    PING_PRIVATE: settings.pingPrivate ? "1" : "0",
    SSH_LOG_LEVEL: settings.logLevel,
    TZ: settings.timeZone,
    ...Object.fromEntries(
      roleNames.map((role) => [roles[role].setting, settings.extraArguments[role].join(" ")]),
    ),
  };
}

function refusedArguments(words: readonly string[]): Refusal[] {
  return words.map((word, at) => argumentRefusal(word, words[at + 1])).filter((refusal) => refusal !== null);
}

/**
 * Why a word may not be appended to borg serve. What the role restricts must stay restricted, and borg accepts any
 * unambiguous beginning of an option's name (argparse), so every beginning of such options is refused.
 * @param next the word behind it, which may be its value
 */
function argumentRefusal(word: string, next = ""): Refusal | null {
  const hint = "Remove it.";
  if (!plainWord.test(word))
    return {
      text: `"${word}" contains a character that is not allowed`,
      hint: "Use letters, digits and @ % + = : , . / _ - only.",
    };
  const option = word.split("=")[0] ?? "";
  const isBeginningOf = (name: string) => option.length > 2 && name.startsWith(option);
  if (isBeginningOf("--restrict-to-path") || isBeginningOf("--restrict-to-repository"))
    return { text: `${word} is not allowed: only the key's folder decides what a session can reach`, hint };
  if (option !== "--debug" && isBeginningOf("--debug-profile"))
    return { text: `${word} would write a file at every login`, hint };
  if (option.length >= "--um".length && isBeginningOf("--umask")) {
    const mask = word.includes("=") ? word.slice(option.length + 1) : next;
    // A mask with a character that is not allowed is reported as that word.
    if (!isOwnersAlone(mask) && (mask === "" || plainWord.test(mask)))
      return {
        text: `${option} ${mask} is not allowed: what sessions write must be usable by its owner, and by nobody else`,
        hint: "Remove it: borg's own umask is 0077.",
      };
  }
  if (isBeginningOf("--help") || /^-[a-z]*h/.test(option))
    return { text: `${word} would print help instead of serving`, hint };
  return null;
}

/** Whether a umask (umask(2)), as borg takes one (octal to Python's int), keeps out all others and not the owner. */
function isOwnersAlone(mask: string): boolean {
  return /^(0o)?[0-7]{1,6}$/i.test(mask) && Number.parseInt(mask.replace(/^0o/i, ""), 8) === 0o077;
}
