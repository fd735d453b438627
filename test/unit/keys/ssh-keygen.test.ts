import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeKeyPair, publicHalf } from "../../../src/keys/ssh-keygen.ts";

test("a key pair is made, and one that another server made meanwhile stays", () => {
  const folder = mkdtempSync(join(tmpdir(), "host-"));
  const file = join(folder, "ssh_host_ed25519_key");
  makeKeyPair("ed25519", file);
  const made = readFileSync(file, "utf8");
  expect(readFileSync(`${file}.pub`, "utf8")).toBe(`${publicHalf(file)} borgserver\n`);
  makeKeyPair("ed25519", file);
  expect(readFileSync(file, "utf8")).toBe(made);
  expect(readFileSync(`${file}.pub`, "utf8")).toBe(`${publicHalf(file)} borgserver\n`);
  // What another server has not finished is not this one's to remove.
  writeFileSync(`${file}.other.new`, "");
  makeKeyPair("ed25519", file);
  expect(readdirSync(folder).sort()).toEqual([
    "ssh_host_ed25519_key",
    "ssh_host_ed25519_key.other.new",
    "ssh_host_ed25519_key.pub",
  ]);
});
