import { isRefusal, type Problem, type Refusal } from "../problem.ts";
import { holdsKey, type PublicKey, parsePublicKey } from "./public-key.ts";

/** A key and the line of its file, counted from 1. */
export interface KeyAt extends PublicKey {
  line: number;
}

/** Longest file that is read: some ten thousand keys. What is larger is not a key file. */
export const largestFile = 1024 * 1024;

/** Longest line: above the largest RSA key that sshd reads, about 2,800 characters. */
const longestLine = 8192;

/** Most problems that are reported of one file: a file with more is not a key file at all. */
const mostProblems = 20;

/**
 * The keys of one file: one a line; blank lines and `#` comments are skipped, lines may end in CR LF.
 * A key may be there twice, but not with other options. A problem never repeats text of the file: it may be a secret.
 * @param timeZone as parsePublicKey takes it
 */
export function parseKeyFile(
  where: string,
  content: Buffer,
  timeZone?: string,
): { keys: KeyAt[]; problems: Problem[] } {
  const whole = wholeFileProblem(content);
  if (whole) return { keys: [], problems: [{ where, ...whole }] };

  const keys = new Map<string, KeyAt>();
  const problems: Problem[] = [];
  for (const [at, text] of content.toString("utf8").split(/\r?\n/).entries()) {
    const line = at + 1;
    if (/^[ \t]*(#|$)/.test(text) && !hidesKey(text)) continue;
    if (problems.length === mostProblems) {
      problems.push({
        where,
        line,
        text: "the rest of the file was not read, after so many problems",
        hint: "Is it a file with public keys?",
      });
      break;
    }
    if (text.length > longestLine) {
      problems.push({
        where,
        line,
        text: "the line is too long for a key",
        hint: "Put one public key on it.",
      });
      continue;
    }
    const result = hidesKey(text) ? behindComment : parsePublicKey(text, timeZone);
    if (isRefusal(result)) problems.push({ where, line, ...result });
    else {
      const other = keys.get(result.fingerprint);
      if (other && (other.addresses !== result.addresses || other.expires !== result.expires))
        problems.push({
          where,
          line,
          text: `the key is in line ${other.line} too, with other options`,
          hint: "Keep one of the two lines.",
        });
      if (!other) keys.set(result.fingerprint, { ...result, line });
    }
  }
  if (keys.size === 0 && problems.length === 0)
    problems.push({
      where,
      text: "there is no key in this file",
      hint: "Put a public key into it, or remove the file.",
    });
  return { keys: [...keys.values()], problems };
}

/** A comment with a key behind a line break that was written as two characters, a backslash and a letter. */
const hidesKey = (text: string) => /^[ \t]*#/.test(text) && holdsKey(/\\[nr](.*)/.exec(text)?.[1] ?? "");

const behindComment: Refusal = {
  text: "the line is a comment that hides a key behind what was meant as a line break",
  hint: "Put a real line break there, or remove the key.",
};

/** Forms of public keys other than OpenSSH's line (ssh-keygen(1), -m), by the line that each starts with. */
const otherForms: [RegExp, string][] = [
  [/^[ \t]*---- BEGIN SSH2 PUBLIC KEY ----/m, "ssh-keygen -i -f FILE"],
  [/^[ \t]*-----BEGIN PUBLIC KEY-----/m, "ssh-keygen -i -m PKCS8 -f FILE"],
  [/^[ \t]*-----BEGIN RSA PUBLIC KEY-----/m, "ssh-keygen -i -m PEM -f FILE"],
];

/** Why no line of a file with keys is to be read. @param largest in bytes */
export function wholeFileProblem(content: Buffer, largest = largestFile): Refusal | null {
  if (content.length > largest)
    return {
      text: `the file is larger than ${largest / 1024} KiB`,
      hint: "Put public keys into it, one a line, and nothing else.",
    };
  if (content.includes("PRIVATE KEY") || content.includes("PuTTY-User-Key-File"))
    return {
      text: "the file holds a private key, which must never leave its owner",
      hint: "Remove it, make a new key pair on the client, and put the .pub file here.",
    };
  if (content.includes(0))
    return { text: "the file is not plain text (it may be UTF-16)", hint: "Save it as UTF-8." };
  if (content.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])))
    return {
      text: "the file starts with a byte order mark",
      hint: "Save it as UTF-8 without a byte order mark.",
    };
  const text = content.toString("latin1");
  const form = otherForms.find(([start]) => start.test(text));
  if (form)
    return {
      text: "the file holds a public key that is not in OpenSSH's form",
      hint: `Convert it with: ${form[1]}. Where that fails, take the client's .pub file.`,
    };
  if (/^[ \t]*-----BEGIN [A-Z0-9 ]+-----/m.test(text))
    return {
      text: "the file holds something in PEM form that is not a public key for SSH, such as a certificate",
      hint: "Put the client's .pub file here.",
    };
  return null;
}
