import { existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { keepsOwnOwners } from "../../../src/repositories/directory-owner.ts";

test("a probe leaves nothing, and that of another server which tries at the same time alone", () => {
  const folder = mkdtempSync(join(tmpdir(), "storage-"));
  const others = `${folder}/.borgserver-probe-other`;
  writeFileSync(others, "");
  const owner = { uid: process.getuid!(), gid: process.getgid!() };
  expect(keepsOwnOwners(owner)(folder)).toBe(false);
  expect(existsSync(others)).toBe(true);
  expect(readdirSync(folder)).toHaveLength(1);
});
