import { codeOf } from "./failure.ts";

/** The numeric owner that all accounts and repositories share. */
export interface Owner {
  uid: number;
  gid: number;
}

export const isRoot = () => process.geteuid?.() === 0;

/** The words that run a command as the owner instead of as root (setpriv(1)); no program that it starts gains rights. */
export function asOwner({ uid, gid }: Owner, command: readonly string[]): string[] {
  const ids = ["--reuid", `${uid}`, "--regid", `${gid}`, "--clear-groups", "--no-new-privs"];
  return ["/usr/bin/setpriv", ...ids, "--", ...command];
}

/** Looks at files with the owner's rights: network file systems may deny root what they allow the owner (exports(5), root_squash). */
export function whileOwner<Result>({ uid, gid }: Owner, look: () => Result): Result {
  if (!isRoot()) return look();
  const { setegid, seteuid } = uid > largestOfRuntime || gid > largestOfRuntime ? ofLibrary() : process;
  setegid?.(gid);
  seteuid?.(uid);
  try {
    return look();
  } finally {
    seteuid?.(0);
    setegid?.(0);
  }
}

/** The runtime's own seteuid refuses larger ids. */
const largestOfRuntime = 2 ** 31 - 1;

/** seteuid(2) and setegid(2) of the C library, which take every id. Loaded when needed, because unit tests run on Node. */
function ofLibrary(): { setegid(id: number): void; seteuid(id: number): void } {
  const { dlopen } = process.getBuiltinModule("bun:ffi") as typeof import("bun:ffi");
  const id = { args: ["u32"], returns: "i32" } as const;
  const { symbols } = dlopen("libc.so.6", { setegid: id, seteuid: id });
  const become = (call: (id: number) => number) => (id: number) => {
    if (call(id) !== 0) throw new Error(`the id ${id} cannot be taken on`);
  };
  return { setegid: become(symbols.setegid), seteuid: become(symbols.seteuid) };
}

/** Looks as root, and if the storage denies that, as the owner. Throws what either look throws. */
export function asRootOrOwner<Result>(owner: Owner, look: () => Result): Result {
  try {
    return look();
  } catch (error) {
    if (!isClosedToRoot(error)) throw error;
    return whileOwner(owner, look);
  }
}

/** Network file systems may deny root what they allow the owner (exports(5), root_squash). */
export function isClosedToRoot(error: unknown): boolean {
  return ["EACCES", "EPERM"].includes(codeOf(error) ?? "");
}
