import { expect, test } from "vitest";
import { knownHosts } from "../../../src/server/host-keys.ts";

const keys = [{ publicKey: "ssh-ed25519 AAAA" }];

test.each([
  ["backup", "backup"],
  ["Backup.Example.org:22", "backup.example.org"],
  ["backup:2222", "[backup]:2222"],
  ["192.0.2.1:2222", "[192.0.2.1]:2222"],
  ["2001:db8::1", "2001:db8::1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["[2001:db8::1]:2222", "[2001:db8::1]:2222"],
])("%s is looked up as %s", (address, pattern) => {
  expect(knownHosts(address, keys)).toEqual([`${pattern} ssh-ed25519 AAAA`]);
});

test.each(["", "a b", "a:", "a:0", "a:65536", "*", "a,b", "!a", "|1|x", "a\nb", "@revoked"])(
  "%j is no address",
  (address) => {
    expect(knownHosts(address, keys)).toBeNull();
  },
);
