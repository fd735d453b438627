import { execFileSync } from "node:child_process";
import { type KeyAt, parseKeyFile } from "../../src/keys/key-file.ts";
import { refusedBySshKeygen } from "../../src/keys/ssh-keygen.ts";
import { forcedCommand } from "../../src/login/forced-command.ts";
import { keyLine } from "../../src/login/key-line.ts";
import { formatProblem } from "../../src/problem.ts";

/**
 * What holds for every file, whatever it is: it is read without an exception, its problems can be printed, and
 * each of its keys stands in it literally and gives one line. Throws otherwise.
 */
export function promisesOfFile(content: Buffer): void {
  const { keys, problems } = parseKeyFile("/sshkeys/repos/web", content);
  if (keys.length + problems.length === 0) throw new Error("neither a key nor a problem");
  for (const problem of problems) {
    const printed = formatProblem(problem);
    if (/[\p{Cf}\p{Zl}\p{Zp}]|[^\P{Cc}\n]|\n(?! {2}\S)/u.test(printed))
      throw new Error(`a control character in: ${printed}`);
  }
  for (const key of keys) {
    if (!content.includes(`${key.type}`) || !content.includes(key.blob))
      throw new Error(`a key that does not stand in the file: ${key.blob}`);
    if (!/^restrict,command="[^"\n]+"(,[a-z-]+="[^"\\\n]+"){0,2} [^ \n]+ [^ \n]+$/.test(lineOf(key)))
      throw new Error(`not one line: ${lineOf(key)}`);
  }
}

/**
 * What holds for all files together: OpenSSH reads each line that would answer a login, and finds the
 * fingerprint in it by which the index knows the key. Throws otherwise.
 */
export function promisesOfAnswers(contents: readonly Buffer[]): void {
  const keys = contents.flatMap((content) => parseKeyFile("", content).keys);
  const refused = new Set(refusedBySshKeygen(keys));
  const published = keys.filter((key) => !refused.has(key));
  if (published.length === 0) return;
  const lines = published.map((key) => `${lineOf(key)}\n`).join("");
  const printed = execFileSync("ssh-keygen", ["-l", "-E", "sha256", "-f", "-"], {
    input: lines,
    encoding: "utf8",
    maxBuffer: 1024 ** 3,
  });
  const found = printed
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" ")[1]);
  const expected = published.map(({ fingerprint }) => fingerprint);
  if (found.join() !== expected.join())
    throw new Error(`ssh-keygen finds\n${found.join("\n")}\nin\n${lines}`);
}

const noSettings = { repository: null, extraArguments: [], quota: null, archived: null };
const lineOf = (key: KeyAt) =>
  keyLine(forcedCommand("web", { role: "repo", ...noSettings }), key, key.type, key.blob);
