import { closeSync, lstatSync, mkdirSync, readSync, unlinkSync } from "node:fs";
import { hostname } from "node:os";
import { codeOf } from "../failure.ts";
import { type Owner, whileOwner } from "../owner.ts";
import { recordsFolder } from "../paths.ts";
import { namesIn, nodeNames } from "../repositories/nodes.ts";
import { openRegular, readRegular } from "../repositories/regular-file.ts";
import { type Cursor, type Ledger, type LedgerSession, retention } from "./ledger.ts";
import { parseRecord, type SessionRecord } from "./record.ts";

/** A session that goes on: what its file says before it has become a record (libexec/record.py). */
export interface OpenSession {
  node: string;
  account: string;
  began: number;
  pid: number;
  repository: string | null;
  exclusive: boolean;
}

/** The folder of this node's records. */
export const ownRecords = () => `${recordsFolder}/${hostname()}`;

/** Makes it, so that it can be watched before there was a session. */
export function makeOwnRecords(owner: Owner): void {
  whileOwner(owner, () => mkdirSync(ownRecords(), { recursive: true, mode: 0o700 }));
}

/** How much is read in one step, in bytes. */
const step = 4 * 1024 * 1024;

/**
 * Takes up what the nodes recorded since the last time.
 * @param also is done with each session, in the transaction that takes it up
 * @returns the repositories that sessions opened, each once
 */
export function takeRecords(
  ledger: Ledger,
  owner: Owner,
  also?: (session: LedgerSession) => void,
): Set<string> {
  const opened = new Set<string>();
  const known = new Map(ledger.cursors().map((cursor) => [`${cursor.node}/${cursor.file}`, cursor]));
  const files = whileOwner(owner, recordFiles);
  for (const { node, file, size } of files) {
    const key = `${node}/${file}`;
    let offset = known.get(key)?.offset ?? 0;
    known.delete(key);
    if (size < offset) offset = 0; // it was put back from a copy; what is known is not taken twice
    while (offset < size) {
      const [records, end] = whileOwner(owner, () => readRecords(`${recordsFolder}/${key}`, offset));
      if (end === offset) break; // half a line
      ledger.take({ node, file, offset: end }, records, also);
      for (const { repository } of records) if (repository !== null) opened.add(repository);
      offset = end;
    }
  }
  if (known.size > 0) ledger.forget([...known.values()], Date.now());
  return opened;
}

/** Removes this node's records of which all are too old, and what the ledger has of that age. */
export function forgetOldRecords(ledger: Ledger, owner: Owner, now: number): void {
  const node = hostname();
  const gone: Cursor[] = [];
  whileOwner(owner, () => {
    for (const { file } of recordFiles().filter((each) => each.node === node))
      if (endOfMonth(file) < now - retention) {
        unlinkSync(`${recordsFolder}/${node}/${file}`);
        gone.push({ node, file, offset: 0 });
      }
  });
  ledger.forget(gone, now);
}

/** The sessions that go on, on all nodes. */
export function openSessions(owner: Owner): OpenSession[] {
  return whileOwner(owner, () =>
    nodeNames().flatMap((node) =>
      namesIn(`${recordsFolder}/${node}/open`).flatMap((name) => {
        const content = contentOf(`${recordsFolder}/${node}/open/${name}`);
        const session = content && openSessionIn(content, node);
        return session ? [session] : [];
      }),
    ),
  );
}

/** Null if it is gone: the session has just ended. */
function contentOf(path: string): Buffer | null {
  try {
    return readRegular(path, 0, 4096);
  } catch (error) {
    if (["ENOENT", "ESTALE"].includes(codeOf(error) ?? "")) return null;
    throw error;
  }
}

/** The layout is that of libexec/record.py. */
function openSessionIn(content: Buffer, node: string): OpenSession | null {
  if (content.length < 4096) return null;
  const textAt = (begin: number, end: number) =>
    content.subarray(begin, end).toString("utf8").replace(/\0+$/, "");
  try {
    const { account, began, process } = JSON.parse(textAt(512, 2048));
    if (typeof account !== "string" || typeof began !== "number") return null;
    const [, repository = null] = /^\/repos\/([^/]+)/.exec(textAt(2048, 4096)) ?? [];
    return {
      ...{ node, account, repository },
      began: Math.floor(began / 1e6),
      pid: Number.parseInt(process, 10),
      exclusive: content.readBigUInt64LE(24 * 8) !== 0n,
    };
  } catch {
    return null;
  }
}

function recordFiles(): { node: string; file: string; size: number }[] {
  return nodeNames().flatMap((node) =>
    namesIn(`${recordsFolder}/${node}`)
      .filter((file) => /^[0-9]{4}-[0-9]{2}\.jsonl$/.test(file))
      .sort()
      .map((file) => ({
        ...{ node, file },
        size: lstatSync(`${recordsFolder}/${node}/${file}`, { throwIfNoEntry: false })?.size ?? 0,
      })),
  );
}

/** @returns also where the last whole line ends */
function readRecords(path: string, offset: number): [SessionRecord[], number] {
  const file = openRegular(path);
  if (!file) return [[], offset];
  try {
    const buffer = Buffer.alloc(step);
    const read = buffer.subarray(0, readSync(file.descriptor, buffer, 0, step, offset));
    // A line that is longer than a step is none of ours.
    const end = read.lastIndexOf("\n") + 1 || (read.length === step ? step : 0);
    const lines = read.subarray(0, end).toString("utf8").split("\n");
    return [lines.map(parseRecord).filter((record) => record !== null), offset + end];
  } finally {
    closeSync(file.descriptor);
  }
}

function endOfMonth(file: string): number {
  const [year = 0, month = 0] = file.split(/[-.]/).map(Number);
  return Date.UTC(year, month); // months count from 0, so this is the first moment after it
}
