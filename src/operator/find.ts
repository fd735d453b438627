import { readFileSync } from "node:fs";
import { codeOf } from "../failure.ts";
import { parseKeyFile } from "../keys/key-file.ts";
import { exitCode, OperatorError, ProblemsFound } from "../problem.ts";
import { say } from "../report.ts";
import { described, publishedAccounts } from "./list.ts";

/**
 * Prints which accounts a key opens.
 * @param key a SHA256 fingerprint, or a file with public keys
 * @returns the exit code
 */
export function find(key: string): number {
  const accounts = publishedAccounts();
  for (const fingerprint of fingerprintsIn(key)) {
    const opened = accounts.filter(({ keys }) => keys.some((key) => key.fingerprint === fingerprint));
    const names = opened.map(({ name, role, settings }) => `${name} (${role}${described(settings)})`);
    say(`${fingerprint} opens ${names.length > 0 ? names.join(", ") : "no account"}`);
  }
  return exitCode.done;
}

function fingerprintsIn(key: string): string[] {
  if (/^SHA256:[A-Za-z0-9+/]{43}=?$/.test(key)) return [key.replace(/=$/, "")];
  let content: Buffer;
  try {
    content = readFileSync(key === "-" ? 0 : key);
  } catch (error) {
    throw new OperatorError(
      `${key} is neither a SHA256 fingerprint nor a file that can be read (${codeOf(error)})`,
    );
  }
  const { keys, problems } = parseKeyFile(key === "-" ? "standard input" : key, content);
  if (problems.length > 0) throw new ProblemsFound(problems, exitCode.failed);
  return keys.map(({ fingerprint }) => fingerprint);
}
