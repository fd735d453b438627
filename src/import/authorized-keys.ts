import { wholeFileProblem } from "../keys/key-file.ts";
import { type PublicKey, parsePublicKey } from "../keys/public-key.ts";
import { isRefusal } from "../problem.ts";
import { readForcedCommand } from "./forced-command.ts";
import { type Found, nothingFound } from "./grant.ts";

/** Ten thousand keys have about four million bytes. */
export const largestFile = 64 * 1024 * 1024;

/** Longest line of sshd's (SSH_MAX_PUBKEY_BYTES in OpenSSH's sshkey.h, and what its options take). */
const longestLine = 64 * 1024;

/** Most problems that are reported of one file. */
const mostProblems = 20;

/** Options that stay as they are, and those that take away what every key here lacks anyway. */
const kept = /^(?:from|expiry-time)=|^(?:restrict|no-.*-forwarding|no-pty|no-user-rc|touch-required)$/i;

/** Options that give what no key has here (sshd(8), AUTHORIZED_KEYS FILE FORMAT). */
const dropped =
  /^(?:environment|permitopen|permitlisten|tunnel)=|^(?:(?:agent|port|X11)-forwarding|pty|user-rc|no-touch-required|no-verify-required)$/i;

/** What BorgWarehouse puts before the line of an archived repository. */
const archivedMark = "#BW-ARCHIVED ";

/**
 * Reads an authorized_keys of another server: what each key may do there, by its forced command.
 * @param timeZone as parsePublicKey takes it
 */
export function parseAuthorizedKeys(where: string, content: Buffer, timeZone?: string): Found {
  const found = nothingFound();
  const whole = wholeFileProblem(content, largestFile);
  if (whole) return { ...found, problems: [{ where, ...whole }] };

  const first = new Map<string, { key: PublicKey; line: number }>();
  for (const [at, whole] of content.toString("utf8").split(/\r?\n/).entries()) {
    const place = { where, line: at + 1 };
    const isArchived = whole.startsWith(archivedMark);
    const text = (isArchived ? whole.slice(archivedMark.length) : whole).trim();
    if (/^(?:#|$)/.test(text)) continue;
    if (found.problems.length === mostProblems) {
      const text = "the rest of the file was not read, after so many problems";
      found.problems.push({ ...place, text, hint: "Is it an authorized_keys?" });
      break;
    }
    if (text.length > longestLine) {
      found.problems.push({
        ...place,
        text: "the line is too long for a key",
        hint: "Put one public key on it.",
      });
      continue;
    }
    const { options, rest } = splitLine(text);
    const strange = options.find(
      (option) => !(kept.test(option) || dropped.test(option) || isCommand(option)),
    );
    if (strange !== undefined && /^(?:cert-authority|principals=|verify-required)/i.test(strange)) {
      const name = strange.split("=")[0];
      found.left.push({ ...place, text: `the option ${name} has no counterpart here`, hint: "" });
      continue;
    }
    if (strange !== undefined) {
      found.problems.push({
        ...place,
        text: "an option before the key is not known here",
        hint: "Remove it in a copy of the file, if the key may do the same without it.",
      });
      continue;
    }
    const stays = options.filter((option) => kept.test(option)).join(",");
    const key = parsePublicKey(stays === "" ? rest : `${stays} ${rest}`, timeZone);
    if (isRefusal(key)) {
      found.problems.push({ ...place, ...key });
      continue;
    }
    const command = options.find(isCommand);
    const serve =
      command === undefined ? unforced : readForcedCommand(dequoted(command.slice(command.indexOf("=") + 1)));
    if (isRefusal(serve)) {
      found.left.push({ ...place, ...serve });
      continue;
    }
    const earlier = first.get(key.fingerprint);
    if (earlier && earlier.key.addresses === "" && earlier.key.expires === "") {
      found.left.push({
        ...place,
        text: `the key is in line ${earlier.line} too, so that sshd never came to this line`,
        hint: "Put it into the key file of this account too, if it is to open both.",
      });
      continue;
    }
    if (!earlier) first.set(key.fingerprint, { key, line: place.line });
    for (const option of options.filter((option) => dropped.test(option)))
      found.remarks.push({
        ...place,
        text: `the option ${option.split("=")[0]} is left out: no key has that here`,
        hint: "",
      });
    found.grants.push({ place, key, ...serve, ...(isArchived && { isArchived }) });
  }
  return found;
}

const unforced = {
  text: "the key has no forced command, so it may do anything on the other server",
  hint: "Put it into /sshkeys/admins for every repository, or into the file of an account.",
};

const isCommand = (option: string) => /^command=/i.test(option);

/** As sshd reads a quoted value: `\"` is a quote, every other backslash is itself (opt_dequote in OpenSSH's misc.c). */
const dequoted = (value: string) => value.replace(/^"([\s\S]*)"$/, "$1").replaceAll('\\"', '"');

/** The options before a key, each as it is written; none where the line starts with a key (sshkey_advance_past_options). */
function splitLine(text: string): { options: string[]; rest: string } {
  if (/^(?:ssh-|ecdsa-|sk-)\S+[ \t]/.test(text)) return { options: [], rest: text };
  const [options = ""] = /^(?:"(?:\\"|(?!\\")[^"])*"|\\"|(?!\\")[^ \t"])*/.exec(text) ?? [];
  const each = options.match(/(?:"(?:\\"|(?!\\")[^"])*"|\\"|(?!\\")[^,"])+/g) ?? [];
  return { options: each, rest: text.slice(options.length).trim() };
}
