import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asOwner, isRoot, type Owner } from "../owner.ts";
import { printableBytes } from "../printable.ts";
import type { Problem } from "../problem.ts";

/** What a repository holds that borg did not put there: borg makes only regular files and directories. */
export interface StrangeEntries {
  repository: string;
  /** The first ones, each with its kind. */
  first: string[];
  count: number;
}

/** A look into repositories. */
export interface Look {
  /**
   * Waits for its end.
   * @param patience for how long, in milliseconds; then the look is broken off
   * @returns what was found, and whether everything was looked at
   */
  end(patience?: number): Promise<{ found: StrangeEntries[]; isComplete: boolean }>;
}

/** How many entries of a repository are shown. */
const mostNamed = 3;

const kinds: Record<string, string> = { l: "symlink", p: "FIFO", s: "socket", b: "device", c: "device" };

/**
 * Begins to look at the types of all entries of repositories, which come from reading directories (find(1) opens and
 * follows nothing). It runs with the owner's rights, because clients decide what is in there.
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
  child.unref(); // if other work fails meanwhile, nobody waits for it
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
 * @returns null if that was not enough
 */
export async function strangeProblems(
  repositories: Iterable<string>,
  owner: Owner,
  patience: number,
): Promise<Problem[] | null> {
  const { found, isComplete } = await beginLook([...repositories], owner).end(patience);
  return isComplete ? found.map(strangeProblem) : null;
}

/** Looks at all entries of repositories in a process of its own, which prints what it finds, and which nobody waits for. */
export function lookInBackground(repositories: readonly string[]): void {
  const list = unnamedFile(repositories.join("\0"));
  spawn(process.execPath, [backgroundCommand], {
    detached: true,
    stdio: [list, "ignore", "inherit"],
  }).unref();
  closeSync(list);
}

/** The command of that process: it reads the paths of repositories, separated by zero bytes. */
export const backgroundCommand = "look";

/** A file without a name, to be read from its beginning. A pipe would have to be filled while other work goes on. */
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
      if (entries.first.length < mostNamed) entries.first.push(`${inside} (${kinds[type] ?? "unknown"})`);
    }
  }
}

/** What was found in one repository, as a problem of it. */
export function strangeProblem({ repository, first, count }: StrangeEntries): Problem {
  const more = count > first.length ? ` and ${count - first.length} more` : "";
  return {
    where: repository,
    text: `it holds what borg never makes, and would follow or wait for: ${first.join(", ")}${more}`,
    hint: "Find out who put it there, and remove it.",
  };
}
