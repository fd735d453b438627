import { spawnSync } from "node:child_process";
import { closeSync, fstatSync, lchownSync, lstatSync, openSync, readdirSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { type Owner, whileOwner } from "../owner.ts";

/**
 * Gives a directory and all that is in it to the owner. Until all is done the directory has the group 0, which no
 * settings allow, so that the next run continues an interrupted one, whichever owner is set then. Somebody who writes to
 * the directory meanwhile could put a symlink into a path: hence lchown(2), and find's -execdir, which runs chown in the
 * directory that it has open.
 */
export function changeOwnerOfAll(path: string, { uid, gid }: Owner): void {
  if (readdirSync(path).length > 0) {
    changeOwner(path, { uid, gid: 0 });
    const words = [
      path,
      "-mindepth",
      "1",
      "-execdir",
      "chown",
      "--no-dereference",
      `${uid}:${gid}`,
      "{}",
      "+",
    ];
    const { status, stderr, error } = spawnSync("find", words, { encoding: "utf8" });
    if (error) throw error;
    if (status !== 0) throw new Error(stderr.trim().split("\n")[0]);
  }
  changeOwner(path, { uid, gid });
}

/** Changes the owner of one directory. Throws also if the storage only pretends to. */
export function changeOwner(path: string, { uid, gid }: Owner): void {
  lchownSync(path, uid, gid);
  const found = lstatSync(path);
  if (found.uid !== uid || found.gid !== gid)
    throw new Error(`the storage keeps ${found.uid}:${found.gid} as its owner`);
}

/**
 * Whether the owner can use a directory, whoever its owner seems to be. On storage that maps ids (exports(5), all_squash;
 * mounts of other systems' shares) a new file gets another owner than the one who made it.
 */
export function keepsOwnOwners(owner: Owner): (path: string) => boolean {
  return (path) =>
    whileOwner(owner, () => {
      const probe = `${path}/.borgserver-probe-${hostname()}`; // other servers may try at the same time
      try {
        rmSync(probe, { force: true }); // a run that was killed may have left it
        const file = openSync(probe, "wx", 0o600);
        try {
          return fstatSync(file).uid !== owner.uid;
        } finally {
          closeSync(file);
          rmSync(probe);
        }
      } catch {
        return false;
      }
    });
}
