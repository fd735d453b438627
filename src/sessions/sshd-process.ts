import { readFileSync } from "node:fs";
import { sshdPidFile } from "../paths.ts";
import { type Process, readProcess } from "./process-table.ts";

/** This server's own sshd, the one that listens, or null if it does not run. */
export function runningSshd(): Process | null {
  let pid: number;
  try {
    pid = Number(readFileSync(sshdPidFile, "utf8"));
  } catch {
    return null;
  }
  const process = readProcess(pid);
  return process?.name === "sshd" && process.state !== "Z" ? process : null;
}
