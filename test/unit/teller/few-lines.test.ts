import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { readFewLines } from "../../../src/teller/few-lines.ts";

async function read(parts: string[], most: number): Promise<{ lines: string[]; more: number }> {
  const input = new PassThrough();
  const lines: string[] = [];
  let more = 0;
  readFewLines(
    input,
    most,
    (line) => lines.push(line),
    () => {
      more += 1;
    },
  );
  const ended = new Promise((resolve) => input.on("close", resolve));
  for (const part of parts) input.write(part);
  input.end();
  await ended;
  return { lines, more };
}

test("lines come whole, in whatever parts they are written, and the last one without its end", async () => {
  expect(await read(["a", "b\nc", "\n", "\nd"], 10)).toEqual({ lines: ["ab", "c", "", "d"], more: 0 });
});

test("beyond so many a minute they are left out, and that is said once", async () => {
  expect(await read(["1\n2\n3\n4\n5\n", "6\n"], 3)).toEqual({ lines: ["1", "2", "3"], more: 1 });
});

test("what has no end is several lines, and is not kept", async () => {
  const { lines, more } = await read(
    Array.from({ length: 100 }, () => "x".repeat(65_536)),
    5,
  );
  expect(lines.map(({ length }) => length)).toEqual(Array(5).fill(65_536));
  expect(more).toBe(1);
});
