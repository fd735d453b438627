import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Account } from "../../src/keys/account.ts";
import { parseKeyFile } from "../../src/keys/key-file.ts";
import { readKeyFolder } from "../../src/keys/key-folder.ts";
import { refusedBySshKeygen } from "../../src/keys/ssh-keygen.ts";
import type { Problem } from "../../src/problem.ts";
import { clientKey } from "./clients.ts";

export const casesFolder = join(import.meta.dirname, "cases");
export const recipesFolder = join(import.meta.dirname, "recipes");

/** Names of the cases, or recipes, that a folder holds. */
const namesIn = (folder: string) => readdirSync(folder).filter((name) => !name.endsWith(".expected"));

export const caseNames = namesIn(casesFolder);
export const recipeNames = namesIn(recipesFolder);

/**
 * What a key file comes to, a line for each key and each problem of it:
 *
 *     opens LINE: FINGERPRINT [from ADDRESSES] [until TIME]
 *     problem [LINE]: what is wrong
 */
export function expectation(name: string): string[] {
  const folder = caseNames.includes(name) ? casesFolder : recipesFolder;
  return readFileSync(join(folder, `${name}.expected`), "utf8")
    .trimEnd()
    .split("\n");
}

export function readCase(name: string): Buffer {
  return readFileSync(join(casesFolder, name));
}

/** Has a recipe make its entry in the folder, as a path there may look. Recipes get the client's public key. */
export function cook(name: string, folder: string): void {
  execFileSync("sh", ["-eu", join(recipesFolder, name), name, clientKey("client").line], { cwd: folder });
}

/** What the program makes of a key file with this content. */
export function outcome(content: Buffer): string[] {
  const { keys, problems } = parseKeyFile("", content);
  return outcomeOf(keys, problems);
}

/** What the program makes of the entry that a recipe makes. */
export function recipeOutcome(name: string): string[] {
  const folder = mkdtempSync("/tmp/recipe-");
  try {
    mkdirSync(`${folder}/repos`);
    cook(name, `${folder}/repos`);
    const { accounts, problems } = readKeyFolder(folder);
    return outcomeOf(
      accounts.flatMap(({ keys }) => keys ?? []),
      problems,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function outcomeOf(keys: Account["keys"], problems: readonly Problem[]): string[] {
  const refused = refusedBySshKeygen(keys);
  const lines = [
    ...problems.map(({ line, text }) => ({ line, text: `problem${place(line)}: ${text}` })),
    ...refused.map(({ line }) => ({ line, text: `problem ${line}: OpenSSH cannot read this key` })),
    ...keys
      .filter((key) => !refused.includes(key))
      .map(({ line, fingerprint, addresses, expires }) => {
        const limits = `${addresses && ` from ${addresses}`}${expires && ` until ${expires}`}`;
        return { line, text: `opens ${line}: ${fingerprint}${limits}` };
      }),
  ];
  return lines.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)).map(({ text }) => text);
}

const place = (line: number | undefined) => (line === undefined ? "" : ` ${line}`);
