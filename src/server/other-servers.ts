import type { Owner } from "../owner.ts";
import { recordsFolder } from "../paths.ts";
import { pause } from "../pause.ts";
import type { Problem } from "../problem.ts";
import { keepsOwnOwners } from "../repositories/directory-owner.ts";
import { type RunningNode, runningNodes } from "../repositories/nodes.ts";
import { isServedHere } from "../sessions/process-table.ts";

/**
 * Why this server cannot run beside those that serve the storage now.
 * @param name this server's host name
 */
export function clashes(name: string, owner: Owner): Problem[] {
  return [
    ...(isNameTaken(name, owner)
      ? [
          {
            where: "host name",
            text: `another server on this storage is called ${name} too, and runs: each would take the other's locks for abandoned ones`,
            hint: "Give each server a host name of its own, with --hostname.",
          },
        ]
      : []),
    ...foreignOwner(
      runningNodes(owner).filter((node) => node.name !== name),
      owner,
    ),
  ];
}

/** A server that this one replaces may be at its end still: a stop takes eight seconds at most. */
function isNameTaken(name: string, owner: Owner): boolean {
  for (let tries = 0; tries < 50; tries++) {
    if (isServedHere() || !runningNodes(owner).some((node) => node.name === name)) return false;
    pause(200);
  }
  return true;
}

/** Two owners of one storage would take it from each other, at each start. */
function foreignOwner(nodes: readonly RunningNode[], { uid, gid }: Owner): Problem[] {
  const other = nodes.find(({ owner }) => owner.uid !== uid || owner.gid !== gid);
  if (!other || keepsOwnOwners({ uid, gid })(recordsFolder)) return [];
  return [
    {
      where: "PUID",
      text: `the server ${other.name}, which runs on this storage, has ${other.owner.uid}:${other.owner.gid} as PUID and PGID`,
      hint: "Give all servers on one storage the same; to change them, stop the others first.",
    },
  ];
}
