import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { recordsFolder, repositoryFolder } from "../paths.ts";
import { configStart, readRegular } from "./regular-file.ts";

/**
 * The last manifests of an append-only repository: raw objects, in which a repository lists its archives. A client can
 * always write one that lists fewer, and `borg check --repair` then deletes the others. They are kept where no session of
 * the repository can write, by `session` before the kernel confines it, with the owner's rights.
 */

/** A manifest that was kept. */
export interface KeptManifest {
  file: string;
  /** The segment of the repository's last commit then. */
  transaction: number;
  keptAt: Date;
  /** In bytes. */
  size: number;
}

/** How many are kept, and for how many milliseconds; the newest always. */
const mostKept = 100;
const longestKept = 30 * 24 * 3600 * 1000;

const folderOf = (name: string) => `${recordsFolder}/manifests/${name}`;

/** The manifests that were kept of a repository, the newest first. */
export function keptManifests(name: string): KeptManifest[] {
  const folder = folderOf(name);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .flatMap((each) => {
      const [, time, transaction] = /^([0-9]+)-([0-9]+)$/.exec(each) ?? [];
      const file = `${folder}/${each}`;
      const found = lstatSync(file, { throwIfNoEntry: false }); // another session may have removed it meanwhile
      return time === undefined || !found
        ? []
        : [{ file, transaction: Number(transaction), keptAt: new Date(Number(time)), size: found.size }];
    })
    .sort((a, b) => b.keptAt.getTime() - a.keptAt.getTime());
}

/** Keeps the manifest that a repository has now, if it is another than the last one that was kept. */
export function keepManifest(name: string, now: number): void {
  const repository = `${repositoryFolder}/${name}`;
  const index = newestIndex(repository);
  if (index === null) return; // a repository without a commit
  const manifest = readManifest(repository, index);
  if (manifest === null) return;
  mkdirSync(folderOf(name), { recursive: true, mode: 0o700 });
  const kept = keptManifests(name);
  if (kept.length === 0 || !readFileSync(kept[0]!.file).equals(manifest)) {
    const file = `${folderOf(name)}/${now}-${index.transaction}`;
    writeFileSync(`${file}.new`, manifest, { mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
    for (const { file } of superfluous(keptManifests(name), now)) rmSync(file, { force: true });
  }
}

/**
 * What is too old, and what is too much: of the two that lie closest in time the later one, so that a client which
 * commits a thousand times a night does not push out what was kept before that night.
 * @param kept the newest first
 */
export function superfluous(kept: readonly KeptManifest[], now: number): KeptManifest[] {
  const isOld = ({ keptAt }: KeptManifest) => now - keptAt.getTime() > longestKept;
  const [newest, ...others] = kept;
  const left = newest ? [newest, ...others.filter((each) => !isOld(each))] : [];
  while (left.length > mostKept) {
    const gaps = left.slice(1, -1).map((each, at) => each.keptAt.getTime() - left[at + 2]!.keptAt.getTime());
    left.splice(1 + gaps.indexOf(Math.min(...gaps)), 1);
  }
  return kept.filter((each) => !left.includes(each));
}

/** Where borg keeps what a repository holds as of its last commit (borg's repository.py, get_index_transaction_id). */
interface Index {
  file: string;
  transaction: number;
}

function newestIndex(repository: string): Index | null {
  const transactions = readdirSync(repository)
    .map((name) => /^index\.([0-9]{1,10})$/.exec(name)?.[1])
    .filter((number) => number !== undefined)
    .map(Number);
  if (transactions.length === 0) return null;
  const transaction = Math.max(...transactions);
  return { file: `${repository}/index.${transaction}`, transaction };
}

/** Largest object in borg (MAX_DATA_SIZE in its constants.py, rounded up), in bytes. */
const largestObject = 20 * 1024 * 1024;
/** How far a bucket is looked for: borg keeps a quarter of them free. */
const mostBuckets = 100_000;

/**
 * Reads the object with the id of 32 zero bytes. The index is a hash table (borg's _hashindex.c): a header of 18 bytes
 * (magic, entries, buckets, sizes of key and value), then buckets of key, segment and offset; the hash of this id is 0.
 * @returns null where the index does not have it
 */
function readManifest(repository: string, index: Index): Buffer | null {
  const header = read(index.file, 0, 18);
  if (header.toString("latin1", 0, 8) !== "BORG_IDX" || header[16] !== 32 || header[17] !== 8)
    throw new Error(`${index.file} is not an index`);
  const buckets = Math.min(header.readInt32LE(12), mostBuckets);
  for (let at = 0; at < buckets; at += 1000) {
    const some = read(index.file, 18 + at * 40, Math.min(1000, buckets - at) * 40);
    for (let bucket = 0; bucket < some.length; bucket += 40) {
      const segment = some.readUInt32LE(bucket + 32);
      if (segment === empty) return null;
      if (segment === deleted || some.subarray(bucket, bucket + 32).some((byte) => byte !== 0)) continue;
      return readObject(repository, segment, some.readUInt32LE(bucket + 36));
    }
  }
  return null;
}

const empty = 0xffffffff;
const deleted = 0xfffffffe;

/** An entry of a segment is a checksum, its size, a tag, the id, and the object (borg's repository.py, LoggedIO). */
function readObject(repository: string, segment: number, offset: number): Buffer {
  const config = readRegular(`${repository}/config`, 0, configStart)?.toString("latin1") ?? "";
  const perFolder = Number(/^segments_per_dir *= *([0-9]+)$/m.exec(config)?.[1]);
  if (!(perFolder > 0)) throw new Error(`${repository}/config does not say where segments are`);
  const file = `${repository}/data/${Math.floor(segment / perFolder)}/${segment}`;
  const header = read(file, offset, 41);
  const size = header.readUInt32LE(4) - 41;
  if (header[8] !== 0 || header.subarray(9).some((byte) => byte !== 0) || size < 0 || size > largestObject)
    throw new Error(`${file} has no manifest at ${offset}`);
  return read(file, offset + 41, size);
}

/** Reads so many bytes, all of them. */
function read(file: string, position: number, length: number): Buffer {
  const bytes = readRegular(file, position, length);
  if (bytes?.length !== length) throw new Error(`${file} is not a regular file, or is too short`);
  return bytes;
}
