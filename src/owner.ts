/** The numeric owner that all accounts and repositories share. */
export interface Owner {
  uid: number;
  gid: number;
}

export const isRoot = () => process.geteuid?.() === 0;

/** The words that run a command as the owner instead of as root (setpriv(1)). */
export function asOwner({ uid, gid }: Owner, command: readonly string[]): string[] {
  const ids = ["--reuid", `${uid}`, "--regid", `${gid}`, "--clear-groups"];
  return ["/usr/bin/setpriv", ...ids, "--", ...command];
}

/** Looks at files with the owner's rights: network file systems may close to root what is open to it (exports(5), root_squash). */
export function whileOwner<Result>({ uid, gid }: Owner, look: () => Result): Result {
  if (!isRoot()) return look();
  process.setegid?.(gid);
  process.seteuid?.(uid);
  try {
    return look();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

/** Looks as root; where the storage closes that to root, as the owner. Throws what either look throws. */
export function asRootOrOwner<Result>(owner: Owner, look: () => Result): Result {
  try {
    return look();
  } catch (error) {
    if (!isClosedToRoot(error)) throw error;
    return whileOwner(owner, look);
  }
}

/** Network file systems may close to root what is open to its owner (exports(5), root_squash). */
export function isClosedToRoot(error: unknown): boolean {
  return ["EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "");
}
