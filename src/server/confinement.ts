import { spawnSync } from "node:child_process";
import { asOwner, isRoot, type Owner } from "../owner.ts";
import { borgFile } from "../paths.ts";

/** How a program ended, and what it wrote. */
export interface Ended {
  status: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
  /** Why it was not started, or was ended. */
  error?: Error | undefined;
}

/** How long the trial may take, in milliseconds. It takes as long as borg takes to load. */
const patience = 30_000;

/**
 * Finds out how far the kernel can confine a session, by having borg try its wall out on a throwaway folder
 * (libexec/wall.py).
 * @returns what the wall lacks here; empty where it is complete
 */
export function probeConfinement(owner: Owner): { reason: string } {
  const trial = [borgFile, "tell-wall"];
  const [program = "", ...words] = isRoot() ? asOwner(owner, trial) : trial;
  const ended = spawnSync(program, words, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH },
    timeout: patience,
    killSignal: "SIGKILL",
  });
  return { reason: lackOf(ended) };
}

/** What the wall lacks by its trial. A trial that tells nothing shows no wall. */
export function lackOf({ status, signal, stdout, stderr, error }: Ended): string {
  const untried = (why: string) => `it could not be tried out: ${why}`;
  if (error) return untried(error.message);
  if (status !== 0)
    return untried(stderr.trim().split("\n").at(-1) || `the trial ended with ${signal ?? status}`);
  const lacks = readLacks(stdout);
  return lacks ? lacks.join("; ") : untried("the trial did not tell what it found");
}

function readLacks(text: string): string[] | null {
  try {
    const { lacks } = JSON.parse(text);
    const isWhole = Array.isArray(lacks) && lacks.every((part) => typeof part === "string" && part !== "");
    return isWhole ? lacks : null;
  } catch {
    return null;
  }
}
