import type { Readable } from "node:stream";

/** How long a line is at most, in characters: what is longer counts as several. */
const longest = 65_536;
const minute = 60_000; // milliseconds

/**
 * Reads lines of a process that may have been taken over: no more than some a minute, and none without an end.
 * @param onMore called once in a minute that has more, which are left out
 */
export function readFewLines(
  input: Readable,
  most: number,
  onLine: (line: string) => void,
  onMore: () => void,
): void {
  let begun = Number.NEGATIVE_INFINITY;
  let count = 0;
  let rest = "";
  const take = (line: string) => {
    const now = performance.now();
    if (now - begun > minute) [begun, count] = [now, 0];
    count += 1;
    if (count <= most) onLine(line);
    else if (count === most + 1) onMore();
  };
  input.setEncoding("utf8").on("data", (part: string) => {
    const lines = (rest + part).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
    if (rest.length < longest) return;
    take(rest);
    rest = "";
  });
  input.on("end", () => {
    if (rest !== "") take(rest);
  });
}
