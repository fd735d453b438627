import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { lookAtFiles, lookAtFolders } from "../../../src/keeper/folder-look.ts";

const above = mkdtempSync(join(tmpdir(), "look-"));
const folder = join(above, "repos");
const other = join(above, "settings");
afterAll(() => rmSync(above, { recursive: true }));
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  rmSync(other, { recursive: true, force: true });
  mkdirSync(folder);
  writeFileSync(`${folder}/a`, "one");
  writeFileSync(join(above, "outside"), "one");
  symlinkSync("../outside", `${folder}/link`);
  symlinkSync("nowhere", `${folder}/broken`);
});

const files = () => lookAtFiles([folder, other]);
const folders = () => lookAtFolders([folder, other]);
/** Time stamps have a granularity: a change is made at another time than the one before. */
const later = (path: string) => utimesSync(path, 1, Date.now() / 1000 + 5);

test("two looks see the same where nothing changed, also while there are broken links and missing folders", () => {
  expect(files()).toBe(files());
  expect(folders()).toBe(folders());
});

test.each<[string, () => void]>([
  ["a file", () => writeFileSync(`${folder}/b`, "one")],
  ["a name that is not UTF-8", () => writeFileSync(Buffer.from(`${folder}/\xff`, "latin1"), "one")],
  ["a removed file", () => rmSync(`${folder}/a`)],
  ["another name", () => renameSync(`${folder}/a`, `${folder}/b`)],
  ["a folder that was missing", () => mkdirSync(other)],
  [
    "another folder with the same names",
    () => {
      renameSync(folder, `${folder}.old`);
      mkdirSync(folder);
      rmSync(`${folder}.old`, { recursive: true });
    },
  ],
])("%s is seen in the folders alone", (_, change) => {
  const [before, filesBefore] = [folders(), files()];
  change();
  later(folder);
  expect(folders()).not.toBe(before);
  expect(files()).not.toBe(filesBefore);
});

test.each<[string, () => void]>([
  ["a longer file", () => writeFileSync(`${folder}/a`, "longer")],
  ["another time", () => later(`${folder}/a`)],
  ["a change behind a symlink", () => writeFileSync(join(above, "outside"), "longer")],
  ["the target of a broken symlink", () => writeFileSync(`${folder}/nowhere`, "")],
])("%s is seen in the files", (_, change) => {
  const before = files();
  change();
  expect(files()).not.toBe(before);
});
