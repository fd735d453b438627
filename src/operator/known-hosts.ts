import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { isIP, isIPv6 } from "node:net";
import { hostKeyFolder, runFolder } from "../paths.ts";
import { exitCode, OperatorError, ProblemsFound } from "../problem.ts";
import { say } from "../report.ts";
import { copyHostKeys, type HostKey } from "../server/host-keys.ts";

/** Prints known_hosts lines for an address. @returns the exit code */
export function printKnownHosts(address: string): number {
  const pattern = hostPattern(address);
  if (pattern === null) throw new OperatorError(`"${address}" is not HOST or HOST:PORT`, "", exitCode.usage);
  for (const line of knownHosts(pattern, readHostKeys())) say(line);
  return exitCode.done;
}

function readHostKeys(): HostKey[] {
  mkdirSync(runFolder, { recursive: true });
  const copies = mkdtempSync(`${runFolder}/known-hosts-`);
  try {
    const { keys, problems } = copyHostKeys(hostKeyFolder, copies);
    if (problems.length > 0) throw new ProblemsFound(problems, exitCode.settingProblems);
    if (keys.length > 0) return keys;
    throw new OperatorError(
      `there is no host key in ${hostKeyFolder} yet`,
      "The first start of the server makes them.",
      exitCode.settingProblems,
    );
  } finally {
    rmSync(copies, { recursive: true, force: true });
  }
}

/** Lines that let clients pin this server before they first connect (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export function knownHosts(pattern: string, keys: readonly Pick<HostKey, "publicKey">[]): string[] {
  return keys.map(({ publicKey }) => `${pattern} ${publicKey}`);
}

/**
 * As ssh looks a host up in known_hosts.
 * @param address HOST or HOST:PORT; an IPv6 address with a port in brackets, [ADDRESS]:PORT
 * @returns null if the address is not valid
 */
export function hostPattern(address: string): string | null {
  if (/[^A-Za-z0-9._:[\]-]/.test(address)) return null;
  const [, host = "", port = "22"] = isIPv6(address)
    ? ["", address]
    : (/^(.*?)(?::([0-9]{1,5}))?$/.exec(address) ?? []);
  const name = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  const isHost = host.startsWith("[") || isIPv6(host) ? isIP(name) !== 0 : /^[a-z0-9._-]+$/.test(name);
  if (!isHost || Number(port) < 1 || Number(port) > 65535) return null;
  return Number(port) === 22 ? name : `[${name}]:${Number(port)}`;
}
