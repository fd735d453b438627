import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { publishedFolder } from "../paths.ts";
import { metricsText } from "../teller/metrics.ts";

/** Writes the metrics of what is published into a file, for the textfile collector of node_exporter. */
export async function writeMetrics(file: string): Promise<null> {
  const text = await metricsText(JSON.parse(readFileSync(`${publishedFolder}/state.json`, "utf8")));
  rmSync(`${file}.new`, { force: true });
  writeFileSync(`${file}.new`, text, { flag: "wx", mode: 0o644 }); // others may write into the folder
  renameSync(`${file}.new`, file);
  return null;
}
