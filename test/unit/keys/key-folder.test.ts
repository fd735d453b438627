import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { gatherAccounts } from "../../../src/keys/gather.ts";
import { readKeyFolder } from "../../../src/keys/key-folder.ts";
import { formatProblem } from "../../../src/problem.ts";
import { clientKey } from "../../corpus/clients.ts";

const key = `${clientKey("client").line}\n`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync("/tmp/key-folder-");
  for (const name of ["repos", "repos-appendonly", "admins"]) mkdirSync(`${folder}/${name}`);
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (path: string) => writeFileSync(`${folder}/${path}`, key);
const problems = () =>
  gatherAccounts(folder, "", new Set(["borg", "root"])).problems.map((problem) =>
    formatProblem(problem).replaceAll(`${folder}/`, "").replace("\n  ", ". "),
  );

describe("what tools and file systems leave is skipped, file or folder, and shown", () => {
  const left = [
    ".git",
    ".DS_Store",
    "#recycle",
    "#web#",
    "@eaDir",
    "web~",
    "web.1234.2026-01-01@10:00:00~",
    "~",
  ];
  const system = ["lost+found", "$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "desktop.ini"];
  const inAnyCase = ["LOST+FOUND", "$Recycle.Bin", "system volume information", "THUMBS.DB", "Desktop.ini"];

  test.each([...left, ...system, ...inAnyCase])("%s", (name) => {
    for (const within of ["", "repos/", "admins/"]) {
      mkdirSync(`${folder}/${within}${name}`);
      put(`${within}${name}/key`);
    }
    put(`repos-appendonly/${name}`);
    const { accounts, skipped, problems } = readKeyFolder(folder);
    expect({ accounts, problems }).toEqual({ accounts: [], problems: [] });
    expect(skipped.sort()).toEqual(
      ["", "admins/", "repos-appendonly/", "repos/"].map((within) => `${folder}/${within}${name}`).sort(),
    );
  });
});

test("next to the role folders, plain files are skipped, and what may hold keys is a problem", () => {
  put("README.md");
  put("web");
  symlinkSync("README.md", `${folder}/LICENSE`);
  mkdirSync(`${folder}/clients`);
  symlinkSync("clients", `${folder}/link`);
  symlinkSync("nowhere", `${folder}/lost`);
  const { accounts, skipped, problems } = readKeyFolder(folder);
  expect(accounts).toEqual([]);
  expect(skipped).toEqual(["LICENSE", "README.md", "web"].map((name) => `${folder}/${name}`));
  expect(problems.map(({ where }) => where)).toEqual(
    ["clients", "link", "lost"].map((name) => `${folder}/${name}`),
  );
});

describe("a name that is unlikely to be meant as an account is a problem that says what to do", () => {
  test.each([
    ["web.pub", /ends in "\.pub".* e\.g\. web\./],
    ["Web.PUB", /ends in "\.pub".* e\.g\. Web\./],
    ["me.bak", /ends in "\.bak".*Move it/],
    ["me.old", /ends in "\.old"/],
    ["me.orig", /ends in "\.orig"/],
    ["me.disabled", /ends in "\.disabled"/],
    ["me.DISABLED", /ends in "\.DISABLED"/],
    ["me.tmp", /ends in "\.tmp"/],
    ["me.pub.bak", /ends in "\.bak"/],
    ["authorized_keys", /OpenSSH's own files/],
    ["Authorized_Keys", /OpenSSH's own files/],
    ["known_hosts", /OpenSSH's own files/],
    ["known_hosts.old", /ends in "\.old"/],
    ["id_ed25519", /OpenSSH's own files/],
    ["ID_RSA", /OpenSSH's own files/],
    ["id_rsa.pub", /ends in "\.pub"/],
    ["id_", /OpenSSH's own files/],
  ])("%s", (name, said) => {
    put(`admins/${name}`);
    expect(problems()).toEqual([expect.stringMatching(said)]);
  });

  test.each([
    "web.old.example.org",
    "pub",
    "bak",
    "old",
    "tmp.example.org",
    "my_authorized_keys",
    "id",
    "idle",
    "web.bakery",
    "x-id_y",
  ])("%s is a name like any other", (name) => {
    put(`repos/${name}`);
    expect(problems()).toEqual([]);
  });
});

describe("names that differ only by case are a problem", () => {
  test("in one folder and across folders, once for each further one", () => {
    put("repos/web");
    put("repos/Web");
    put("repos-appendonly/WEB");
    put("admins/db");
    expect(problems()).toEqual([
      expect.stringMatching(/^repos\/web: the name differs from that of repos\/Web only by case/),
      expect.stringMatching(/^repos-appendonly\/WEB: the name differs from that of repos\/Web only by case/),
    ]);
  });

  test("from the account of BORG_SSHKEYS too, whether or not that is set", () => {
    put("repos/Borg");
    put("repos/borg2");
    expect(problems()).toEqual([
      expect.stringMatching(/^repos\/Borg: the name differs from "borg", the account of BORG_SSHKEYS,/),
    ]);
  });

  test("names that are the same stay what they were", () => {
    put("repos/web");
    put("admins/web");
    put("repos/root");
    expect(problems()).toEqual([
      expect.stringMatching(/^repos\/root: "root" is an account of the system/),
      expect.stringMatching(/^admins\/web: an account has one role, but repos\/web exists too/),
    ]);
  });
});

describe("a name that is not UTF-8", () => {
  const bytes = (path: string) => Buffer.from(`${folder}/${path}`, "latin1");

  test("is shown with escapes, and it is the file of that name that is read", () => {
    writeFileSync(bytes("repos/caf\xe9"), "no key\n");
    writeFileSync(bytes("repos/caf\xff"), key);
    writeFileSync(`${folder}/repos/café日`, key);
    mkdirSync(bytes("dir\xfe\x1b"));
    writeFileSync(bytes("README\xfe"), key);
    writeFileSync(bytes("repos/\xff~"), key);
    const { skipped } = readKeyFolder(folder);
    expect(problems()).toEqual([
      expect.stringMatching(/^dir\\xfe\\x1b: borgserver does not read this folder/),
      expect.stringMatching(/^repos\/café日: the name contains a character/),
      expect.stringMatching(/^repos\/caf\\xe9: the name contains a character/),
      expect.stringMatching(/^repos\/caf\\xe9:1: the line is not an OpenSSH public key/),
      expect.stringMatching(/^repos\/caf\\xff: the name contains a character/),
    ]);
    expect(skipped).toEqual([`${folder}/README\\xfe`, `${folder}/repos/\\xff~`]);
  });

  test.each([
    "\xc0\xaf",
    "\xed\xa0\x80",
    "\xf4\x90\x80\x80",
    "\xf8\x88\x80\x80\x80",
    "a\xc3",
    "\x80",
    "\xe2\x28\xa1",
  ])("%j", (name) => {
    writeFileSync(bytes(`repos/${name}`), key);
    const [problem = ""] = problems();
    const escaped = [...name].map((c) => (c < "\x80" ? c : `\\x${c.charCodeAt(0).toString(16)}`)).join("");
    expect(problem.startsWith(`repos/${escaped}: `)).toBe(true);
  });
});
