import { linesOf, openConnections, opensByIndex, revokedConnections } from "../sessions/connections.ts";
import { endConnections } from "../sessions/session-end.ts";

/** What a look at the open connections found and did. */
export interface Revoked {
  /** Those whose key is gone and that are open now, each as a text that no other connection has. */
  open: string[];
  /** A line for each account that had some ended, and for those that could not be. */
  ended: string[];
  left: string[];
}

/**
 * Looks for connections whose key opens nothing any more in the published index.
 * @param due those, as an earlier look had them, that are ended if it still does not
 */
export function endRevoked(due: readonly string[]): Revoked {
  // About one that has not logged in yet, sshd asks once more.
  const revoked = revokedConnections(openConnections(), opensByIndex).filter(({ isLoggedIn }) => isLoggedIn);
  const nameOf = ({ process }: (typeof revoked)[number]) => `${process.pid} ${process.started}`;
  const ending = revoked.filter((connection) => due.includes(nameOf(connection)));
  const left = endConnections(ending);
  const ended = ending.filter((connection) => !left.includes(connection));
  const open = revoked.filter((connection) => !ended.includes(connection));
  return { open: open.map(nameOf), ended: linesOf(ended), left: linesOf(left) };
}
