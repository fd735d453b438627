import { expect, test } from "vitest";
import { type Ended, lackOf } from "../../../src/server/confinement.ts";

const ended = (other: Partial<Ended>): Ended => ({
  status: 0,
  signal: null,
  stdout: "",
  stderr: "",
  ...other,
});
const told = (lacks: unknown) => ended({ stdout: `${JSON.stringify({ landlock: 2, lacks })}\n` });

test("a wall that lacks nothing is complete, and each part that it lacks is told", () => {
  expect(lackOf(told([]))).toBe("");
  expect(lackOf(told(["one thing"]))).toBe("one thing");
  expect(lackOf(told(["one thing", "another"]))).toBe("one thing; another");
});

test.each<[string, Partial<Ended>, string]>([
  ["was not started", { status: null, error: new Error("spawn setpriv ENOENT") }, "spawn setpriv ENOENT"],
  ["was killed", { status: null, signal: "SIGKILL" }, "the trial ended with SIGKILL"],
  ["failed without a word", { status: 7, stdout: '{"landlock":6,"lacks":[]}' }, "the trial ended with 7"],
  ["said why", { status: 1, stderr: "Traceback:\n  line\nOSError: no such wall\n" }, "OSError: no such wall"],
])("a trial that %s shows no wall", (_, how, why) => {
  expect(lackOf(ended(how))).toBe(`it could not be tried out: ${why}`);
});

test.each([
  ["nothing", ""],
  ["no JSON", "complete"],
  ["null", "null"],
  ["no list", '{"landlock":6}'],
  ["another list", '{"landlock":6,"lacks":[1]}'],
  ["an empty part", '{"landlock":6,"lacks":[""]}'],
  ["a text", '{"landlock":6,"lacks":"much"}'],
])("a trial that tells %s shows no wall", (_, stdout) => {
  expect(lackOf(ended({ stdout }))).toBe("it could not be tried out: the trial did not tell what it found");
});
