import type { Grant } from "../index/lookup.ts";
import { plainWord } from "../role.ts";

const keyType = /^[a-z0-9@.-]+$/;
const patternList = /^[0-9a-fA-F.:*?!,/]*$/;
const time = /^([0-9]{14}Z)?$/;
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * The one line that answers a login (sshd(8), AUTHORIZED_KEYS FILE FORMAT): `restrict` takes every permission away,
 * `command` forces what runs, the limits narrow from where and until when. It is composed of parsed fields only. Throws
 * if a field has a character that it cannot have, which would be a bug.
 */
export function keyLine(
  command: readonly string[],
  { addresses, expires }: Pick<Grant, "addresses" | "expires">,
  type: string,
  blob: string,
): string {
  const fine =
    patternList.test(addresses) &&
    time.test(expires) &&
    command.length > 0 &&
    command.every((word) => plainWord.test(word)) &&
    keyType.test(type) &&
    base64.test(blob);
  if (!fine) throw new Error("a field of the key line holds a character that must not be there");
  const narrowed = `${addresses && `,from="${addresses}"`}${expires && `,expiry-time="${expires}"`}`;
  return `restrict,command="${command.join(" ")}"${narrowed} ${type} ${blob}`;
}
