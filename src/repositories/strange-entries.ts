import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asOwner, isRoot, type Owner } from "../owner.ts";
import { printableBytes } from "../printable.ts";

/** What a repository holds that borg did not put there: borg makes regular files and directories alone. */
export interface StrangeEntries {
  repository: string;
  /** The first ones, each with what it is. */
  first: string[];
  count: number;
}

/** A look into repositories. */
export interface Look {
  /**
   * Waits for its end.
   * @param patience for how long, in milliseconds; then it is broken off
   * @returns what was found, and whether all was looked at
   */
  end(patience?: number): Promise<{ found: StrangeEntries[]; isComplete: boolean }>;
}

/** How many entries of a repository are named. */
const mostNamed = 3;

const kinds: Record<string, string> = { l: "symlink", p: "FIFO", s: "socket", b: "device", c: "device" };

/**
 * Begins to look at all entries of repositories by their types, which reading a directory tells (find(1) opens and
 * follows nothing): with the owner's rights, because clients decide what is in there.
 */
export function beginLook(repositories: readonly string[], owner: Owner): Look {
  if (repositories.length === 0) return { end: async () => ({ found: [], isComplete: true }) };
  // -H: the repository itself may be an operator's symlink.
  // nice: it may go on while the server serves.
  const find = [
    "nice",
    "find",
    "-H",
    "-files0-from",
    "-",
    "-mindepth",
    "1",
    "!",
    "-type",
    "f",
    "!",
    "-type",
    "d",
  ];
  const [program = "", ...words] = isRoot()
    ? asOwner(owner, [...find, "-printf", "%H\\0%P\\0%y\\0"])
    : [...find, "-printf", "%H\\0%P\\0%y\\0"];
  const list = unnamedFile(repositories.map((path) => `${path}\0`).join(""));
  const child = spawn(program, words, { cwd: "/", stdio: [list, "pipe", "ignore"] });
  closeSync(list);
  child.unref(); // where the work beside it fails, nobody waits for it
  const found = new Map<string, StrangeEntries>();
  const ended = Promise.all([once(child, "close"), child.stdout && collect(child.stdout, found)]).then(
    () => child.signalCode === null,
    () => false, // there is no find
  );
  return {
    async end(patience) {
      const timer = patience === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), patience);
      const isComplete = await ended;
      clearTimeout(timer);
      return { found: [...found.values()], isComplete };
    },
  };
}

/**
 * The same as a line for each repository that holds some.
 * @param patience for how long to look, in milliseconds
 * @returns null where that was not enough
 */
export async function strangeLines(
  repositories: Iterable<string>,
  owner: Owner,
  patience: number,
): Promise<string[] | null> {
  const { found, isComplete } = await beginLook([...repositories], owner).end(patience);
  return isComplete ? found.map(describeStrange) : null;
}

/** Looks at all entries of repositories in a process of its own, which prints what it finds when it has, and nobody waits for. */
export function lookInBackground(repositories: readonly string[]): void {
  const list = unnamedFile(repositories.join("\0"));
  spawn(process.execPath, [backgroundCommand], {
    detached: true,
    stdio: [list, "ignore", "inherit"],
  }).unref();
  closeSync(list);
}

/** The command that the process in the background runs: it reads the paths of repositories, with a zero byte between two. */
export const backgroundCommand = "look";

/** A file without a name, to be read from its beginning; a pipe would have to be fed while other work goes on. */
function unnamedFile(content: string): number {
  const folder = mkdtempSync(join(tmpdir(), "borgserver-"));
  try {
    const file = openSync(join(folder, "list"), "wx+", 0o600);
    const bytes = Buffer.from(content);
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, at);
    return file;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function collect(output: AsyncIterable<Buffer>, found: Map<string, StrangeEntries>): Promise<void> {
  let rest = Buffer.alloc(0);
  let fields: Buffer[] = [];
  for await (const part of output) {
    rest = Buffer.concat([rest, part]);
    for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
      fields.push(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      if (fields.length < 3) continue;
      const [repository = "", inside = "", type = ""] = [
        fields[0]?.toString(),
        fields[1] && printableBytes(fields[1]),
        fields[2]?.toString(),
      ];
      fields = [];
      const entries = found.get(repository) ?? { repository, first: [], count: 0 };
      found.set(repository, entries);
      entries.count++;
      if (entries.first.length < mostNamed)
        entries.first.push(`${repository}/${inside} (${kinds[type] ?? "no file"})`);
    }
  }
}

/** One line about what was found in one repository. */
export function describeStrange({ first, count }: StrangeEntries): string {
  const more = count > first.length ? ` and ${count - first.length} more` : "";
  return `${first.join(", ")}${more}: borg puts regular files and directories alone into a repository, and would follow or wait for anything else. Find out who put it there, and remove it`;
}
