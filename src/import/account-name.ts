import { nameProblem } from "../keys/account.ts";

/**
 * An account's name from the name that something has on another server: `.pub` and what is not allowed at its ends go, every
 * other run of characters that are not allowed becomes a dash, so does the dot of an ending that is switched off here
 * (web01.bak), and what is no name for another reason, such as digits alone, gets "repo-" before it.
 * @param isTaken whether the system has the name already
 * @returns null where that leaves no name
 */
export function accountName(text: string, isTaken: (name: string) => boolean): string | null {
  const plain = text
    .replace(/(?:\.pub)+$/i, "")
    .replace(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[.-]+|-+$/g, "");
  if (plain === "") return null;
  const names = [plain, plain.replace(/\.([^.]*)$/, "-$1"), `repo-${plain}`];
  return names.find((name) => nameProblem(name) === null && !isTaken(name)) ?? null;
}
