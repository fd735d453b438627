import { accessSync, constants, readFileSync } from "node:fs";
import { readAccountFiles } from "./account-files.ts";
import { ownIds } from "./account-plan.ts";
import { isRoot } from "./owner.ts";
import { borgHome } from "./paths.ts";
import { OperatorError } from "./report.ts";
import { formatIds, hasId, idMap } from "./user-namespace.ts";

/** What a start needs of its container. Throws what is missing, and how to give it. */
export function checkRequirements(): void {
  requireRights();
  requireWritable();
  requireIds();
}

/** Capabilities that no start can do without, by their bit (capabilities(7), linux/capability.h). */
const capabilities = { CHOWN: 0, DAC_OVERRIDE: 1, FOWNER: 3, SETGID: 6, SETUID: 7, SYS_CHROOT: 18 };

/** A container may have been started as another user, or with less than root's rights. */
function requireRights(): void {
  if (!isRoot())
    throw new OperatorError(
      "the server has to be started as root",
      "Start the container without --user; sessions run as the owner of the repositories.",
    );
  const status = readFileSync("/proc/self/status", "latin1");
  const has = BigInt(`0x${/^CapEff:\t([0-9a-f]+)$/m.exec(status)?.[1]}`);
  const lacking = Object.entries(capabilities).filter(([, bit]) => ((has >> BigInt(bit)) & 1n) === 0n);
  if (lacking.length > 0)
    throw new OperatorError(
      `the server lacks capabilities: ${lacking.map(([name]) => name).join(", ")}`,
      `Start the container with ${lacking.map(([name]) => `--cap-add ${name}`).join(" ")}.`,
    );
}

/** A container may have a user namespace with some ids alone. */
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
          "Give it at least 65536 ids, as container engines do by default (subuid(5), subgid(5)).",
        );
}

/** A container may have a read-only root, but accounts stand in /etc. */
function requireWritable(): void {
  const folders = ["/etc", "/run", "/tmp", "/var/lib/borgserver", borgHome];
  const readOnly = folders.filter((folder) => {
    try {
      accessSync(folder, constants.W_OK);
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EROFS";
    }
  });
  if (readOnly.length > 0)
    throw new OperatorError(
      `the file system is read-only at ${readOnly.join(", ")}`,
      `Run the container with --volume /etc --volume /var/lib/borgserver --volume ${borgHome} --tmpfs /run --tmpfs /tmp; /etc gets a copy of the image's, with the accounts.`,
    );
}
