import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats } from "node:fs";

/** A file that is open, and what it is. */
export interface OpenFile {
  descriptor: number;
  stats: Stats;
}

/**
 * Opens a file of a repository, in which clients decide what is there: no symlink is followed, no FIFO waited for, no
 * device opened.
 * @param access as open(2) takes it
 * @returns null if it is not a regular file. Throws what open(2) does
 */
export function openRegular(path: string | Buffer, access = constants.O_RDONLY): OpenFile | null {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isFile()) return null;
  const descriptor = openSync(path, access | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const stats = fstatSync(descriptor);
  if (stats.isFile()) return { descriptor, stats };
  closeSync(descriptor);
  return null;
}

/** Reads so many bytes of a regular file, or as many as there are; null if it is not one. */
export function readRegular(path: string | Buffer, position: number, length: number): Buffer | null {
  const file = openRegular(path);
  if (!file) return null;
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(file.descriptor, bytes, 0, length, position));
  } finally {
    closeSync(file.descriptor);
  }
}

/** borg writes the section [repository] of a config first, and its settings before its key (repository.py, save_config). */
export const configStart = 4096; // bytes
