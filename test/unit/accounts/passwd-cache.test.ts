import fc from "fast-check";
import { expect, test } from "vitest";
import { planAccounts } from "../../../src/accounts/account-plan.ts";
import {
  composePasswdCache,
  digestOf,
  nothingPublished,
  type PublishedAccounts,
  parsePasswdCache,
} from "../../../src/accounts/passwd-cache.ts";
import { accountLine, wantedAccounts } from "../../../src/accounts/wanted-accounts.ts";
import type { NamedRole } from "../../../src/keys/account.ts";
import { nameProblem } from "../../../src/keys/account.ts";
import { roleNames } from "../../../src/role.ts";

// What the real module makes of these files, test/machine/lookups.test.ts tells.

const gids = { repo: 60902, appendonly: 60903, restore: 60905, admin: 60904 };
const range = { first: 70_000, count: 30_000 };
const digest = "0".repeat(64);

interface Files {
  lines: Buffer;
  names: Buffer;
  ids: Buffer;
}

function compose(accounts: readonly NamedRole[], published = nothingPublished, first = range.first): Files {
  const { lines, names, ids } = composePasswdCache(
    wantedAccounts(accounts, 1000, { ...range, first }, gids),
    digest,
    published,
  );
  const whole = (blocks: Iterable<Buffer>) => Buffer.concat([...blocks].map((block) => Buffer.from(block)));
  return { lines: whole(lines), names: whole(names), ids: whole(ids) };
}

const entriesOf = (index: Buffer) => {
  const length = index.indexOf("\n") + 1;
  expect(index.length % length).toBe(0);
  return Array.from({ length: index.length / length }, (_, at) => {
    const [key = "", offset = ""] = index.toString("latin1", at * length, (at + 1) * length).split("\0");
    return { key: Buffer.from(key, "latin1"), offset: Number(offset) };
  });
};

/** What fgetpwent_r(3) reads from an offset: the first line that is one; null at the end. */
function readLine(lines: Buffer, offset: number): string | null {
  for (const line of lines.toString("latin1", offset).split("\n")) {
    const text = line.trimStart();
    if (text === "" || text.startsWith("#")) continue;
    const [, , uid = "", gid = "", ...rest] = text.split(":");
    if (/^[0-9]+$/.test(uid) && /^[0-9]+$/.test(gid) && rest.length === 3) return text;
  }
  return null;
}

/** As bsearch(3) with strcmp(3) does, and then the comparison of names. */
function lookUp(index: Buffer, lines: Buffer, name: string): string | "nobody" | "linear" | "abort" {
  const entries = entriesOf(index);
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const { key, offset } = entries[middle]!;
    const order = Buffer.compare(Buffer.from(name, "latin1"), key);
    if (order === 0) {
      const line = readLine(lines, offset);
      return line === null ? "abort" : line.startsWith(`${name}:`) ? line : "linear";
    }
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return "nobody";
}

const allLines = (lines: Buffer) =>
  lines
    .toString("latin1")
    .split("\n")
    .map((line) => line.trimStart())
    .filter((line) => line !== "" && !line.startsWith("#"));

const repo = (name: string): NamedRole => ({ name, role: "repo" });
const lineOf = ({ name, role }: NamedRole, first = range.first) =>
  accountLine(name, role, { owner: 1000, ids: { ...range, first }, gids });

test("each account is found by its name, and a program that reads all lines reads each once", () => {
  const accounts = [
    "web",
    "web0",
    "web01",
    "w",
    "Web",
    "_",
    "x".repeat(255),
    `x${"y".repeat(253)}`,
    "-.-",
  ].map(repo);
  const { lines, names, ids } = compose(accounts);
  for (const account of accounts) expect(lookUp(names, lines, account.name)).toBe(lineOf(account));
  for (const name of ["we", "web001", "x".repeat(254), "", "zzz", ".free"])
    expect(lookUp(names, lines, name)).toBe("nobody");
  const all = [lineOf({ name: "borg", role: "admin" }), ...accounts.map((account) => lineOf(account))];
  expect(allLines(lines).sort()).toEqual(all.sort());
  const [id, ...others] = entriesOf(ids);
  expect(others).toEqual([]);
  expect(id!.key.toString()).toBe(lineOf({ name: "borg", role: "admin" }).split(":")[2]);
  expect(readLine(lines, id!.offset)).toBe(lineOf({ name: "borg", role: "admin" }));
  expect(digestOf(lines.subarray(0, 66))).toBe(digest);
});

test("without accounts there is that of BORG_SSHKEYS", () => {
  const { lines, names } = compose([]);
  expect(lookUp(names, lines, "borg")).toBe(lineOf({ name: "borg", role: "admin" }));
  expect(lookUp(names, lines, "web")).toBe("nobody");
});

test("an index is sorted by the bytes of its keys", () => {
  const names = ["b", "B", "_", "0x", "a-b", "a.b", "ab", "a_b", "aB", "a"];
  const keys = entriesOf(compose(names.map(repo)).names).map(({ key }) => key);
  expect(keys).toEqual([...keys].sort(Buffer.compare));
  expect(keys).toHaveLength(names.length + 1);
});

test("no name is written that could be taken for something else", () => {
  for (const name of ["a:b", "a\nb", "a b", "é", "", "x".repeat(256)])
    expect(() => compose([repo(name)])).toThrow("cannot be a name");
});

/** Names of which many begin or end with one another, some of them long. */
const part = fc.constantFrom("a", "web", "01", "-", "_x", ".", "y".repeat(60), "z".repeat(120));
const name = fc
  .array(part, { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join("").slice(0, 255))
  .filter((name) => nameProblem(name) === null);
const accounts = fc.uniqueArray(fc.record({ name, role: fc.constantFrom(...roleNames) }), {
  selector: ({ name }) => name,
  maxLength: 12,
});

test("an index of one publication and lines of any later one never give another account, nor a wrong line", () => {
  let mixed = 0;
  fc.assert(
    fc.property(fc.array(accounts, { minLength: 2, maxLength: 6 }), (generations) => {
      let published: PublishedAccounts = nothingPublished;
      const all = generations.map((accounts) => {
        const files = compose(accounts, published);
        published = parsePasswdCache(files.lines);
        return { accounts, ...files };
      });
      for (const [at, { accounts, names }] of all.entries())
        for (const [later, generation] of all.entries()) {
          if (later < at) continue;
          for (const account of accounts) {
            const found = lookUp(names, generation.lines, account.name);
            const now = generation.accounts.find(({ name }) => name === account.name);
            mixed += Number(later > at);
            const stayed = all
              .slice(at, later + 1)
              .every((each) => each.accounts.some(({ name }) => name === account.name));
            // One publication later it is as before or as now, quickly; whenever later, never wrong.
            const right = [
              lineOf(account),
              ...all
                .slice(at, later + 1)
                .flatMap((each) => each.accounts.filter(({ name }) => name === account.name))
                .map((each) => lineOf(each)),
            ];
            if (later <= at + 1) expect(right).toContain(found);
            else if (stayed && account.name.length < 90) expect(found).toBe(lineOf(now!));
            else expect([...right, "linear"]).toContain(found);
          }
        }
    }),
  );
  expect(mixed).toBeGreaterThan(100);
});

test("an account stays in its place while others come and go, and free places are used again", () => {
  const first = compose(["a", "b", "c", "long".repeat(40)].map(repo));
  const places = (files: Files) =>
    new Map(entriesOf(files.names).map(({ key, offset }) => [`${key}`, offset]));
  const second = compose(["a", "c", "d"].map(repo), parsePasswdCache(first.lines));
  const third = compose(["a", "c", "d", "e", "tall".repeat(40)].map(repo), parsePasswdCache(second.lines));
  for (const name of ["a", "c"]) expect(places(third).get(name)).toBe(places(first).get(name));
  expect(places(second).get("d")).toBeGreaterThan(Math.max(...places(first).values()));
  // What b and the long name had is free now.
  expect(places(third).get("e")).toBe(places(first).get("b"));
  expect(places(third).get("tall".repeat(40))).toBe(places(first).get("long".repeat(40)));
  expect(third.lines.length).toBe(second.lines.length);
  const last = compose([], parsePasswdCache(third.lines));
  expect(last.lines.length).toBe(third.lines.length);
  expect(allLines(compose([], parsePasswdCache(last.lines)).lines)).toEqual([
    lineOf({ name: "borg", role: "admin" }),
  ]);
});

test("what is damaged counts as free, and a plan says it is missing", () => {
  const accounts = ["a", "b", "c"].map(repo);
  const wanted = wantedAccounts(accounts, 1000, range, gids);
  const { lines } = compose(accounts);
  expect(planAccounts(parsePasswdCache(lines), wanted)).toEqual({ add: [], change: [], remove: [] });
  const cut = lines.subarray(0, 4 * 256 + 5);
  expect(planAccounts(parsePasswdCache(cut), wanted).add).toEqual(["c"]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.nat(lines.length), (bytes, at) => {
      const damaged = Buffer.concat([lines.subarray(0, at), bytes, lines.subarray(at)]);
      const next = compose(accounts, parsePasswdCache(damaged));
      for (const account of accounts)
        expect(lookUp(next.names, next.lines, account.name)).toBe(lineOf(account));
      const published = parsePasswdCache(next.lines);
      expect([...published.places.keys()].sort()).toEqual(["a", "b", "borg", "c"]);
    }),
  );
});

test("a large file without one line in it is not searched from each place to its end", () => {
  const { places, size } = parsePasswdCache(Buffer.alloc(64 << 20));
  expect([places.size, size]).toEqual([0, (64 << 20) / 256]);
});

test("a million accounts are composed, a part at a time", () => {
  const count = 1_000_000;
  const wanted = wantedAccounts(
    Array.from({ length: count }, (_, at) => repo(`host${at}`)),
    1000,
    range,
    gids,
  );
  const { lines, names } = composePasswdCache(wanted, digest, nothingPublished);
  let largest = 0;
  let size = 0;
  for (const block of lines) {
    largest = Math.max(largest, block.length);
    size += block.length;
  }
  expect(size).toBe((count + 2) * 256);
  let before = "";
  let found = 0;
  for (const block of names) {
    largest = Math.max(largest, block.length);
    const length = block.indexOf("\n") + 1;
    for (let at = 0; at < block.length; at += length * 1000) {
      const key = block.toString("latin1", at, block.indexOf("\0", at));
      if (key <= before) throw new Error(`${key} stands behind ${before}`);
      before = key;
      found++;
    }
  }
  expect(found).toBeGreaterThan(count / 1000);
  expect(largest).toBeLessThan(2 << 20);
});
