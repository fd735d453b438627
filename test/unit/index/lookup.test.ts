/** Commands write the index with better-sqlite3; a login reads it with the SQLite of its runtime, which is Bun. */
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openDatabase } from "../../../src/database.ts";
import type { Grant } from "../../../src/index/lookup.ts";
import type { IndexContent } from "../../../src/index/publish.ts";
import { isGranted, readIndex } from "../../../src/index/read.ts";
import { schemaVersion } from "../../../src/index/schema.ts";
import type { KeyAt } from "../../../src/keys/key-file.ts";
import { type Role, roleNames } from "../../../src/role.ts";
import { publishIndex } from "./published.ts";

const folder = mkdtempSync("/tmp/lookup-");
afterAll(() => rmSync(folder, { recursive: true }));
const file = `${folder}/index.sqlite`;

const [bun = "no Bun"] = globSync("node_modules/@oven/bun-*/bin/bun");

/** What logins of these accounts with these keys are told. */
function ask(
  index: string,
  questions: readonly (readonly [account: string, fingerprint: string])[],
): (Grant | null | { fault: string })[] {
  const { status, stdout, stderr } = spawnSync(bun, ["test/unit/index/answers.ts"], {
    input: JSON.stringify(questions.map((question) => [index, ...question])),
    encoding: "utf8",
    timeout: 20_000,
  });
  if (status !== 0) throw new Error(`exit ${status} from ${bun}: ${stderr}`);
  return JSON.parse(stdout);
}

type Rights = Omit<IndexContent, "accounts">;
const rights: Rights = {
  extraArguments: { repo: [], appendonly: [], restore: [], admin: [] },
  idOf: (name) => 70_000 + name.length,
  walled: true,
  deletions: "refused",
};

function publish(
  accounts: readonly { name: string; role: Role; keys: KeyAt[] }[],
  stored: Partial<Rights> = {},
  to = file,
): void {
  const found = accounts.map((account) => ({
    ...account,
    source: `/sshkeys/${account.name}`,
    state: null,
  }));
  publishIndex(to, { ...rights, ...stored, accounts: found });
}

const key = (fingerprint: string, fields: Partial<KeyAt> = {}): KeyAt => ({
  type: "ssh-ed25519",
  blob: "AAAA",
  fingerprint,
  addresses: "",
  expires: "",
  comment: "me@laptop",
  line: 1,
  ...fields,
});

/** A grant as the key's fields say it. */
const granted = (role: Role, { type, blob, addresses, expires }: KeyAt, stored = rights): Grant => ({
  role,
  type,
  blob,
  addresses,
  expires,
  extraArguments: stored.extraArguments[role],
  ...{ repository: null, quota: null, archived: null },
});

describe("a login is told what a command has written:", () => {
  test.each(roleNames)("role %s", (role) => {
    publish([{ name: "web", role, keys: [key("SHA256:a")] }]);
    expect(ask(file, [["web", "SHA256:a"]])).toEqual([granted(role, key("SHA256:a"))]);
  });

  test("extra arguments, only of the role, word by word", () => {
    const extraArguments = {
      repo: ["--storage-quota", "20G", "--append-only"],
      appendonly: [],
      restore: ["--debug"],
      admin: ["--x=a \"b\" 'c' é\\"],
    };
    const accounts = roleNames.map((role) => ({ name: role, role, keys: [key("SHA256:a")] }));
    publish(accounts, { extraArguments });
    expect(
      ask(
        file,
        roleNames.map((role) => [role, "SHA256:a"]),
      ),
    ).toEqual(roleNames.map((role) => granted(role, key("SHA256:a"), { ...rights, extraArguments })));
  });

  const keys = {
    "no limits": key("SHA256:no-limits"),
    addresses: key("SHA256:addresses", { addresses: "192.0.2.0/24,!192.0.2.7,2001:db8::/32" }),
    "an end": key("SHA256:an-end", { expires: "20301231235959Z" }),
    "both limits": key("SHA256:both-limits", { addresses: "192.0.2.1", expires: "20301231235959Z" }),
    "no comment": key("SHA256:no-comment", { comment: "" }),
    "a comment of all kinds of characters": key("SHA256:comment", {
      comment: "'; DROP TABLE grant; -- \u{1f511} é",
    }),
    "the longest RSA key": key("SHA256:rsa", { type: "ssh-rsa", blob: "A".repeat(2792) }),
    "the longest type": key("SHA256:fido", { type: "sk-ecdsa-sha2-nistp256@openssh.com" }),
    "a line far down": key("SHA256:line", { line: 2 ** 31 }),
  };
  const rows = `${folder}/rows`;
  const longest = "n".repeat(255);
  beforeAll(() =>
    publish(
      [
        { name: "web", role: "repo", keys: Object.values(keys) },
        { name: longest, role: "admin", keys: [keys["no limits"]] },
        { name: "web2", role: "appendonly", keys: [keys.addresses] },
        { name: "empty", role: "repo", keys: [] },
      ],
      {},
      rows,
    ),
  );

  test.each(Object.entries(keys))("a key with %s", (_, row) => {
    expect(ask(rows, [["web", row.fingerprint]])).toEqual([granted("repo", row)]);
  });

  test("the longest name", () => {
    const row = keys["no limits"];
    expect(
      ask(rows, [
        [longest, row.fingerprint],
        [longest.slice(1), row.fingerprint],
      ]),
    ).toEqual([granted("admin", row), null]);
  });

  test("one key of two accounts, each with its own role", () => {
    const row = keys.addresses;
    expect(
      ask(rows, [
        ["web", row.fingerprint],
        ["web2", row.fingerprint],
      ]),
    ).toEqual([granted("repo", row), granted("appendonly", row)]);
  });

  test.each([
    ["another account's key", "web2", "SHA256:no-limits"],
    ["an account without keys", "empty", "SHA256:no-limits"],
    ["an account that does not exist", "wen", "SHA256:no-limits"],
    ["a key that nobody has", "web", "SHA256:none"],
    ["a name in another case", "WEB", "SHA256:no-limits"],
    ["a fingerprint in another case", "web", "SHA256:NO-LIMITS"],
    ["wildcards", "%", "%"],
    ["nothing", "", ""],
    ["SQL", "web' OR '1'='1", "x"],
  ])("nothing, for %s", (_, account, fingerprint) => {
    expect(ask(rows, [[account, fingerprint]])).toEqual([null]);
    expect(isGranted(rows, account, fingerprint)).toBe(false);
  });

  test("whatever it is, and commands see the same", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 40 });
    const fingerprints = ["SHA256:a", "SHA256:b", "SHA256:c"];
    const row = fc.record({
      type: fc.constantFrom("ssh-ed25519", "ssh-rsa", "sk-ssh-ed25519@openssh.com"),
      blob: fc.oneof(
        fc.base64String({ maxLength: 100 }),
        fc.base64String({ minLength: 2000, maxLength: 3000 }),
      ),
      fingerprint: fc.constantFrom(...fingerprints),
      addresses: fc.oneof(fc.constant(""), text),
      expires: fc.oneof(fc.constant(""), text),
      comment: text,
      line: fc.integer({ min: 1, max: 2 ** 31 }),
    });
    const account = fc.record({
      name: fc.oneof(
        fc.stringMatching(/^[a-z%_*']{1,3}$/),
        fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{200,254}$/),
      ),
      role: fc.constantFrom(...roleNames),
      keys: fc.uniqueArray(row, { selector: ({ fingerprint }) => fingerprint }),
    });
    const words = fc.array(text, { maxLength: 4 });
    fc.assert(
      fc.property(
        fc.uniqueArray(account, { selector: ({ name }) => name, maxLength: 6 }),
        fc.stringMatching(/^[a-z%_*']{0,4}$/),
        fc.record({ repo: words, appendonly: words, restore: words, admin: words }),
        (accounts, other, extraArguments) => {
          const stored = { ...rights, extraArguments };
          publish(accounts, stored);
          const names = new Set([other, ...accounts.map(({ name }) => name)]);
          const questions = [...names].flatMap((name) =>
            fingerprints.map((fingerprint) => [name, fingerprint] as const),
          );
          const expected = questions.map(([name, fingerprint]) => {
            const account = accounts.find((account) => account.name === name);
            const found = account?.keys.find((key) => key.fingerprint === fingerprint);
            return account && found ? granted(account.role, found, stored) : null;
          });
          expect(ask(file, questions)).toEqual(expected);
          expect(questions.map((question) => isGranted(file, ...question))).toEqual(
            expected.map((grant) => grant !== null),
          );
        },
      ),
      { numRuns: 30, endOnFailure: true }, // to shrink is to start Bun a thousand times
    );
  });
});

describe("where the index is damaged,", () => {
  const keys = Array.from({ length: 200 }, (_, at) => key(`SHA256:${at}`));
  beforeEach(() => {
    rmSync(file, { recursive: true, force: true });
    publish([{ name: "web", role: "repo", keys }]);
  });
  const login = (index = file) => ask(index, [["web", "SHA256:7"]])[0];

  function alter(sql: string): void {
    const database = openDatabase(file, { readonly: false, timeout: 0 });
    database.exec(sql);
    database.close();
  }

  function replace(command: "mkdir" | "mkfifo"): void {
    rmSync(file);
    spawnSync(command, [file]);
  }

  const other = (version: number) =>
    new RegExp(`^its schema is version ${version}, this program reads version ${schemaVersion}$`);
  const noIndex = /^it is not a borgserver index$/;
  const noFile = /^it is not a regular file$/;

  const faults: [string, () => void, RegExp, RegExp?][] = [
    ["it is missing", () => rmSync(file), /unable to open/],
    ["it is truncated", () => truncateSync(file, 5000), /malformed|disk image/],
    ["it is empty", () => truncateSync(file, 0), noIndex],
    ["it is garbage", () => writeFileSync(file, "garbage".repeat(5000)), /not a database/],
    ["it is another program's database", () => alter("PRAGMA application_id = 0"), noIndex],
    [
      "its schema is a later one",
      () => alter(`PRAGMA user_version = ${schemaVersion + 1}`),
      other(schemaVersion + 1),
    ],
    [
      "its schema is an earlier one",
      () => alter(`PRAGMA user_version = ${schemaVersion - 1}`),
      other(schemaVersion - 1),
    ],
    ["a table is missing", () => alter("DROP TABLE grant"), /no such table: grant/],
    ["it is a folder", () => replace("mkdir"), /disk I\/O error/, noFile],
    ["it is a FIFO", () => replace("mkfifo"), noFile],
  ];
  test.each(faults)(
    "because %s, a login and a command are told so",
    (_, damage, told, toldCommand = told) => {
      expect(login()).toEqual(granted("repo", keys[7]!));
      damage();
      expect(login()).toEqual({ fault: expect.stringMatching(told) });
      expect(() => readIndex(file)).toThrow(toldCommand);
      expect(() => isGranted(file, "web", "SHA256:7")).toThrow(toldCommand);
    },
  );

  test("because its folder is missing, a login and a command are told so", () => {
    const nowhere = `${folder}/none/index.sqlite`;
    expect(login(nowhere)).toEqual({ fault: "unable to open database file" });
    expect(() => readIndex(nowhere)).toThrow(/directory does not exist/);
  });

  test("or locked, a login and a command are told so, and answered when it is not any more", () => {
    const holder = openDatabase(file, { readonly: false, timeout: 0 });
    holder.exec("BEGIN EXCLUSIVE");
    expect(login()).toEqual({ fault: "database is locked" });
    expect(() => readIndex(file)).toThrow(/^database is locked$/);
    holder.close();
    expect(login()).toEqual(granted("repo", keys[7]!));
    expect(isGranted(file, "web", "SHA256:7")).toBe(true);
  });

  test("extra arguments that are not a list of words deny the login", () => {
    alter("UPDATE role SET arguments = '[\"--storage-quota'");
    expect(login()).toEqual({ fault: expect.stringMatching(/JSON/) });
  });

  test("a role that it does not mention lets nobody in", () => {
    alter("DELETE FROM role WHERE name = 'repo'");
    expect(login()).toBeNull();
    expect(isGranted(file, "web", "SHA256:7")).toBe(false);
  });
});
