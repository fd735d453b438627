import { expect, test } from "vitest";
import { compare, formatDifference } from "../../../src/index/difference.ts";
import type { Account } from "../../../src/keys/account.ts";
import type { KeyAt } from "../../../src/keys/key-file.ts";

const key = (fingerprint: string): KeyAt => ({
  type: "ssh-ed25519",
  blob: "AAAA",
  fingerprint,
  addresses: "",
  expires: "",
  comment: "",
  line: 1,
});
const account = (name: string, ...keys: KeyAt[]): Account => ({
  name,
  role: "repo",
  source: `/sshkeys/repos/${name}`,
  state: null,
  keys,
});

test("the same accounts and keys, in any order, are no difference", () => {
  const [a, b] = [account("a", key("1"), key("2")), account("b", key("1"))];
  expect(formatDifference(compare([a, b], [b, account("a", key("2"), key("1"))]))).toBeNull();
  expect(formatDifference(compare([], []))).toBeNull();
});

test.each([
  ["another key", account("a", key("2"))],
  ["a key more", account("a", key("1"), key("2"))],
  ["no key", account("a")],
  ["another role", { ...account("a", key("1")), role: "admin" as const }],
  ["another file", { ...account("a", key("1")), source: "BORG_SSHKEYS" }],
  ["another limit", account("a", { ...key("1"), addresses: "192.0.2.1" })],
  ["another end", account("a", { ...key("1"), expires: "20300101000000Z" })],
  ["another comment", account("a", { ...key("1"), comment: "b" })],
])("%s is one", (_, other) => {
  expect(compare([account("a", key("1"))], [other])).toEqual({ lacks: 0, otherwise: 1, beyond: 0 });
});

test("each kind is counted", () => {
  const files = ["a", "b", "c"].map((name) => account(name, key("1")));
  const index = [account("c", key("1")), account("b", key("2")), account("x"), account("y")];
  expect(formatDifference(compare(files, index))).toBe(
    "accounts: 1 missing in it, 1 other in it, 2 only in it",
  );
});

test("a file that was not read, because it is unchanged, has the keys that are published", () => {
  const unread = { ...account("a"), keys: null };
  expect(compare([unread], [account("a", key("1"))])).toEqual({ lacks: 0, otherwise: 0, beyond: 0 });
  expect(compare([{ ...unread, role: "admin" }], [account("a", key("1"))])).toMatchObject({ otherwise: 1 });
  expect(compare([unread], [])).toMatchObject({ lacks: 1 });
});
