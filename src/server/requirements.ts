import { accessSync, constants, readFileSync } from "node:fs";
import { readAccountFiles } from "../accounts/account-files.ts";
import { hasAll, idsForAccounts } from "../accounts/account-id.ts";
import { whyUnknown } from "../accounts/published-accounts.ts";
import { leftAccounts, ownIds } from "../accounts/system-accounts.ts";
import { codeOf } from "../failure.ts";
import { isRoot } from "../owner.ts";
import { addonFile, borgHome, libraryFolder, programFile, stateFolder } from "../paths.ts";
import { OperatorError, type Refusal } from "../problem.ts";
import { formatIds, hasId, idMap } from "../user-namespace.ts";
import { unsafePart } from "./login-program.ts";

/**
 * Checks what a start needs of its container. Throws what is missing, and how to give it.
 * @returns the rights that are missing and without which a start goes on, with what that costs
 */
export function checkRequirements(): Refusal[] {
  const warnings = requireRights();
  requireWritable();
  requireIds();
  requireNoOldAccounts();
  for (const [program, cost] of [
    [programFile, "every login would be denied, because sshd does not run"],
    [addonFile, "the server does not load"],
  ] as const) {
    const unsafe = unsafePart(program);
    if (unsafe) throw new OperatorError(`${cost} ${program}: ${unsafe.text}`, unsafe.hint);
  }
  return warnings;
}

/** Capabilities that no start can do without, by their bit (capabilities(7), linux/capability.h). */
const needed = { CHOWN: 0, DAC_OVERRIDE: 1, FOWNER: 3, SETGID: 6, SETUID: 7, SYS_CHROOT: 18 };

/** Capabilities that a start can do without, with what is lost. */
const useful = {
  KILL: {
    bit: 5,
    cost: "sessions cannot be asked to end: a stop leaves their locks, and what a removed key opened stays open",
  },
};

/** Needed only to listen on a port below those that everybody may use (ip(7), ip_unprivileged_port_start). */
const netBindService = 10;

/** Whether this process has a capability. */
function hasCapability(bit: number): boolean {
  const status = readFileSync("/proc/self/status", "latin1");
  const has = BigInt(`0x${/^CapEff:\t([0-9a-f]+)$/m.exec(status)?.[1]}`);
  return ((has >> BigInt(bit)) & 1n) === 1n;
}

/** A container may have been started as another user, or with less than root's rights. */
function requireRights(): Refusal[] {
  if (!isRoot())
    throw new OperatorError(
      "the server has to be started as root",
      "Start the container without --user; sessions run as the owner of the repositories.",
    );
  const lacking = Object.entries(needed).filter(([, bit]) => !hasCapability(bit));
  if (lacking.length > 0)
    throw new OperatorError(
      `the server lacks capabilities: ${lacking.map(([name]) => name).join(", ")}`,
      `Start the container with ${lacking.map(([name]) => `--cap-add ${name}`).join(" ")}.`,
    );
  return Object.entries(useful)
    .filter(([, { bit }]) => !hasCapability(bit))
    .map(([name, { cost }]) => ({
      text: `without the capability ${name}, ${cost}`,
      hint: `Give it with --cap-add ${name}.`,
    }));
}

/** Throws if sshd may not listen on one of these ports. */
export function requirePorts(ports: readonly number[]): void {
  if (hasCapability(netBindService)) return;
  const first = Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "latin1"));
  const port = ports.find((port) => port < first);
  if (port !== undefined)
    throw new OperatorError(
      `the server lacks the capability NET_BIND_SERVICE, which port ${port} needs`,
      "Start the container with --cap-add NET_BIND_SERVICE, or let sshd listen on another port: sshd -p 2222",
    );
}

const moreIds = "Give it at least 65536 ids, as container engines do by default (subuid(5), subgid(5)).";

/** A container may have a user namespace with only some ids. */
function requireIds(): void {
  const { uids, gids } = ownIds(readAccountFiles());
  for (const [kind, ids] of [
    ["uid", uids],
    ["gid", gids],
  ] as const)
    for (const [id, name] of ids)
      if (!hasId(idMap(kind), id))
        throw new OperatorError(
          `this container has no id ${id}, which is ${name}'s (its user namespace has ${formatIds(idMap(kind))})`,
          moreIds,
        );
  const forAccounts = idsForAccounts(idMap("uid"));
  if (!hasAll(idMap("uid"), forAccounts))
    throw new OperatorError(
      `this container lacks ids from ${forAccounts.first} to ${forAccounts.first + forAccounts.count - 1}, which accounts log in as (its user namespace has ${formatIds(idMap("uid"))})`,
      moreIds,
    );
}

/** Throws if sshd would not find the published accounts. */
export function requireKnownAccounts(): void {
  const unknown = whyUnknown();
  if (unknown) throw new OperatorError(unknown.text, unknown.hint);
}

/** What an older server wrote into /etc/passwd would be found before what is published. */
function requireNoOldAccounts(): void {
  const [first, ...others] = leftAccounts(readAccountFiles());
  if (first === undefined) return;
  throw new OperatorError(
    `/etc/passwd has accounts of an older server: ${first}${others.length > 0 ? ` and ${others.length} more` : ""}`,
    `Remove them: ${libraryFolder}/install system`,
  );
}

/** A container may have a read-only root. */
function requireWritable(): void {
  const folders = ["/run", "/tmp", stateFolder, borgHome];
  const readOnly = folders.filter((folder) => {
    try {
      accessSync(folder, constants.W_OK);
      return false;
    } catch (error) {
      return codeOf(error) === "EROFS";
    }
  });
  if (readOnly.length > 0)
    throw new OperatorError(
      `the file system is read-only at ${readOnly.join(", ")}`,
      `Run the container with --volume ${stateFolder} --volume ${borgHome} --tmpfs /run --tmpfs /tmp.`,
    );
}
