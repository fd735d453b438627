import { spawnSync } from "node:child_process";
import { linkSync, renameSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { codeOf } from "../failure.ts";
import { OperatorError } from "../problem.ts";

/**
 * Those of the keys that OpenSSH's own parser refuses, by one run of ssh-keygen(1) over all of them: `-l -f -` prints a
 * fingerprint for each line that it accepts.
 */
export function refusedBySshKeygen<Key extends { type: string; blob: string; fingerprint: string }>(
  keys: readonly Key[],
): Key[] {
  if (keys.length === 0) return [];
  const input = keys.map(({ type, blob }) => `${type} ${blob}\n`).join("");
  const { stdout, stderr, status } = sshKeygen(["-l", "-E", "sha256", "-f", "-"], input);
  // It exits with the same code if it accepts none of them, and if it could not run.
  if (status !== 0 && !stderr.includes("is not a public key file"))
    throw new OperatorError(
      `ssh-keygen failed, so no key could be judged: ${stderr.trim() || `exit ${status}`}`,
    );
  const read = new Set(stdout.match(/SHA256:[A-Za-z0-9+/]+/g));
  return keys.filter(({ fingerprint }) => !read.has(fingerprint));
}

/** The public half ("type base64") of an unencrypted private key file, or null if ssh-keygen cannot read it. */
export function publicHalf(privateKeyFile: string): string | null {
  const { stdout, status } = sshKeygen(["-y", "-P", "", "-f", privateKeyFile]);
  return status === 0 ? stdout.trim().split(" ").slice(0, 2).join(" ") : null;
}

/**
 * Makes a private key and its .pub file, without a passphrase. They are written under other names and renamed, the
 * private key first: half of a private key, left by a start that was killed, would stop the next start, and a missing
 * .pub file does not. Of servers that share the folder and begin at the same time, one makes the key and the others take
 * it. Throws ssh-keygen's own words.
 */
export function makeKeyPair(type: string, file: string): void {
  const unfinished = `${file}.${hostname()}.new`;
  const remove = () => {
    for (const each of [unfinished, `${unfinished}.pub`]) rmSync(each, { force: true });
  };
  remove(); // or ssh-keygen would ask
  try {
    const words = ["-q", "-t", type, "-N", "", "-C", "borgserver", "-f", unfinished];
    const { stderr, status } = sshKeygen(words);
    if (status !== 0) throw new Error(`ssh-keygen could not write ${file}: ${stderr.trim()}`);
    if (isNamed(unfinished, file)) renameSync(`${unfinished}.pub`, `${file}.pub`);
  } finally {
    remove();
  }
}

/** Gives a file a name that nothing has. @returns whether it was free */
function isNamed(file: string, name: string): boolean {
  try {
    linkSync(file, name);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    renameSync(file, name); // the storage has no links
  }
  return true;
}

/** Runs ssh-keygen to its end. Throws if it was killed, which says nothing about any key. */
function sshKeygen(words: readonly string[], input = "") {
  const result = spawnSync("ssh-keygen", words, { input, encoding: "utf8", maxBuffer: 1024 ** 3 });
  if (result.error) throw result.error;
  if (result.signal) throw new OperatorError(`ssh-keygen was ended by ${result.signal}`, "Run this again.");
  return result;
}
