import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FolderWatches } from "../../../src/keeper/folder-watches.ts";

let above: string;
let folder: string;
let watches: FolderWatches;
let changes = 0;

beforeEach(() => {
  above = mkdtempSync(join(tmpdir(), "watches-"));
  folder = join(above, "repos");
  watches = new FolderWatches([above, folder, join(above, "missing")], () => {
    changes++;
  });
});
afterEach(() => {
  watches.close();
  rmSync(above, { recursive: true });
});

/** How often it is told of changes. */
async function toldOf(change: () => void): Promise<number> {
  await pause(50);
  changes = 0;
  change();
  await pause(50);
  return changes;
}

test("a folder is watched from the time on that it is there, and nothing is opened twice", async () => {
  expect(watches.renew()).toBe(true);
  expect(watches.renew()).toBe(false);
  expect(await toldOf(() => mkdirSync(folder))).toBeGreaterThan(0);
  expect(watches.renew()).toBe(true);
  expect(watches.renew()).toBe(false);
  expect(await toldOf(() => writeFileSync(`${folder}/web`, "key"))).toBeGreaterThan(0);
  expect(watches.problems).toEqual([]);
});

test.each<[string, () => void]>([
  [
    "was renamed into its place",
    () => {
      mkdirSync(`${folder}.new`);
      renameSync(folder, `${folder}.old`);
      renameSync(`${folder}.new`, folder);
    },
  ],
  [
    "was made in its place, with the number that it had where the file system gives it again",
    () => {
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
    },
  ],
])("another folder that %s is watched", async (_, replace) => {
  mkdirSync(folder);
  watches.renew();
  expect(await toldOf(replace)).toBeGreaterThan(0);
  expect(watches.renew()).toBe(true);
  expect(await toldOf(() => writeFileSync(`${folder}/web`, "key"))).toBeGreaterThan(0);
});

test("names that count for nothing are not told, and those of Kubernetes are", async () => {
  mkdirSync(folder);
  watches.renew();
  for (const name of [".web.k3jUf2", "web~", "#web#"])
    expect(await toldOf(() => writeFileSync(`${folder}/${name}`, "key"))).toBe(0);
  expect(await toldOf(() => renameSync(`${folder}/.web.k3jUf2`, `${folder}/web`))).toBeGreaterThan(0);
  expect(await toldOf(() => mkdirSync(`${folder}/..data`))).toBeGreaterThan(0);
});

test("after the end nothing is told", async () => {
  mkdirSync(folder);
  watches.renew();
  watches.close();
  expect(await toldOf(() => writeFileSync(`${folder}/web`, "key"))).toBe(0);
});
