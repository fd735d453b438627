import { readdirSync, readFileSync, statSync } from "node:fs";
import { readAccountFiles } from "../accounts/account-files.ts";
import { systemNames } from "../accounts/system-accounts.ts";
import { codeOf } from "../failure.ts";
import { borgName } from "../keys/borg-sshkeys.ts";
import { asRootOrOwner, type Owner } from "../owner.ts";
import { keyFolder, repositoryFolder } from "../paths.ts";
import { roleNames, roles } from "../role.ts";
import { look } from "./look.ts";
import type { Here } from "./target.ts";

/** What is on this server. */
export function here(owner: Owner): Here {
  const names = systemNames(readAccountFiles());
  const keyFiles = new Map(
    roleNames
      .map((role) => roles[role].folder)
      .flatMap((folder) =>
        namesIn(`${keyFolder}/${folder}`).map((name) => [name.toLowerCase(), `${folder}/${name}`]),
      ),
  );
  return {
    look: (path) => look(path, owner),
    isSystemName: (name) => names.has(name) || name.toLowerCase() === borgName,
    keyFile: (name) => keyFiles.get(name.toLowerCase()) ?? null,
    content: (path) => orNull(() => readFileSync(`${keyFolder}/${path}`, "utf8")),
    repository: (name, real) => asRootOrOwner(owner, () => stateOf(`${repositoryFolder}/${name}`, real)),
  };
}

const namesIn = (folder: string) => orNull(() => readdirSync(folder)) ?? [];

function stateOf(directory: string, real: string | null): ReturnType<Here["repository"]> {
  const found = statSync(directory, { throwIfNoEntry: false });
  if (!found) return "free";
  const other = real === null ? undefined : statSync(real, { throwIfNoEntry: false });
  if (found.dev === other?.dev && found.ino === other.ino) return "same";
  return found.isDirectory() && readdirSync(directory).length === 0 ? "free" : "taken";
}

/** Null where there is nothing. Throws what else hinders. */
function orNull<Result>(read: () => Result): Result | null {
  try {
    return read();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}
