import { parse, TomlError } from "smol-toml";
import { isRefusal, type Problem, type Refusal } from "../problem.ts";
import { nameProblem } from "./account.ts";
import {
  type AccountAddresses,
  type AccountSettings,
  isUrl,
  unitsOfSize,
  unitsOfTime,
} from "./account-settings.ts";

/** A settings file for one account's needs has a few lines. */
export const largestSettings = 64 * 1024; // bytes

/**
 * Reads a settings file (TOML).
 * @param source its path, for problems
 * @param isDefault whether it is of all accounts
 */
export function parseSettingsFile(
  source: string,
  text: string,
  isDefault: boolean,
): { settings: AccountSettings; addresses: AccountAddresses; problems: Problem[] } {
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [what = ""] = error.message.replace(/^Invalid TOML document: /, "").split("\n");
    const problem = { where: source, line: error.line, text: `this is not TOML: ${what}`, hint: example };
    return { settings: {}, addresses: {}, problems: [problem] };
  }
  const said: Said = {};
  const problems: Problem[] = [];
  for (const [key, value] of Object.entries(table)) {
    const refusal = take(key, value, said, isDefault);
    if (refusal) problems.push({ where: source, ...lineOf(text, key), ...refusal });
  }
  const { notify, ping, ...settings } = said;
  return {
    settings,
    addresses: { ...(notify !== undefined && { notify }), ...(ping !== undefined && { ping }) },
    problems,
  };
}

/** All that a file can say. */
type Said = AccountSettings & AccountAddresses;

const example = 'Write one setting a line, as in: quota = "500G"';

/** What each key takes. */
const readers: Record<string, (value: unknown) => Said | Refusal> = {
  repository: (value) => {
    const refusal =
      typeof value === "string" ? nameProblem(value) : wrong('the name of a repository, as in "web01"');
    return refusal
      ? {
          text: refusal.text,
          hint: 'Write the name of a directory below /repos, as in: repository = "web01"',
        }
      : { repository: value as string };
  },
  quota: (value) => {
    const bytes = typeof value === "string" ? bytesIn(value) : null;
    if (bytes === null) return wrong('a size, as in "500G" or "1.5T"');
    // borg serve accepts no smaller one (parse_storage_quota in its helpers).
    return bytes < smallestQuota ? wrong("10M at least") : { quota: bytes };
  },
  "late-after": (value) => {
    const seconds = typeof value === "string" ? secondsIn(value) : null;
    return seconds === null ? wrong('a time, as in "26h" or "30d"') : { lateAfter: seconds };
  },
  deletions: (value) =>
    value === "refused" || value === "kept" ? { deletions: value } : wrong('"refused" or "kept"'),
  archived: (value) => (typeof value === "boolean" ? { archived: value } : wrong("true or false")),
  // What is written is never said again: it holds secrets.
  notify: (value) => {
    const urls = Array.isArray(value) ? value : [value];
    return urls.length > 0 && urls.every(isUrl)
      ? { notify: urls }
      : wrong('one Apprise URL or a list of them, as in "ntfy://ntfy.sh/topic"');
  },
  ping: (value) =>
    isUrl(value) && /^https?:/i.test(value)
      ? { ping: value }
      : wrong('an address that begins with "https://"'),
};

const smallestQuota = 10_000_000;

const wrong = (wanted: string): Refusal => ({ text: `this takes ${wanted}`, hint: "" });

/** What would be wrong for all accounts at once. */
const notForAll: Record<string, Refusal> = {
  repository: {
    text: "all accounts would open this repository",
    hint: "Write it into the settings of the accounts that are to share one.",
  },
  ping: {
    text: "all accounts would call this address, and a missing backup of one would not show",
    hint: "Write one into the settings of each account.",
  },
};

function take(key: string, value: unknown, said: Said, isDefault: boolean): Refusal | null {
  const reader = Object.hasOwn(readers, key) ? readers[key] : undefined;
  if (!reader)
    return { text: `"${key}" is no setting`, hint: `There are ${Object.keys(readers).join(", ")}.` };
  const refusal = isDefault ? notForAll[key] : undefined;
  if (refusal) return refusal;
  const read = reader(value);
  if (isRefusal(read)) return { ...read, text: `${key}: ${read.text}` };
  Object.assign(said, read);
  return null;
}

/**
 * Where a key is written, as far as it is by its own name at the beginning of a line: the parser does not say.
 * @param text what was parsed
 */
export function lineOf(text: string, key: string): { line?: number } {
  const written = [key, JSON.stringify(key), `'${key}'`];
  const at = text.split("\n").findIndex((line) => {
    const begun = line.replace(/^\uFEFF?[\s[]*/, "");
    return written.some((each) => begun.startsWith(each) && /^\s*[=.\]]/.test(begun.slice(each.length)));
  });
  return at === -1 ? {} : { line: at + 1 };
}

/** A size in bytes, in decimal units, as borg counts; null if it is none. */
function bytesIn(text: string): number | null {
  const [, number = "", unit = ""] = /^([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([KMGTP]?)B?$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * (unitsOfSize[unit.toUpperCase()] ?? Number.NaN));
  return number !== "" && Number.isSafeInteger(bytes) ? bytes : null;
}

/** A time in seconds; null if it is none, or longer than a hundred years. */
function secondsIn(text: string): number | null {
  const [, number = "", unit = ""] = /^([0-9]{1,10}) ?([smhdw])$/.exec(text) ?? [];
  const seconds = Number(number) * (unitsOfTime[unit] ?? Number.NaN);
  return number !== "" && seconds > 0 && seconds <= 36_525 * 24 * 3600 ? seconds : null;
}
