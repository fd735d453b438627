import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { renderSshdConfig } from "../../../src/server/sshd.ts";

const template = readFileSync("libexec/sshd_config.template", "utf8");
const keys = ["ed25519", "rsa"].map((type) => ({ name: `ssh_host_${type}_key`, publicKey: "" }));

test("every word of the template is filled in", () => {
  const config = renderSshdConfig(template, keys, "VERBOSE", { major: 10, minor: 0 });
  expect(config).not.toMatch(/@[A-Z_]+@/);
  expect(config).toContain("\nHostKey /run/borgserver/host-keys/ssh_host_ed25519_key\nHostKey /run");
  expect(config).toContain("\nLogLevel VERBOSE\n");
  expect(config).toContain("\nAllowGroups borg-repo borg-appendonly borg-restore borg-admin\n");
});

/** The configuration for a version such as 9.8. */
const configOf = (version: string) => {
  const [major, minor] = version.split(".").map(Number);
  return renderSshdConfig(template, keys, "INFO", { major: major!, minor: minor! });
};

test.each(["9.8", "9.9", "9.10", "10.0"])(
  "penalties are switched off where sshd knows them: %s",
  (version) => {
    expect(configOf(version)).toContain("\nPerSourcePenalties no\n");
  },
);

test.each(["8.10", "9.2", "9.7"])("penalties are unnamed where sshd does not know them: %s", (version) => {
  expect(configOf(version)).not.toMatch(/^PerSourcePenalties/m);
});

test.each([
  ["9.2", 15],
  ["9.4", 15],
  ["9.5", 30],
  ["9.10", 30],
  ["10.0", 30],
])("an sshd that asks at every other interval gets half the count: %s", (version, count) => {
  expect(configOf(version)).toContain(`\nClientAliveCountMax ${count}\n`);
});
