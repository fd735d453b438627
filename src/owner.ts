/** The numeric owner that all accounts and repositories share. */
export interface Owner {
  uid: number;
  gid: number;
}

/** The words that run a command as the owner instead of as root (setpriv(1)). */
export function asOwner({ uid, gid }: Owner, command: readonly string[]): string[] {
  const ids = ["--reuid", `${uid}`, "--regid", `${gid}`, "--clear-groups"];
  return ["/usr/bin/setpriv", ...ids, "--", ...command];
}
