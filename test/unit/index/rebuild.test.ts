import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openDatabase } from "../../../src/database.ts";
import type { IndexContent } from "../../../src/index/publish.ts";
import { publishedFiles, readIndex } from "../../../src/index/read.ts";
import { gatherAccounts } from "../../../src/keys/gather.ts";
import { publishIndex } from "./published.ts";

const rights: Omit<IndexContent, "accounts"> = {
  extraArguments: { repo: [], appendonly: [], restore: [], admin: [] },
  idOf: (name) => 70_000 + name.length,
  walled: true,
  deletions: "refused",
};
const roleFolders = ["repos", "repos-appendonly", "repos-restore", "admins"];

/** Keys whose lines have the same length, so that a file's size does not tell them apart. */
const [one = "", two = "", three = ""] = [1, 2, 3].map((byte) => {
  const header = Buffer.from("\0\0\0\x0bssh-ed25519\0\0\0\x20");
  return `ssh-ed25519 ${Buffer.concat([header, Buffer.alloc(32, byte)]).toString("base64")} key${byte}\n`;
});

let temporary: string;
let folder: string;
let index: string;
beforeEach(() => {
  temporary = mkdtempSync("/tmp/rebuild-");
  folder = `${temporary}/sshkeys`;
  index = `${temporary}/index`;
  makeFolders();
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(temporary, { recursive: true });
});

function makeFolders(): void {
  for (const name of roleFolders) mkdirSync(`${folder}/${name}`, { recursive: true });
}

/** The clock as it will be when the files that were just written have settled. */
const afterAWhile = () => vi.useFakeTimers({ now: Date.now() + 60_000, toFake: ["Date"] });

function gather(from: string | null) {
  const published = from === null ? undefined : publishedFiles(from);
  return gatherAccounts(folder, "", new Set(["root"]), { published });
}

/** Rebuilds an index as the command does. @returns what it says then, or the problems that forbid it */
function rebuild(index: string, { full = false }) {
  const { accounts, problems } = gather(full ? null : index);
  if (problems.length > 0) return problems;
  publishIndex(index, { accounts, ...rights });
  return readIndex(index);
}

/** Changes a published index behind the program's back. */
function alter(sql: string): void {
  const database = openDatabase(index, { readonly: false, timeout: 0 });
  database.exec(sql);
  database.close();
}

/** The accounts whose files a rebuild would not read again. */
const carriedOver = (index: string) =>
  gather(index).accounts.flatMap(({ name, keys }) => (keys === null ? [name] : []));

const name = fc.constantFrom("web", "db");
const file = fc.tuple(fc.constantFrom(...roleFolders), name).map((words) => words.join("/"));
const content = fc.constantFrom(one, two, three, one + two, `# none yet\n${three}`, "no key\n");
const edit = fc.record({
  how: fc.constantFrom("write", "write, with a time of long ago", "replace", "link", "rename", "remove"),
  file,
  to: file,
  content,
});

function apply({ how, file, to, content }: { how: string; file: string; to: string; content: string }): void {
  const path = `${folder}/${file}`;
  const before = statSync(path, { throwIfNoEntry: false });
  if (how.startsWith("write")) {
    writeFileSync(path, content);
    if (how !== "write") utimesSync(path, 1e9, 1e9);
  } else if (how === "replace") {
    writeFileSync(`${temporary}/new`, content);
    renameSync(`${temporary}/new`, path);
  } else if (how === "link") {
    const target = `${temporary}/${file.replace("/", "-")}`;
    writeFileSync(target, content);
    rmSync(path, { force: true });
    symlinkSync(target, path);
  } else if (how === "rename") {
    if (before) renameSync(path, `${folder}/${to}`);
  } else rmSync(path, { force: true });
}

test("an account whose file is unchanged has the id that this rebuild gives it", () => {
  afterAWhile();
  const names = ["web", "db", "mail"];
  for (const name of names) writeFileSync(`${folder}/repos/${name}`, one);
  expect(rebuild(index, {})).toHaveLength(names.length);
  expect(carriedOver(index).sort()).toEqual([...names].sort());
  const idOf = (name: string) => 61_184 + names.indexOf(name);
  publishIndex(index, { ...rights, idOf, accounts: gather(index).accounts });
  const database = openDatabase(index, { readonly: true, timeout: 0 });
  const rows = database.prepare<[], { name: string; uid: number }>("SELECT name, uid FROM account").all();
  database.close();
  expect(new Map(rows.map(({ name, uid }) => [name, uid]))).toEqual(
    new Map(names.map((name) => [name, idOf(name)])),
  );
  expect(readIndex(index)?.map(({ keys }) => keys.length)).toEqual([1, 1, 1]);
});

test("whatever was edited, an incremental rebuild says what a full one says", () => {
  afterAWhile();
  let carried = 0;
  fc.assert(
    fc.property(
      fc.array(fc.array(edit, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 6 }),
      (rounds) => {
        rmSync(folder, { recursive: true });
        rmSync(index, { force: true });
        makeFolders();
        for (const edits of rounds) {
          for (const each of edits) apply(each);
          carried += carriedOver(index).length;
          expect(rebuild(index, {})).toEqual(rebuild(`${temporary}/full`, { full: true }));
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30); // ticks of the file system's clock
        }
      },
    ),
    { numRuns: 30 },
  );
  expect(carried).toBeGreaterThan(0);
});

test("a change that keeps size, inode and modification time is seen", () => {
  const path = `${folder}/repos/web`;
  const write = (content: string) => {
    writeFileSync(path, content);
    utimesSync(path, 1e9, 1e9);
  };
  write(one);
  afterAWhile();
  rebuild(index, {});
  expect(carriedOver(index)).toEqual(["web"]);
  write(two);
  expect(rebuild(index, {})).toEqual(rebuild(`${temporary}/full`, { full: true }));
});

test("a change that stat(2) does not tell is seen where the content is compared", () => {
  const path = `${folder}/repos/web`;
  writeFileSync(path, one);
  writeFileSync(`${folder}/repos/db`, one);
  afterAWhile();
  rebuild(index, {});
  writeFileSync(path, two);
  const { mtimeMs, ctimeMs } = statSync(path);
  alter(`UPDATE account SET mtime = ${mtimeMs}, ctime = ${ctimeMs} WHERE name = 'web'`);
  const carried = (trust: "stat" | "content") =>
    gatherAccounts(folder, "", new Set(), { published: publishedFiles(index), trust }).accounts.flatMap(
      ({ name, keys }) => (keys === null ? [name] : []),
    );
  expect(carried("stat")).toEqual(["db", "web"]);
  expect(carried("content")).toEqual(["db"]);
  rmSync(path);
  expect(carried("content")).toEqual(["db"]);
});

test.each(["size", "mtime", "ctime", "inode", "device"])("a file with another %s is read again", (what) => {
  writeFileSync(`${folder}/repos/web`, one);
  afterAWhile();
  rebuild(index, {});
  expect(carriedOver(index)).toEqual(["web"]);
  alter(`UPDATE account SET ${what} = ${what} + 1`);
  expect(carriedOver(index)).toEqual([]);
});

test("a symlink whose target is missing is a problem, not an unchanged file", () => {
  writeFileSync(`${temporary}/target`, one);
  symlinkSync(`${temporary}/target`, `${folder}/repos/web`);
  afterAWhile();
  rebuild(index, {});
  expect(carriedOver(index)).toEqual(["web"]);
  rmSync(`${temporary}/target`);
  expect(rebuild(index, {})).toMatchObject([{ where: `${folder}/repos/web` }]);
});

test("a file settles two seconds after its last change, whatever modification time it was given", () => {
  const path = `${folder}/repos/web`;
  writeFileSync(path, one);
  utimesSync(path, 1e9, 1e9);
  const changed = Math.ceil(statSync(path).ctimeMs);
  for (const [later, expected] of [
    [1900, []],
    [2100, ["web"]],
  ] as const) {
    vi.useFakeTimers({ now: changed + later, toFake: ["Date"] });
    rebuild(index, { full: true });
    expect(carriedOver(index)).toEqual(expected);
  }
});

test("an index with a page that is damaged is not carried over, even if its accounts can be read", () => {
  writeFileSync(`${folder}/repos/web`, one);
  afterAWhile();
  rebuild(index, {});
  const database = openDatabase(index, { readonly: true, timeout: 0 });
  const page = database
    .prepare<[], { rootpage: number }>("SELECT rootpage FROM sqlite_schema WHERE name = 'grant'")
    .get();
  database.close();
  const file = openSync(index, "r+");
  writeSync(file, Buffer.alloc(8), 0, 8, (page!.rootpage - 1) * 4096);
  closeSync(file);
  expect(carriedOver(index)).toEqual([]);
});

test("a file is read again until its time stamps can tell its next change", () => {
  writeFileSync(`${folder}/repos/web`, one);
  rebuild(index, {});
  expect(carriedOver(index)).toEqual([]);
  afterAWhile();
  expect(carriedOver(index)).toEqual([]);
  rebuild(index, {});
  expect(carriedOver(index)).toEqual(["web"]);
  // A clock that was ahead and has been set right: nothing of the past counts as settled.
  vi.useFakeTimers({ now: Date.now() - 3600_000, toFake: ["Date"] });
  writeFileSync(`${folder}/repos/web`, two);
  rebuild(index, {});
  expect(carriedOver(index)).toEqual([]);
});

test("a change is never missed, however soon it follows a rebuild", () => {
  for (let round = 0; round < 50; round++) {
    const expected = round % 2 === 0 ? one : two;
    writeFileSync(`${folder}/repos/web`, expected);
    const [account] = rebuild(index, {}) as ReturnType<typeof readIndex>;
    expect(account?.keys[0]?.blob).toBe(expected.split(" ")[1]);
  }
});

test("nothing is carried over but unchanged files' accounts and their grants", () => {
  for (const name of ["web", "db"]) writeFileSync(`${folder}/repos/${name}`, one);
  afterAWhile();
  const clean = rebuild(index, { full: true });
  const database = openDatabase(index, { readonly: false, timeout: 0 });
  database.exec(`
    INSERT INTO grant SELECT 'ghost', fingerprint, role, type, blob, addresses, expires, line, comment FROM grant WHERE account = 'web';
    DROP TABLE role`);
  database.close();
  expect(carriedOver(index)).toEqual(["db", "web"]);
  expect(rebuild(index, {})).toEqual(clean);
  writeFileSync(`${folder}/repos/ghost`, two);
  expect(rebuild(index, {})).toEqual(rebuild(`${temporary}/full`, { full: true }));
});

test("what an older program published, and what is damaged, is not carried over", () => {
  for (const name of roleFolders)
    for (let n = 0; n < 100; n++) writeFileSync(`${folder}/${name}/${name}${n}`, one);
  afterAWhile();
  const complete = rebuild(index, { full: true });
  expect(carriedOver(index)).toHaveLength(100 * roleFolders.length);
  truncateSync(index, statSync(index).size - 4096);
  expect(carriedOver(index)).toEqual([]);
  expect(rebuild(index, {})).toEqual(complete);
  writeFileSync(index, "no database");
  expect(rebuild(index, {})).toEqual(complete);
});
