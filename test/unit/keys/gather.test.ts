import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { FileState } from "../../../src/keys/file-state.ts";
import { gatherAccounts } from "../../../src/keys/gather.ts";
import { clientKey } from "../../corpus/clients.ts";
import { wire } from "../../corpus/plain-keys.ts";

const key = `${clientKey("client").line}\n`;
/** A key whose fields are all there, and whose point lies on no curve. */
const offCurve = Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 1)]);
const unreadable = `ecdsa-sha2-nistp256 ${wire("ecdsa-sha2-nistp256", "nistp256", offCurve).toString("base64")}\n`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync("/tmp/gather-");
  for (const name of ["repos", "repos-appendonly", "admins"]) mkdirSync(`${folder}/${name}`);
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (path: string, content = key) => writeFileSync(`${folder}/${path}`, content);
const gather = (borgKeys = "", reading = {}) =>
  gatherAccounts(folder, borgKeys, new Set(["root", "123"]), reading);

/** The state of a file as an index holds it. */
function stateOf(path: string): FileState {
  const { size, mtimeMs, ctimeMs, ino, dev } = statSync(path);
  const hash = createHash("sha256").update(readFileSync(path)).digest("base64");
  return { size, mtime: mtimeMs, ctime: ctimeMs, inode: ino, device: dev, hash };
}

test("the accounts are those of the folder and that of BORG_SSHKEYS", () => {
  put("repos/web");
  put("admins/boss");
  const names = (borgKeys: string) => gather(borgKeys).accounts.map(({ name, role }) => `${name} ${role}`);
  expect(names("")).toEqual(["web repo", "boss admin"]);
  expect(names(key)).toEqual(["web repo", "boss admin", "borg admin"]);
});

describe("a key that OpenSSH itself cannot read is a problem, with its line:", () => {
  test("in a file", () => {
    put("repos/web", `# two\n${key}${unreadable}`);
    expect(gather().problems).toEqual([
      {
        where: `${folder}/repos/web`,
        line: 3,
        text: expect.stringContaining("OpenSSH cannot read this key"),
        hint: expect.stringContaining(".pub file"),
      },
    ]);
  });

  test("in BORG_SSHKEYS", () => {
    expect(gather(unreadable).problems).toMatchObject([{ where: "BORG_SSHKEYS", line: 1 }]);
  });
});

test("ssh-keygen is given the keys that were read, and that is shown", () => {
  put("repos/db");
  put("repos/web", `${key}${clientKey("p256").line}\n`);
  const shown: [string, number, number][] = [];
  const progress = (what: string, done: number, all: number) => shown.push([what, done, all]);
  const published = new Map([[`${folder}/repos/db`, stateOf(`${folder}/repos/db`)]]);
  const { accounts, problems } = gather("", { progress, published });
  expect(problems).toEqual([]);
  expect(accounts.map(({ name, keys }) => [name, keys?.length ?? "unchanged"])).toEqual([
    ["db", "unchanged"],
    ["web", 2],
  ]);
  const steps = shown.filter(([what]) => what.includes("ssh-keygen"));
  expect(steps.map(([, done, all]) => [done, all])).toEqual([
    [0, 2],
    [2, 2],
  ]);
});

test("a name that is none clashes with no other as well", () => {
  put("repos/123");
  put("admins/123");
  expect(gather().problems).toMatchObject([
    { where: `${folder}/repos/123`, text: expect.stringContaining("numeric id") },
    { where: `${folder}/admins/123`, text: expect.stringContaining("numeric id") },
  ]);
});

test.each([
  ["an account of the system", ["repos/root"], /account of the system/, /another name/],
  ["the account of BORG_SSHKEYS in another case", ["repos/Borg"], /BORG_SSHKEYS/, /another name/],
  ["two accounts in different case", ["repos/Web", "repos/web"], /by case/, /another name/],
  ["one account with two roles", ["repos/web", "admins/web"], /one role/, /Remove one/],
])("%s: the problem says what to do", (_, paths, text, hint) => {
  for (const path of paths) put(path);
  expect(gather().problems).toEqual([
    {
      where: `${folder}/${paths.at(-1)}`,
      text: expect.stringMatching(text),
      hint: expect.stringMatching(hint),
    },
  ]);
});
