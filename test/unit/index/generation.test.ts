import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { publishGeneration } from "../../../src/index/generation.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync("/tmp/generation-");
});
afterEach(() => rmSync(folder, { recursive: true }));

const publish = (text: string) =>
  publishGeneration(folder, process.getgid!(), (generation) => {
    writeFileSync(`${generation}/index.sqlite`, text);
    return text.length;
  });
const index = () => readFileSync(`${folder}/index.sqlite`, "utf8");
const names = () => readdirSync(folder).sort();

test("what is published is found by one link, and the publication before is kept", () => {
  expect(publish("one")).toBe(3);
  expect(names()).toEqual(["current", "generation-1", "index.sqlite"]);
  expect(index()).toBe("one");
  publish("two");
  expect(names()).toEqual(["current", "generation-1", "generation-2", "index.sqlite"]);
  publish("three");
  expect(names()).toEqual(["current", "generation-2", "generation-3", "index.sqlite"]);
  expect([readlinkSync(`${folder}/current`), index()]).toEqual(["generation-3", "three"]);
  expect(readFileSync(`${folder}/generation-2/index.sqlite`, "utf8")).toBe("two");
  expect(statSync(`${folder}/current`).mode & 0o777).toBe(0o750);
});

test("one that fails leaves all as it was, and says so", () => {
  publish("one");
  const before = names();
  expect(() =>
    publishGeneration(folder, process.getgid!(), (generation) => {
      writeFileSync(`${generation}/index.sqlite`, "half");
      throw new Error("no space");
    }),
  ).toThrow(`in ${folder} could not be replaced and are as they were: no space`);
  expect([names(), index()]).toEqual([before, "one"]);
});

test("what a crash left is removed, whichever publication it was of", () => {
  for (let number = 1; number < 12; number++) publish(`${number}`);
  mkdirSync(`${folder}/generation-12`);
  writeFileSync(`${folder}/generation-12/index.sqlite`, "half");
  mkdirSync(`${folder}/generation-9`);
  symlinkSync("generation-12", `${folder}/current.new`);
  symlinkSync("nowhere", `${folder}/index.sqlite.new`);
  publish("next");
  expect(names()).toEqual(["current", "generation-11", "generation-12", "index.sqlite"]);
  expect(index()).toBe("next");
});

test.each([
  ["missing", () => rmSync(`${folder}/current`)],
  [
    "leading elsewhere",
    () => {
      rmSync(`${folder}/current`);
      symlinkSync("/tmp", `${folder}/current`);
    },
  ],
])("a link to the current one that is %s is made anew", (_, damage) => {
  publish("one");
  publish("two");
  damage();
  publish("three");
  expect(index()).toBe("three");
  expect(names()).toEqual(["current", "generation-1", "index.sqlite"]);
  expect(existsSync("/tmp")).toBe(true);
});

test("what an older server published, or another program put in its place, gives way", () => {
  writeFileSync(`${folder}/index.sqlite`, "old");
  writeFileSync(`${folder}/served.json`, "{}");
  writeFileSync(`${folder}/lock.sqlite`, "");
  mkdirSync(`${folder}/generation-x`);
  publish("one");
  expect(lstatSync(`${folder}/index.sqlite`).isSymbolicLink()).toBe(true);
  expect(index()).toBe("one");
  expect(names()).toEqual(["current", "generation-1", "generation-x", "index.sqlite", "lock.sqlite"]);
});
