import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { gatherAccounts } from "../../../src/keys/gather.ts";
import { largestFile } from "../../../src/keys/key-file.ts";
import { readKeyFolder } from "../../../src/keys/key-folder.ts";
import { formatProblem } from "../../../src/problem.ts";
import { clientKey } from "../../corpus/clients.ts";

const key = `${clientKey("client").line}\n`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync("/tmp/key-folder-");
  for (const name of ["repos", "repos-appendonly", "repos-restore", "admins"]) mkdirSync(`${folder}/${name}`);
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (path: string) => writeFileSync(`${folder}/${path}`, key);
const problems = () =>
  gatherAccounts(folder, "", new Set(["borg", "root"])).problems.map((problem) =>
    formatProblem(problem).replaceAll(`${folder}/`, "").replace("\n  ", ". "),
  );

test("each folder gives its role, and a folder that is missing is no problem", () => {
  for (const name of ["repos", "repos-appendonly", "repos-restore", "admins"]) put(`${name}/of-${name}`);
  mkdirSync(`${folder}/host`);
  const { accounts, missing, problems } = readKeyFolder(folder);
  expect(accounts.map(({ name, role, source }) => [name, role, source.replace(folder, "")])).toEqual([
    ["of-repos", "repo", "/repos/of-repos"],
    ["of-repos-appendonly", "appendonly", "/repos-appendonly/of-repos-appendonly"],
    ["of-repos-restore", "restore", "/repos-restore/of-repos-restore"],
    ["of-admins", "admin", "/admins/of-admins"],
  ]);
  expect({ missing, problems }).toEqual({ missing: [], problems: [] });

  rmSync(`${folder}/repos-appendonly`, { recursive: true });
  expect(readKeyFolder(folder)).toMatchObject({ missing: ["appendonly"], problems: [] });
  expect(readKeyFolder(`${folder}/none`)).toEqual({
    accounts: [],
    missing: ["repo", "appendonly", "restore", "admin"],
    skipped: [],
    problems: [],
  });
});

test("names come in the order of their bytes, whatever order the file system has", () => {
  const names = "mzqhbxkdwanpvcgy".split("");
  for (const name of names) put(`repos/${name}`);
  expect(readKeyFolder(folder).accounts.map(({ name }) => name)).toEqual(names.toSorted());
});

test("no file stays open, and no more of one is read than a key file may have", () => {
  put("repos/web");
  mkdirSync(`${folder}/repos/folder`);
  writeFileSync(`${folder}/repos/large`, "#");
  truncateSync(`${folder}/repos/large`, 2 ** 40);
  const open = () => readdirSync("/proc/self/fd").length;
  const before = open();
  for (let times = 0; times < 10; times++)
    expect(readKeyFolder(folder).problems.map(({ where }) => where)).toEqual([
      `${folder}/repos/folder`,
      `${folder}/repos/large`,
    ]);
  expect(open()).toBeLessThan(before + 10);
});

test("how far the reading is, is shown for each folder", () => {
  put("repos/a");
  put("repos/b");
  const shown: string[] = [];
  readKeyFolder(folder, { progress: (what, done, all) => shown.push(`${what} ${done}/${all}`) });
  expect(shown).toEqual([
    ...["0/2", "1/2", "2/2"].map((count) => `reading ${folder}/repos ${count}`),
    `reading ${folder}/repos-appendonly 0/0`,
    `reading ${folder}/repos-restore 0/0`,
    `reading ${folder}/admins 0/0`,
  ]);
});

describe("what is no key file is a problem that says what to do:", () => {
  test.each([
    ["a folder", (path: string) => mkdirSync(path), /folder/, /no folder/],
    ["a FIFO", (path: string) => execFileSync("mkfifo", [path]), /not a regular file/, /public keys/],
    ["a link to a device", (path: string) => symlinkSync("/dev/null", path), /not a regular file/, /./],
    [
      "a link to nothing",
      (path: string) => symlinkSync("none", path),
      /cannot be read \(ENOENT\)/,
      /root can read/,
    ],
    ["a link to itself", (path: string) => symlinkSync("x", path), /cannot be read \(ELOOP\)/, /remove it/],
    ["too large a file", (path: string) => writeFileSync(path, "#".repeat(largestFile + 1)), /larger/, /./],
  ])("%s", (_, make, text, hint) => {
    make(`${folder}/repos/x`);
    const { accounts, problems } = readKeyFolder(folder);
    expect(accounts.flatMap(({ keys }) => keys)).toEqual([]);
    expect(problems).toEqual([
      { where: `${folder}/repos/x`, text: expect.stringMatching(text), hint: expect.stringMatching(hint) },
    ]);
  });

  test("a file in the place of a folder", () => {
    rmSync(`${folder}/admins`, { recursive: true });
    put("admins");
    expect(readKeyFolder(folder)).toMatchObject({
      missing: [],
      problems: [
        {
          where: `${folder}/admins`,
          text: expect.stringContaining("(ENOTDIR)"),
          hint: expect.stringContaining("folder"),
        },
      ],
    });
  });
});

test("a file may be as large as a key file may be, and is read to its end", () => {
  const comment = `#${"x".repeat(1000)}\n`;
  const filled = `${comment.repeat(Math.floor((largestFile - key.length) / comment.length))}`;
  writeFileSync(`${folder}/repos/large`, `${filled.padEnd(largestFile - key.length - 1, "#")}\n${key}`);
  expect(statSync(`${folder}/repos/large`).size).toBe(largestFile);
  expect(readKeyFolder(folder)).toMatchObject({
    accounts: [{ keys: [{ type: "ssh-ed25519" }] }],
    problems: [],
  });
});

describe("a file that the index holds", () => {
  const state = (path: string) => {
    const { size, mtimeMs, ctimeMs, ino, dev } = statSync(path);
    const hash = createHash("sha256").update(readFileSync(path)).digest("base64");
    return { size, mtime: mtimeMs, ctime: ctimeMs, inode: ino, device: dev, hash };
  };
  const read = (published: ReturnType<typeof state>, trust: "stat" | "content" | undefined) =>
    readKeyFolder(folder, { published: new Map([[`${folder}/repos/web`, published]]), trust }).accounts;

  test("is not read again while stat(2) says that it is the same, and is where it did not", () => {
    put("repos/web");
    const same = state(`${folder}/repos/web`);
    expect(read(same, "stat")).toEqual([
      { name: "web", role: "repo", source: `${folder}/repos/web`, state: same, keys: null },
    ]);
    expect(read({ ...same, hash: "other" }, "stat")).toMatchObject([{ keys: null }]);
    expect(read({ ...same, hash: "other" }, undefined)).toMatchObject([{ keys: null }]);
    for (const field of ["size", "mtime", "ctime", "inode", "device"] as const)
      expect(read({ ...same, [field]: same[field] + 1 }, "stat")).toMatchObject([{ keys: [{ line: 1 }] }]);
  });

  test("is read again, where its content decides, unless that is the same as well", () => {
    put("repos/web");
    const same = state(`${folder}/repos/web`);
    expect(read(same, "content")).toMatchObject([{ keys: null }]);
    expect(read({ ...same, hash: "other" }, "content")).toMatchObject([{ keys: [{ line: 1 }] }]);
    expect(read({ ...same, inode: same.inode + 1 }, "content")).toMatchObject([{ keys: [{ line: 1 }] }]);
  });
});

test("keys are read in the time zone of the settings", () => {
  writeFileSync(`${folder}/repos/web`, `expiry-time="20300101" ${key}`);
  const ends = (timeZone?: string) =>
    readKeyFolder(folder, { timeZone }).accounts[0]?.keys?.map(({ expires }) => expires);
  expect(ends()).toEqual(["20300101000000Z"]);
  expect(ends("Asia/Kolkata")).toEqual(["20291231183000Z"]);
});

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
  for (const { hint } of problems) expect(hint).toContain("repos, repos-appendonly, repos-restore, admins");
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
