import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { lookUpGrant } from "../../../src/index/lookup.ts";
import { type IndexContent, publishIndex } from "../../../src/index/publish.ts";
import { readIndex, rolesInIndex } from "../../../src/index/read.ts";
import { roleNames } from "../../../src/role.ts";

const folder = mkdtempSync("/tmp/index-");
afterAll(() => rmSync(folder, { recursive: true }));
const file = `${folder}/index.sqlite`;

const rights: Omit<IndexContent, "accounts"> = {
  extraArguments: { repo: ["--storage-quota", "20G"], appendonly: [], admin: [] },
  landlock: 3,
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
  publishIndex(file, content, process.getgid!());
  expect(readIndex(file)).toEqual(content.accounts.map(({ state: _, ...account }) => account));
  expect(rolesInIndex(file)).toEqual(new Set(["appendonly", "repo"]));
  expect(rolesInIndex(`${folder}/none`)).toBeNull();
  expect(lookUpGrant(file, "web", "SHA256:b")).toEqual({
    role: "repo",
    type: "ssh-ed25519",
    blob: "AAAA1",
    extraArguments: ["--storage-quota", "20G"],
    landlock: 3,
    addresses: "",
    expires: "20301231000000Z",
  });
  expect(lookUpGrant(file, "boss", "SHA256:b")).toMatchObject({ role: "appendonly", extraArguments: [] });
  expect(lookUpGrant(file, "boss", "SHA256:a")).toBeNull();
  expect(statSync(file).mode & 0o777).toBe(0o640);
});

test("what a crash left beside it is no hindrance", () => {
  writeFileSync(`${file}.new`, "half a page");
  publishIndex(file, { ...rights, accounts: [] }, process.getgid!());
  expect(readIndex(file)).toEqual([]);
});

test("a grant is found for its account and fingerprint alone", () => {
  const account = fc.record({
    name: fc.stringMatching(/^[a-z%_*']{1,4}$/),
    role: fc.constantFrom(...roleNames),
    first: fc.boolean(),
    second: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(account, { selector: ({ name }) => name, maxLength: 6 }),
      fc.stringMatching(/^[a-z%_*']{0,4}$/),
      (accounts, other) => {
        const content = accounts.map(({ name, role, first, second }) => ({
          name,
          role,
          source: "s",
          state: null,
          keys: [...(first ? [someKeys[0]!] : []), ...(second ? [someKeys[1]!] : [])],
        }));
        publishIndex(file, { ...rights, accounts: content }, process.getgid!());
        for (const name of [other, ...accounts.map(({ name }) => name)]) {
          for (const { fingerprint } of someKeys) {
            const expected = content.find(
              (account) =>
                account.name === name && account.keys.some((key) => key.fingerprint === fingerprint),
            );
            expect(lookUpGrant(file, name, fingerprint)?.role).toBe(expected?.role);
          }
        }
      },
    ),
    { numRuns: 30 },
  );
});
