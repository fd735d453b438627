import type { Limits } from "../keys/key-options.ts";

/** What may stand in a word of a forced command: nothing that a shell, sshd's option parser or a line break could take up. */
export const plainWord = /^[A-Za-z0-9@%+=:,./_-]+$/;
const keyType = /^[a-z0-9@.-]+$/;
const patternList = /^[0-9a-fA-F.:*?!,/]*$/;
const time = /^([0-9]{14}Z)?$/;
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * The one line that answers a login (sshd(8), AUTHORIZED_KEYS FILE FORMAT): `restrict` takes every permission
 * away, `command` forces what runs, the limits narrow who and until when. Composed from parsed fields alone; a field that is not what it should be
 * throws, because nothing that reaches this point may be anything else.
 */
export function keyLine(
  command: readonly string[],
  { addresses, expires }: Limits,
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
