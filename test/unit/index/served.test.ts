import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { countServed, readServed, rolesServed, writeServed } from "../../../src/index/served.ts";
import type { Role } from "../../../src/role.ts";

let folder: string;
let generation: string;
beforeEach(() => {
  folder = mkdtempSync("/tmp/served-");
  generation = `${folder}/generation-1`;
  mkdirSync(generation);
  symlinkSync("generation-1", `${folder}/current`);
});
afterEach(() => rmSync(folder, { recursive: true }));

const all: Role[] = ["repo", "appendonly", "restore", "admin"];
const served = (inIndex: Role[] | null) => [...rolesServed(folder, inIndex && new Set(inIndex))];

test("counts accounts of key files, not that of BORG_SSHKEYS, and is read as it was written", () => {
  const counts = countServed([
    { role: "repo", source: "/sshkeys/repos/a" },
    { role: "repo", source: "/sshkeys/repos/b" },
    { role: "admin", source: "BORG_SSHKEYS" },
  ]);
  expect(counts).toEqual({ repo: 2, appendonly: 0, restore: 0, admin: 0 });
  writeServed(generation, counts);
  expect(readServed(generation)).toEqual(counts);
  expect(readFileSync(`${generation}/served.json`, "utf8")).toBe(
    '{"repo":2,"appendonly":0,"restore":0,"admin":0}\n',
  );
});

test.each([
  "",
  "{}",
  "null",
  "[]",
  "5",
  "{",
  '{"repo":1,"appendonly":0}',
  '{"repo":"1","appendonly":0,"restore":0,"admin":0}',
  '{"repo":-1,"appendonly":0,"restore":0,"admin":0}',
  '{"repo":1.5,"appendonly":0,"restore":0,"admin":0}',
  "\0\0\0",
])("%j does not answer, so that the index is asked, and without it every role may be served", (content) => {
  writeFileSync(`${generation}/served.json`, content);
  expect(readServed(generation)).toBeNull();
  expect(served(["admin"])).toEqual(["admin"]);
  expect(served(null)).toEqual(all);
});

test("what is counted beside the index tells, whatever the index does", () => {
  writeServed(generation, { repo: 1, appendonly: 0, restore: 0, admin: 0 });
  for (const inIndex of [null, [], ["admin"] as Role[]]) expect(served(inIndex)).toEqual(["repo"]);
});

test("where nothing was ever published nothing is served; a trace of it, and every role may be", () => {
  rmSync(`${folder}/current`);
  // A first publication that did not come to its end leaves this.
  expect(served(null)).toEqual([]);
  for (const trace of ["current", "index.sqlite", "served.json"]) {
    symlinkSync("nowhere", `${folder}/${trace}`);
    expect(served(null)).toEqual(all);
    rmSync(`${folder}/${trace}`);
  }
});
