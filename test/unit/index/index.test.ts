import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { openDatabase } from "../../../src/database.ts";
import type { IndexContent } from "../../../src/index/publish.ts";
import { isGranted, readIndex, rolesInIndex } from "../../../src/index/read.ts";
import { publishIndex } from "./published.ts";

const folder = mkdtempSync("/tmp/index-");
afterAll(() => rmSync(folder, { recursive: true }));
const file = `${folder}/index.sqlite`;

const rights: Omit<IndexContent, "accounts"> = {
  extraArguments: { repo: ["--storage-quota", "20G"], appendonly: [], restore: [], admin: [] },
  idOf: (name) => 70_000 + name.length,
  walled: true,
  deletions: "refused",
};
const someKeys = ["SHA256:a", "SHA256:b"].map((fingerprint, at) => ({
  type: "ssh-ed25519",
  blob: `AAAA${at}`,
  fingerprint,
  addresses: "",
  expires: "20301231000000Z",
  comment: "'; DROP TABLE grant; --",
  line: at + 1,
}));

test("a published index tells a session whose it is and how it is held", () => {
  const accounts = [{ name: "web01", role: "appendonly" as const, source: "x", state: null, keys: someKeys }];
  publishIndex(file, { ...rights, walled: false, deletions: "kept", accounts });
  const index = openDatabase(file, { readonly: true, timeout: 0 });
  // As libexec/resident.py asks.
  expect(
    index
      .prepare(
        "SELECT a.role, a.uid, r.arguments, r.walled, r.deletions FROM account AS a JOIN role AS r ON r.name = a.role WHERE a.name = ?",
      )
      .all("web01"),
  ).toEqual([{ role: "appendonly", uid: 70_005, arguments: "[]", walled: 0, deletions: "kept" }]);
  index.close();
});

test("a published index says what was put into it", () => {
  const content: IndexContent = {
    ...rights,
    accounts: [
      { name: "borg", role: "admin", source: "BORG_SSHKEYS", state: null, keys: someKeys.slice(1) },
      {
        name: "boss",
        role: "appendonly",
        source: "/sshkeys/repos-appendonly/boss",
        state: null,
        keys: someKeys.slice(1),
      },
      { name: "web", role: "repo", source: "/sshkeys/repos/web", state: null, keys: someKeys },
    ],
  };
  publishIndex(file, content);
  expect(readIndex(file)).toEqual(content.accounts.map(({ state: _, ...account }) => account));
  expect(rolesInIndex(file)).toEqual(new Set(["appendonly", "repo"]));
  expect(rolesInIndex(`${folder}/none`)).toBeNull();
  expect(isGranted(file, "boss", "SHA256:b")).toBe(true);
  expect(isGranted(file, "boss", "SHA256:a")).toBe(false);
  expect(statSync(file).mode & 0o777).toBe(0o640);
});

test("what a crash left next to it does no harm", () => {
  writeFileSync(`${file}.new`, "half a page");
  publishIndex(file, { ...rights, accounts: [] });
  expect(readIndex(file)).toEqual([]);
});

test("an index that is read with the keys of some accounts has all accounts, and those keys", () => {
  const account = (name: string) => ({
    name,
    role: "repo" as const,
    source: name,
    state: null,
    keys: someKeys,
  });
  publishIndex(file, { ...rights, accounts: ["a", "b", "c"].map(account) });
  const keysOf = (...names: string[]) =>
    Object.fromEntries(readIndex(file, names).map(({ name, keys }) => [name, keys.length]));
  expect(keysOf("b", "other")).toEqual({ a: 0, b: 2, c: 0 });
  expect(keysOf()).toEqual({ a: 0, b: 0, c: 0 });
  expect(readIndex(file)).toEqual(
    ["a", "b", "c"].map((name) => ({ name, role: "repo", source: name, keys: someKeys })),
  );
});
