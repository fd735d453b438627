import { expect, test } from "vitest";
import { hostPattern, knownHosts } from "../../../src/operator/known-hosts.ts";

test("there is a line for each host key", () => {
  expect(knownHosts("backup", [{ publicKey: "ssh-ed25519 AAAA" }, { publicKey: "ssh-rsa BBBB" }])).toEqual([
    "backup ssh-ed25519 AAAA",
    "backup ssh-rsa BBBB",
  ]);
});

test.each([
  ["backup", "backup"],
  ["Backup.Example.org:22", "backup.example.org"],
  ["backup:2222", "[backup]:2222"],
  ["192.0.2.1:2222", "[192.0.2.1]:2222"],
  ["2001:db8::1", "2001:db8::1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["[192.0.2.1]:00022", "192.0.2.1"],
  ["[2001:db8::1]:2222", "[2001:db8::1]:2222"],
])("%s is looked up as %s", (address, pattern) => {
  expect(hostPattern(address)).toBe(pattern);
});

test.each([
  "",
  "a b",
  "a:",
  "a:0",
  "a:65536",
  "*",
  "a,b",
  "!a",
  "|1|x",
  "a\nb",
  "@revoked",
  "[backup]:2222",
  "2001:db8::1:2222222",
  "fe80::1%eth0",
  ":22",
])("%j is no address", (address) => {
  expect(hostPattern(address)).toBeNull();
});
