import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  futimesSync,
  linkSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeSync,
} from "node:fs";
import { generationFolder } from "../paths.ts";
import type { Refusal } from "../problem.ts";
import { type AccountPlan, planAccounts } from "./account-plan.ts";
import {
  composePasswdCache,
  digestOf,
  nothingPublished,
  type PublishedAccounts,
  parsePasswdCache,
} from "./passwd-cache.ts";
import { incomplete } from "./system-accounts.ts";
import { describeAccounts, type WantedAccounts } from "./wanted-accounts.ts";

/** In a generation's folder. The installation makes links to those of the current one, of the same names, in /etc. */
const files = { lines: "passwd.cache", names: "passwd.cache.ixname", ids: "passwd.cache.ixuid" } as const;

/**
 * The modification time of all three in every publication, in seconds since 1970. The module reads the lines one
 * after the other where an index is older than they are, also where that is the index of a publication before. And
 * a file with another time has been changed by somebody else.
 */
const constantTime = 0;

/**
 * What a publication takes from the one before: all, where the accounts are the same; the places of the accounts,
 * where files may be damaged; nothing at a start, when nobody looks an account up.
 */
export type Reuse = "files" | "places" | "nothing";

/** The accounts of a publication, and how they differ from those that are published now. */
export interface AccountPublication extends AccountPlan {
  wanted: WantedAccounts;
  digest: string;
  /** What their files take over: null for all of it. */
  from: PublishedAccounts | null;
}

export function planAccountPublication(wanted: WantedAccounts, reuse: Reuse): AccountPublication {
  const digest = createHash("sha256").update(describeAccounts(wanted)).digest("hex");
  if (reuse === "files" && isIntact(digest))
    return { wanted, digest, from: null, add: [], change: [], remove: [] };
  const published = readPublished();
  const from = reuse === "nothing" ? nothingPublished : published;
  return { wanted, digest, from, ...planAccounts(published, wanted) };
}

/** Writes the files of the accounts into the folder of a publication, readable only by root. */
export function writeAccounts(generation: string, { wanted, digest, from }: AccountPublication): void {
  if (from === null) {
    for (const name of Object.values(files)) linkSync(`${generationFolder}/${name}`, `${generation}/${name}`);
    return;
  }
  const composed = composePasswdCache(wanted, digest, from);
  for (const part of ["lines", "names", "ids"] as const)
    write(`${generation}/${files[part]}`, composed[part]);
}

function readPublished(): PublishedAccounts {
  try {
    return parsePasswdCache(readFileSync(`${generationFolder}/${files.lines}`));
  } catch {
    return nothingPublished;
  }
}

/** Whether the published files are made of what this digest is of, and as they were written. */
function isIntact(digest: string): boolean {
  try {
    const start = Buffer.alloc(digest.length + 2);
    const file = openSync(`${generationFolder}/${files.lines}`, "r");
    try {
      readSync(file, start);
    } finally {
      closeSync(file);
    }
    return (
      digestOf(start) === digest &&
      Object.values(files).every(
        (name) => statSync(`${generationFolder}/${name}`).mtimeMs === constantTime * 1000,
      )
    );
  } catch {
    return false;
  }
}

function write(path: string, blocks: Iterable<Buffer>): void {
  const file = openSync(path, "wx", 0o600);
  try {
    for (const block of blocks)
      for (let written = 0; written < block.length; ) written += writeSync(file, block, written);
    futimesSync(file, constantTime, constantTime);
  } finally {
    closeSync(file);
  }
}

/**
 * Why the system does not know the published accounts, so that sshd would let nobody in; null if it does. Asks for
 * the one that exists always.
 */
export function whyUnknown(): Refusal | null {
  const { stdout } = spawnSync("getent", ["passwd", "borg"], { encoding: "utf8" });
  if (/^borg:\*:[0-9]+:[0-9]+:borgserver:.*\n$/.test(stdout)) return null;
  return {
    text: `the system does not know the accounts that are published in ${generationFolder}: libnss-cache is missing, or the word "cache" in the line passwd of /etc/nsswitch.conf, or the links /etc/passwd.cache*`,
    hint: incomplete,
  };
}
