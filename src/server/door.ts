import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { reasonOf } from "../failure.ts";
import { doorFolder, sessionFile, sessionSocket, stateFolder } from "../paths.ts";
import { OperatorError } from "../problem.ts";
import { unsafePart } from "./login-program.ts";

/**
 * Makes the folder that sshd shuts logins in, with the session program of this version. It lies with the index because a
 * socket needs a place that can be written, and a program one where programs may run, which a tmpfs often is not.
 * Throws if sshd would not use it, or could not start the program.
 */
export function makeDoor(): void {
  const program = `${doorFolder}${sessionFile}`;
  const socket = `${doorFolder}${sessionSocket}`;
  for (const file of [program, socket]) makeFolders(dirname(file));
  copyFileSync(sessionFile, `${program}.new`);
  chmodSync(`${program}.new`, 0o755);
  renameSync(`${program}.new`, program);
  const lost = "no session could begin, because sshd cannot start";
  const unsafe = unsafePart(program);
  if (unsafe) throw new OperatorError(`${lost} ${program}: ${unsafe.text}`, unsafe.hint);
  try {
    accessSync(program, constants.X_OK);
  } catch (error) {
    throw new OperatorError(
      `${lost} ${program}: ${reasonOf(error)}`,
      `Mount ${stateFolder} so that programs may run in it (mount(8), exec).`,
    );
  }
  // What serves sessions puts its socket in the place of this file, for which there may be no room by then.
  if (!existsSync(socket)) writeFileSync(socket, "");
  if (!isLinkTo(sessionSocket, socket)) {
    rmSync(sessionSocket, { force: true }); // an older version's socket
    symlinkSync(socket, sessionSocket);
  }
}

function isLinkTo(path: string, target: string): boolean {
  try {
    return readlinkSync(path) === target;
  } catch {
    return false;
  }
}

/** Makes a folder of the door and those above, which everybody may enter, whatever the umask is. */
function makeFolders(path: string): void {
  if (path === stateFolder) return;
  makeFolders(dirname(path));
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o755);
}
