import { createHash } from "node:crypto";
import { constants, type PathLike, readFileSync, type Stats, statfsSync, statSync } from "node:fs";

/** By which a file is recognised as the same, with the same content: bytes, milliseconds since 1970, numbers. */
export interface FileState {
  size: number;
  mtime: number;
  ctime: number;
  inode: number;
  device: number;
  /** SHA-256 of the content, in base64. */
  hash: string;
}

/**
 * When a file counts as unchanged: by stat(2), or only if its content is the same as well. A change through a mapping
 * (mmap(2)) that is not written back yet leaves all time stamps as they were.
 */
export type Trust = "stat" | "content";

/** The key files of the published index, by path. */
export type PublishedFiles = ReadonlyMap<string, FileState>;

/**
 * File systems whose time stamps only this kernel sets (statfs(2)): ext2 to ext4, XFS, Btrfs, F2FS, ZFS, bcachefs,
 * tmpfs, overlay. On others, such as NFS, stat(2) may return old values, and those of another machine's clock.
 */
const localFileSystems = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0xca451a4e, 0x01021994, 0x794c7630,
]);

/** Whether only this kernel changes a file system's files, so that it knows of every change. Throws where there is nothing. */
export const isLocal = (path: PathLike) => localFileSystems.has(statfsSync(path).type);

/** The coarsest time stamps of those, with room to spare. */
const timeStep = 2000; // milliseconds

const hashOf = (content: Buffer) => createHash("sha256").update(content).digest("base64");

/** Decides by stat(2) whether a file has changed between two rebuilds. */
export class FileStates {
  readonly #now = Date.now();
  readonly #isLocal = new Map<number, boolean>(); // by device

  /**
   * The state by which the next rebuild sees whether the file has changed. Null, so that the file is always read, if it
   * changed so recently that its next change could get the same time stamp, if its time stamp lies in the future, or if
   * its file system's time stamps cannot be trusted.
   * @param content what was read after stat(2)
   */
  stateOf(path: PathLike, { dev, size, mtimeMs, ctimeMs, ino }: Stats, content: Buffer): FileState | null {
    const settled = Math.max(mtimeMs, ctimeMs) < this.#now - timeStep;
    return settled && this.#isTrusted(path, dev)
      ? { size, mtime: mtimeMs, ctime: ctimeMs, inode: ino, device: dev, hash: hashOf(content) }
      : null;
  }

  isUnchanged(path: string, { size, mtime, ctime, inode, device }: FileState): boolean {
    try {
      const found = statSync(path);
      return (
        found.size === size &&
        found.mtimeMs === mtime &&
        found.ctimeMs === ctime &&
        found.ino === inode &&
        found.dev === device
      );
    } catch {
      return false; // reading it will say why
    }
  }

  /** For a file that isUnchanged: whether its content is the same as well. */
  hasContent(path: PathLike, { hash }: FileState): boolean {
    try {
      return hashOf(readFileSync(path, { flag: constants.O_RDONLY | constants.O_NONBLOCK })) === hash;
    } catch {
      return false;
    }
  }

  /** Whether the time stamps of this file's file system can be trusted. */
  #isTrusted(path: PathLike, device: number): boolean {
    const known = this.#isLocal.get(device) ?? isLocal(path);
    this.#isLocal.set(device, known);
    return known;
  }
}
