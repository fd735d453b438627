import { spawnSync } from "node:child_process";
import { renameSync, rmSync } from "node:fs";

/**
 * Those of the keys that OpenSSH's own parser does not read, judged by one run of ssh-keygen(1) over all of
 * them: `-l -f -` prints a fingerprint for each line that it accepts.
 */
export function refusedBySshKeygen<Key extends { type: string; blob: string; fingerprint: string }>(
  keys: readonly Key[],
): Key[] {
  if (keys.length === 0) return [];
  const input = keys.map(({ type, blob }) => `${type} ${blob}\n`).join("");
  const { stdout, error } = spawnSync("ssh-keygen", ["-l", "-E", "sha256", "-f", "-"], {
    input,
    encoding: "utf8",
    maxBuffer: 1024 ** 3,
  });
  if (error) throw error;
  const read = new Set(stdout.match(/SHA256:[A-Za-z0-9+/]+/g));
  return keys.filter(({ fingerprint }) => !read.has(fingerprint));
}

/** The public half ("type base64") of an unencrypted private key file, or null where ssh-keygen cannot read it. */
export function publicHalf(privateKeyFile: string): string | null {
  const { stdout, status, error } = spawnSync("ssh-keygen", ["-y", "-P", "", "-f", privateKeyFile], {
    encoding: "utf8",
  });
  if (error) throw error;
  return status === 0 ? stdout.trim().split(" ").slice(0, 2).join(" ") : null;
}

/**
 * Makes a private key and its .pub file, without a passphrase. They are written beside and renamed, the private
 * key first: half of one, left by a start that was killed, would stop the next; a missing .pub file does not.
 * Throws with ssh-keygen's own words.
 */
export function makeKeyPair(type: string, file: string): void {
  const unfinished = `${file}.new`;
  const remove = () => {
    for (const each of [unfinished, `${unfinished}.pub`]) rmSync(each, { force: true });
  };
  remove(); // or ssh-keygen would ask
  try {
    const { stderr, status, error } = spawnSync(
      "ssh-keygen",
      ["-q", "-t", type, "-N", "", "-C", "borgserver", "-f", unfinished],
      { encoding: "utf8" },
    );
    if (error) throw error;
    if (status !== 0) throw new Error(`ssh-keygen could not write ${file}: ${stderr.trim()}`);
    renameSync(unfinished, file);
    renameSync(`${unfinished}.pub`, `${file}.pub`);
  } finally {
    remove();
  }
}
