import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { HostKey } from "./host-keys.ts";
import { hostKeyCopies, libraryFolder, runFolder } from "./paths.ts";
import { OperatorError } from "./report.ts";
import { roleNames, roles } from "./role.ts";

/** The installed OpenSSH, e.g. `OpenSSH_10.0p2`, and its version as a number, e.g. 10.0. */
export function opensshVersion(): { name: string; number: number } {
  const { stderr } = spawnSync("ssh", ["-V"], { encoding: "utf8" });
  const name = /OpenSSH_([0-9]+\.[0-9]+)[^ ,]*/.exec(stderr);
  if (!name)
    throw new OperatorError("ssh -V does not tell the version of OpenSSH", "Is openssh-server installed?");
  return { name: name[0], number: Number(name[1]) };
}

/** Fills in the words of the template. */
export function renderSshdConfig(
  template: string,
  hostKeys: readonly HostKey[],
  logLevel: string,
  version: number,
): string {
  const words: Record<string, string> = {
    "@HOST_KEYS@": hostKeys.map(({ name }) => `HostKey ${hostKeyCopies}/${name}`).join("\n"),
    "@LOG_LEVEL@": logLevel,
    "@GROUPS@": roleNames.map((role) => roles[role].group).join(" "),
    // Since OpenSSH 9.8, a few failures of one client close the door on its whole address.
    "@PER_SOURCE@": version >= 9.8 ? "PerSourcePenalties no" : "# (This sshd knows no PerSourcePenalties.)",
  };
  return template.replace(/@[A-Z_]+@/g, (word) => words[word] ?? word);
}

/** Writes sshd's configuration and has sshd check it (sshd(8), -t). */
export function writeSshdConfig(hostKeys: readonly HostKey[], logLevel: string): void {
  const file = `${runFolder}/sshd_config`;
  const template = readFileSync(`${libraryFolder}/sshd_config.template`, "utf8");
  writeFileSync(file, renderSshdConfig(template, hostKeys, logLevel, opensshVersion().number), {
    mode: 0o600,
  });
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const { status, stderr } = spawnSync("/usr/sbin/sshd", ["-t", "-f", file], { encoding: "utf8" });
  if (status !== 0)
    throw new OperatorError(
      `sshd refuses its configuration: ${stderr
        .trim()
        .split(/[\r\n]+/)
        .join("; ")}`,
    );
}
