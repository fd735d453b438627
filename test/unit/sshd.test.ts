import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { renderSshdConfig } from "../../src/sshd.ts";

const template = readFileSync("sshd_config.template", "utf8");
const keys = ["ed25519", "rsa"].map((type) => ({ name: `ssh_host_${type}_key`, publicKey: "" }));

test("every word of the template is filled in", () => {
  const config = renderSshdConfig(template, keys, "VERBOSE", 10.0);
  expect(config).not.toMatch(/@[A-Z_]+@/);
  expect(config).toContain("\nHostKey /run/borgserver/host-keys/ssh_host_ed25519_key\nHostKey /run");
  expect(config).toContain("\nLogLevel VERBOSE\n");
  expect(config).toContain("\nAllowGroups borg-repo borg-appendonly borg-admin\n");
});

test("penalties are switched off where sshd knows them, and unnamed where it does not", () => {
  expect(renderSshdConfig(template, keys, "INFO", 9.8)).toContain("\nPerSourcePenalties no\n");
  expect(renderSshdConfig(template, keys, "INFO", 9.2)).not.toMatch(/^PerSourcePenalties/m);
});
