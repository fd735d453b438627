import { spawn } from "node:child_process";
import { programFile } from "../paths.ts";

/**
 * Has a task done by a process of its own (keep.ts), so that what it takes for many accounts is given back, and that it may
 * wait, or fail, without keeping the keeper from anything else.
 * @param question what it is given, and what it answers, as JSON
 */
export async function inChild<Answer>(task: string, question: unknown): Promise<Answer> {
  const child = spawn(programFile, ["keep", task], { stdio: "pipe" });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    stdout += part;
  });
  child.stderr.setEncoding("utf8").on("data", (part: string) => {
    stderr += part;
  });
  child.stdin.on("error", () => {}); // it has ended, and its exit says why
  child.stdin.end(JSON.stringify(question));
  const reason = await new Promise<string | null>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(code === 0 ? null : `it ended with ${signal ?? code}`));
  });
  if (reason === null) return JSON.parse(stdout) as Answer;
  // A message, in its one form (report.ts).
  throw new Error(
    stderr
      .trim()
      .replace(/^borgserver: /, "")
      .replace("\n  ", ". ") || reason,
  );
}
