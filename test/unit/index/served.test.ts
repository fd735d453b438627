import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  countServed,
  readServed,
  rolesServed,
  servedFileOf,
  writeServed,
} from "../../../src/index/served.ts";
import type { Role } from "../../../src/role.ts";

let folder: string;
let index: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync("/tmp/served-");
  index = `${folder}/index.sqlite`;
  file = servedFileOf(index);
});
afterEach(() => rmSync(folder, { recursive: true }));

const all: Role[] = ["repo", "appendonly", "admin"];
const served = (inIndex: Role[] | null, onSystem: Role[] = []) => [
  ...rolesServed(index, inIndex && new Set(inIndex), new Set(onSystem)),
];

test("counts accounts of key files, not that of BORG_SSHKEYS, and is read as it was written", () => {
  const counts = countServed([
    { role: "repo", source: "/sshkeys/repos/a" },
    { role: "repo", source: "/sshkeys/repos/b" },
    { role: "admin", source: "BORG_SSHKEYS" },
  ]);
  expect(counts).toEqual({ repo: 2, appendonly: 0, admin: 0 });
  writeServed(file, counts);
  expect(readServed(file)).toEqual(counts);
  expect(readFileSync(file, "utf8")).toBe('{"repo":2,"appendonly":0,"admin":0}\n');
});

test.each([
  "",
  "{}",
  "null",
  "[]",
  "5",
  "{",
  '{"repo":1,"appendonly":0}',
  '{"repo":"1","appendonly":0,"admin":0}',
  '{"repo":-1,"appendonly":0,"admin":0}',
  '{"repo":1.5,"appendonly":0,"admin":0}',
  "\0\0\0",
])("%j does not answer, so that the index is asked, and without it every role may be served", (content) => {
  writeFileSync(file, content);
  expect(readServed(file)).toBeNull();
  expect(served(["admin"], ["repo"])).toEqual(["admin"]);
  expect(served(null, ["repo"])).toEqual(all);
});

test("file and index count together: a crash may have left one of before", () => {
  writeServed(file, { repo: 1, appendonly: 0, admin: 0 });
  expect(served(["admin"])).toEqual(["repo", "admin"]);
  expect(served([])).toEqual(["repo"]);
  expect(served(null, ["appendonly"])).toEqual(["repo"]);
});

test("an index that cannot answer, and nothing next to it, may serve every role; if nothing was published, the system decides", () => {
  expect(served(null)).toEqual([]);
  expect(served(null, ["repo"])).toEqual(["repo"]);
  writeFileSync(index, "no database");
  expect(served(null)).toEqual(all);
});
