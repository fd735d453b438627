import { readFileSync } from "node:fs";
import { codeOf } from "../failure.ts";
import { OperatorError } from "../problem.ts";
import { foreignOwner } from "../user-namespace.ts";
import { type AccountFiles, incomplete } from "./system-accounts.ts";

/** Reads the system's account files as bytes (latin1): what is not the server's may be in any encoding. */
export function readAccountFiles(): AccountFiles {
  return { passwd: read("passwd"), group: read("group") };
}

function read(name: string): string {
  try {
    return readFileSync(`/etc/${name}`, "latin1");
  } catch (error) {
    if (codeOf(error) === "ENOENT")
      throw new OperatorError(`there is no /etc/${name}, and so no account`, incomplete);
    throw new OperatorError(
      `/etc/${name} cannot be read (${codeOf(error)})`,
      foreignOwner(`/etc/${name}`)?.hint,
    );
  }
}
