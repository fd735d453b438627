import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostKeyCopies, libraryFolder, runFolder } from "../paths.ts";
import { OperatorError } from "../problem.ts";
import { roleNames, roles } from "../role.ts";
import type { HostKey } from "./host-keys.ts";
import { requirePorts } from "./requirements.ts";

const sshd = "/usr/sbin/sshd";

/** A version of OpenSSH, e.g. 10 and 0. */
export interface Version {
  major: number;
  minor: number;
}

/** The installed OpenSSH, e.g. `OpenSSH_10.0p2`, and its version. It is the client's: Debian installs sshd with the same version only, and `sshd -V` leaves out a part. */
export function readOpensshVersion(): { name: string; version: Version } {
  const { stderr } = spawnSync("ssh", ["-V"], { encoding: "utf8" });
  const [name, major, minor] = /OpenSSH_([0-9]+)\.([0-9]+)[^ ,]*/.exec(stderr) ?? [];
  if (!name)
    throw new OperatorError("ssh -V does not show the version of OpenSSH", "Is openssh-server installed?");
  return { name, version: { major: Number(major), minor: Number(minor) } };
}

const isBefore = (version: Version, major: number, minor: number) =>
  version.major < major || (version.major === major && version.minor < minor);

/** Fills in the words of the template. */
export function renderSshdConfig(
  template: string,
  hostKeys: readonly HostKey[],
  logLevel: string,
  version: Version,
): string {
  const words: Record<string, string> = {
    "@HOST_KEYS@": hostKeys.map(({ name }) => `HostKey ${hostKeyCopies}/${name}`).join("\n"),
    "@LOG_LEVEL@": logLevel,
    "@GROUPS@": roleNames.map((role) => roles[role].group).join(" "),
    // Before OpenSSH 9.5 sshd asks a client when more than an interval has passed, but wakes when just one has, in whole
    // seconds (wait_until_can_do_something in serverloop.c): so it asks at every second interval.
    "@CLIENT_ALIVE_COUNT@": isBefore(version, 9, 5) ? "15" : "30",
    // Since OpenSSH 9.8, a few failures of one client lock out its whole address.
    "@PER_SOURCE@": isBefore(version, 9, 8)
      ? "# (This sshd knows no PerSourcePenalties.)"
      : "PerSourcePenalties no",
  };
  return template.replace(/@[A-Z_]+@/g, (word) => words[word] ?? word);
}

/**
 * Writes sshd's configuration and has sshd check it, together with the options that it will be started with
 * (sshd(8), -T). Throws if it is refused, or if sshd may not listen on its ports.
 */
export function writeSshdConfig(
  hostKeys: readonly HostKey[],
  logLevel: string,
  version: Version,
  options: readonly string[],
): void {
  const file = `${runFolder}/sshd_config`;
  const template = readFileSync(`${libraryFolder}/sshd_config.template`, "utf8");
  writeFileSync(file, renderSshdConfig(template, hostKeys, logLevel, version), {
    mode: 0o600,
  });
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const { status, stdout, stderr } = spawnSync(sshd, ["-T", "-f", file, ...options], { encoding: "utf8" });
  if (status !== 0)
    throw new OperatorError(
      `sshd refuses its configuration: ${stderr
        .trim()
        .split(/[\r\n]+/)
        .join("; ")}`,
    );
  requirePorts([...stdout.matchAll(/^listenaddress .*:([0-9]+)$/gm)].map(([, port]) => Number(port)));
}
