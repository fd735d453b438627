import { spawn } from "node:child_process";
import { appriseFile, libraryFolder } from "../paths.ts";

/** How many orders are worked on at once; the keeper hands over no more. */
export const ordersAtOnce = 4;

/** How long one may take, in milliseconds; the program itself ends sooner. */
const patience = 45_000;

/** Starts the program that sends (libexec/sender.py). @returns its answer, or one that says why there is none */
export async function sendOne(order: Record<string, unknown>): Promise<unknown> {
  const child = spawn(appriseFile, ["-I", `${libraryFolder}/sender.py`], {
    stdio: ["pipe", "pipe", "ignore"],
    timeout: patience,
    killSignal: "SIGKILL",
  });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    said += part;
  });
  child.stdin.on("error", () => {}); // it has ended, and its exit says so
  child.stdin.end(`${JSON.stringify(order)}\n`);
  const isMissing = await new Promise<boolean>((resolve) => {
    child.on("error", () => resolve(true));
    child.on("close", () => resolve(false));
  });
  try {
    return JSON.parse(said);
  } catch {
    const reason = isMissing ? "Apprise is not installed" : "it did not answer in time";
    return { id: order.id, results: urlsOf(order).map(() => reason) };
  }
}

function urlsOf({ send }: Record<string, unknown>): unknown[] {
  const urls = (send as { urls?: unknown } | undefined)?.urls;
  return Array.isArray(urls) ? urls : [undefined]; // an address that is called is one
}
