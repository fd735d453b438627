import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { look } from "../../../src/import/look.ts";
import { readSource } from "../../../src/import/source.ts";
import { writeFiles } from "../../../src/import/write.ts";
import { clientKey } from "../../corpus/clients.ts";

const owner = { uid: 1000, gid: 1000 };
const key = clientKey("client").line;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "import-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(path: string, content: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}

const begin = (path: string) => write(`${path}/config`, "[repository]\nversion = 1\n");

/** What is seen at a path: the repositories below the folder, or why none is. */
function seen(path: string): string[] | string {
  const found = look(join(folder, path), owner);
  if (found.is !== "seen") return found.is === "unreadable" ? found.why.replaceAll(folder, "") : found.is;
  return found.repositories.map(({ path, real }) =>
    [path, real].map((each) => each.slice(folder.length)).join(" at "),
  );
}

test("repositories are found in folders, not in one another, and not behind links", () => {
  for (const each of ["one", "in/two", "in/deeper/still/three", ".hidden", "one/data/inside"]) begin(each);
  write("other/config", "[user]\n");
  symlinkSync(join(folder, "one"), join(folder, "in/link"));
  expect(seen("")).toEqual([
    "/in/deeper/still/three at /in/deeper/still/three",
    "/in/two at /in/two",
    "/one at /one",
  ]);
  expect(seen("other")).toEqual([]);
});

test("a link to other storage is moved as what it leads to", () => {
  begin("storage/one");
  mkdirSync(join(folder, "pool"));
  symlinkSync("../storage/one", join(folder, "pool/one"));
  symlinkSync("/nowhere/two", join(folder, "pool/two"));
  expect(seen("pool/one")).toEqual(["/pool/one at /storage/one"]);
  expect(seen("pool/two")).toBe("it is a link to /nowhere/two, which is not here");
});

test("what is missing in a folder is told from a folder that is not here", () => {
  mkdirSync(join(folder, "backup"));
  expect(seen("backup/web01")).toEqual([]);
  expect(seen("nowhere/web01")).toBe("unseen");
});

/** What was found in a source: the file, line and path of each key. */
const grants = (path: string) =>
  readSource(join(folder, path), "UTC").grants.map(({ place: { where, line }, opens }) =>
    [`${where.slice(folder.length)}:${line}`, ...opens.map(({ path }) => path)].join(" "),
  );

test("a folder of key files is one of clients, each with a folder in /backup", () => {
  write("sshkeys/clients/web01", `${key} root@web01\n`);
  write("sshkeys/clients/team/db01", `# two keys\n${key}\n${clientKey("intruder").line}\n`);
  write("sshkeys/clients/.git/config", "nothing");
  write("sshkeys/host/ssh_host_ed25519_key", "nothing");
  const expected = ["team/db01:2", "team/db01:3", "web01:1"].map(
    (place) => `/sshkeys/clients/${place} /backup/${place.replace(/^team.|:.$/g, "")}`,
  );
  expect(grants("sshkeys")).toEqual(expected);
  expect(grants("sshkeys/clients")).toEqual(expected);
});

test("an authorized_keys in a folder counts before key files, and BorgWarehouse's two files belong together", () => {
  const pool = "/home/borgwarehouse/repos";
  write("old/clients/web01", key);
  write(
    "old/.ssh/authorized_keys",
    `command="borg serve --restrict-to-repository ${pool}/a1b2c3d4" ${key}\n`,
  );
  expect(grants("old")).toEqual([`/old/.ssh/authorized_keys:1 ${pool}/a1b2c3d4`]);
  write(
    "old/app/config/repo.json",
    JSON.stringify([{ repositoryName: "a1b2c3d4", alias: "web", sshPublicKey: key }]),
  );
  expect(readSource(join(folder, "old"), "UTC").grants).toMatchObject([
    { called: "web", place: { line: 1 } },
  ]);
  expect(grants("old/app")).toEqual([`/old/app/config/repo.json: a1b2c3d4:undefined ${pool}/a1b2c3d4`]);
});

test("a folder without keys, and what cannot be read, is said to be that", () => {
  expect(() => readSource(folder, "UTC")).toThrow(/there is no key file/);
  expect(() => readSource(join(folder, "x"), "UTC")).toThrow(/x cannot be read \(ENOENT\)/);
});

test("a file is written whole, and none takes the place of another", () => {
  const file = (path: string, content: string, isThere = false) => ({ path, content, isThere, says: "" });
  writeFiles(folder, [file("repos/web01", key), file("settings/web01", "x", true)]);
  expect(readFileSync(join(folder, "repos/web01"), "utf8")).toBe(key);
  expect(() => writeFiles(folder, [file("repos/web01", "other")])).toThrow(
    /repos\/web01 cannot be written \(EEXIST\)/,
  );
  expect(readFileSync(join(folder, "repos/web01"), "utf8")).toBe(key);
  expect(readdirSync(folder)).toEqual(["repos"]);
  expect(readdirSync(join(folder, "repos"))).toEqual(["web01"]);
});
