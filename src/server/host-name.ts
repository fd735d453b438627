import { OperatorError, type Refusal } from "../problem.ts";
import { notNodes } from "../repositories/nodes.ts";

/** By its host name a server knows its own locks and records, on a storage that others may share. */

/** Throws if records cannot have a folder of this name. */
export function requireUsableHostName(name: string): void {
  if (notNodes.includes(name))
    throw new OperatorError(
      `the host name cannot be "${name}", which is a folder beside the servers' records`,
      "Give the container another one with --hostname.",
    );
}

/**
 * Docker and Podman name a container by the first twelve digits of its id, and Kubernetes a pod of a Deployment by two
 * random parts, the second of five characters (SafeEncodeString in its apimachinery: no vowels, no 0, 1 and 3).
 */
const looksRandom = (name: string) =>
  /^[0-9a-f]{12}$/.test(name) ||
  /-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$/.test(name);

/**
 * What to say about a host name that will be another one when the container is made anew; null if it is not such a name.
 * @param others the host names of the other servers that ever had this storage
 */
export function randomName(name: string, others: readonly string[]): Refusal | null {
  if (!looksRandom(name) || others.length === 0) return null;
  const more = others.length > 1 ? ` and ${others.length - 1} more` : "";
  return {
    text: `the host name ${name} looks random, and this storage has records of ${others[0]}${more}`,
    hint: "Give the container a host name that stays: by it a server knows its own locks and records.",
  };
}
