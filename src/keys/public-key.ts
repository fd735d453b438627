import { createHash } from "node:crypto";
import sshpk from "sshpk";
import { isRefusal, type Refusal } from "../problem.ts";
import { type Limits, neverTakenOption, noLimits, parseKeyOptions } from "./key-options.ts";

/** A public key as sshd knows it, in parsed fields. */
export interface PublicKey extends Limits {
  /** The key type, e.g. `ssh-ed25519`. */
  type: string;
  /** The key itself (RFC 4253, 6.6), canonical base64. */
  blob: string;
  /** `SHA256:` and unpadded base64, as ssh-keygen -l prints it and sshd passes it as %f. */
  fingerprint: string;
  /** The text behind the key, for people only. */
  comment: string;
}

/** sshd's own bounds: shorter RSA keys are refused by default (RequiredRSASize is 2048 here), longer ones never read (SSHBUF_MAX_BIGNUM). */
const rsaBits = { least: 2048, most: 16384 };

const makeOne = "Make a key with: ssh-keygen -t ed25519";
const copyAgain = "Copy the line from the client's .pub file again.";

/**
 * The y coordinates of Ed25519's points of order 1, 2, 4 and 8: a signature that anybody can write down is valid
 * for them, and OpenSSH does not look.
 */
const fieldPrime = 2n ** 255n - 19n;
const yOfOrder8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const yOfSmallOrder = new Set([0n, 1n, fieldPrime - 1n, yOfOrder8, fieldPrime - yOfOrder8]);

/** Reads a field of a key's content. */
type Field = (bytes: Buffer) => Refusal | null;

const damaged: Refusal = { text: "the key is damaged", hint: copyAgain };

/** The y coordinate must be in its only form (RFC 8032, 5.1.3), and of a point that not everybody can sign for. */
const edwardsPoint: Field = (bytes) => {
  if (bytes.length !== 32) return damaged;
  const y = BigInt.asUintN(255, BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`));
  if (yOfSmallOrder.has(y % fieldPrime)) return { text: "anybody can sign for this key", hint: makeOne };
  return y < fieldPrime ? null : damaged;
};

const curve =
  (name: string): Field =>
  (bytes) =>
    bytes.toString("latin1") === name ? null : damaged;

/** Wants a point in its uncompressed form (SEC 1, 2.3.3). */
const curvePoint =
  (length: number): Field =>
  (bytes) =>
    bytes.length === length && bytes[0] === 4 ? null : damaged;

/** What a FIDO key is for, e.g. "ssh:". */
const application: Field = (bytes) => (bytes.length > 0 ? null : damaged);

const exponent: Field = (bytes) => {
  const number = positiveInteger(bytes);
  return number !== null && number >= 3n && number % 2n === 1n ? null : damaged;
};

const modulus: Field = (bytes) => {
  const number = positiveInteger(bytes);
  if (number === null) return damaged;
  const bits = number.toString(2).length;
  if (bits < rsaBits.least)
    return {
      text: `RSA keys under ${rsaBits.least} bits are not accepted, and this one has ${bits}`,
      hint: makeOne,
    };
  if (bits > rsaBits.most)
    return {
      text: `sshd cannot read RSA keys over ${rsaBits.most} bits, and this one has ${bits}`,
      hint: makeOne,
    };
  return number % 2n === 1n ? null : damaged;
};

/** The fields of each type that is accepted, behind its name (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, OpenSSH's PROTOCOL.u2f). */
const fieldsOf: Record<string, Field[]> = {
  "ssh-ed25519": [edwardsPoint],
  "ssh-rsa": [exponent, modulus],
  "sk-ssh-ed25519@openssh.com": [edwardsPoint, application],
  "ecdsa-sha2-nistp256": [curve("nistp256"), curvePoint(65)],
  "ecdsa-sha2-nistp384": [curve("nistp384"), curvePoint(97)],
  "ecdsa-sha2-nistp521": [curve("nistp521"), curvePoint(133)],
  "sk-ecdsa-sha2-nistp256@openssh.com": [curve("nistp256"), curvePoint(65), application],
};

const accepted = new Set(Object.keys(fieldsOf));

/** Every type that sshd knows or knew; certificates' types have another ending. */
const types = [...accepted, "ssh-dss"];

/** What the base64 of a key starts with: the length and the name of its type, without its last letters (RFC 4253, 6.6). */
const blobStarts = [
  ...types,
  ...types.map((type) => `${type.replace(/@openssh\.com$/, "")}-cert-v01@openssh.com`),
].map((type) => {
  const name = Buffer.from(`\0\0\0${String.fromCharCode(type.length)}${type}`);
  return name.subarray(0, name.length - (name.length % 3)).toString("base64");
});

const typeNames = types.map((type) => type.replace(/[.]/g, "\\.")).join("|");
const typeThenBlob = new RegExp(`(${typeNames})(-cert-v0[01]@openssh\\.com)?[^A-Za-z0-9]+AAAA`);

/** A key as a list in YAML or JSON has it: behind a dash, in quotes, or both. */
const listItem = new RegExp(`^[ \\t]*(-[ \\t]*["']?|["'])(${typeNames})[ \\t]`);

const certificate = /-cert-v0[01]@openssh\.com$/;

/**
 * Reads one line of a key file: options that narrow (key-options.ts), type, base64, comment. The grammar is
 * strict, the fields of the key are checked one by one (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, OpenSSH's
 * PROTOCOL.u2f), and sshpk must read the same key out of it, where it knows the type.
 * @param timeZone in which an expiry-time without Z is meant, by its name in the time zone database
 */
export function parsePublicKey(line: string, timeZone = "UTC"): PublicKey | Refusal {
  if (/[^\P{Cc}\t]/u.test(line)) return { text: "the line has a control character", hint: copyAgain };

  if (listItem.test(line))
    return {
      text: "the line is not an OpenSSH public key",
      hint: "Remove the dash or the quotes around the key: they belong to a list, as in YAML or JSON.",
    };
  const { options, key } = splitOptions(line);
  const limits = options === "" ? noLimits : parseKeyOptions(options, timeZone);
  if (isRefusal(limits)) return limits;

  const fields = /^[ \t]*([^ \t]+)(?:[ \t]+([^ \t]+))?(?:[ \t]+(.*?))?[ \t]*$/.exec(key);
  const [type = "", blob = "", comment = ""] = fields?.slice(1) ?? [];
  const refusal = typeRefusal(type, key);
  if (refusal) return refusal;

  const onOwnLines = "Put each key on a line of its own; in BORG_SSHKEYS a comma separates two as well.";
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(blob)) {
    const behind = `${blob} ${comment}`.replace(/^[A-Za-z0-9+/]+=*/, "");
    return { text: "the key is not valid base64", hint: holdsKey(behind) ? onOwnLines : copyAgain };
  }
  const bytes = Buffer.from(blob, "base64");
  if (bytes.toString("base64") !== blob)
    return { text: "the base64 of the key is cut short or altered", hint: copyAgain };

  const wrong = contentRefusal(type, bytes);
  if (wrong) return wrong;

  const fingerprint = fingerprintOf(blob);
  if (!type.startsWith("sk-") && !sshpkAgrees(type, blob, fingerprint)) return refusedBySshpk;
  if (holdsKey(comment))
    return {
      text: "there is a second key on this line, which would only count as a comment",
      hint: onOwnLines,
    };
  return { type, blob, fingerprint, comment, ...limits };
}

/** What is said of a key that the grammar accepts and sshpk does not. */
export const refusedBySshpk: Refusal = { text: "the key is not a valid key of its type", hint: copyAgain };

/** Whether there is a key in a text that is not a line of its own: such a key would be ignored without a word. */
export function holdsKey(text: string): boolean {
  return typeThenBlob.test(text) || blobStarts.some((start) => text.includes(start));
}

/** The fingerprint of a key in base64, as ssh-keygen -l prints it. */
export function fingerprintOf(blob: string): string {
  const hash = createHash("sha256").update(blob, "base64").digest("base64");
  return `SHA256:${hash.replace(/=+$/, "")}`;
}

/** A line starts with options if its first word is not a key type, but the word behind it is. */
function splitOptions(line: string): { options: string; key: string } {
  const [, first = "", rest = ""] = /^[ \t]*((?:[^" \t]|"[^"]*")+)[ \t]+(.*)$/.exec(line) ?? [];
  const isType = (word: string) => accepted.has(word) || word === "ssh-dss" || certificate.test(word);
  return !isType(first) && isType(rest.split(/[ \t]/)[0] ?? "")
    ? { options: first, key: rest }
    : { options: "", key: line };
}

function typeRefusal(type: string, line: string): Refusal | null {
  if (accepted.has(type)) return null;
  if (certificate.test(type))
    return {
      text: "certificates are not accepted",
      hint: "Use the plain public key that the certificate was made from.",
    };
  if (type === "ssh-dss")
    return { text: "DSA keys are not accepted: they are broken, and sshd refuses them", hint: makeOne };
  const later = line.split(/[ \t]+/).slice(1);
  if (later.some((word) => accepted.has(word)))
    return (
      neverTakenOption(line.trimStart()) ?? {
        text: "the text before the key is not a valid option",
        hint: "Remove what is before the key type.",
      }
    );
  return {
    text: "the line is not an OpenSSH public key",
    hint: `Put one key on each line, e.g. "ssh-ed25519 AAAA… name". ${makeOne}`,
  };
}

function contentRefusal(type: string, bytes: Buffer): Refusal | null {
  const [name, ...fields] = wireStrings(bytes) ?? [];
  const readers = fieldsOf[type] ?? [];
  if (name?.toString("latin1") !== type || fields.length !== readers.length) return damaged;
  const refusals = readers.map((read, at) => read(fields[at]!)).filter((refusal) => refusal !== null);
  return refusals.find((refusal) => refusal !== damaged) ?? refusals[0] ?? null;
}

/** The length-prefixed strings (RFC 4251, 5) that the bytes consist of, or null if they do not end exactly. */
function wireStrings(bytes: Buffer): Buffer[] | null {
  const parts: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return null;
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) return null;
    parts.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return parts;
}

/** An mpint (RFC 4251, 5) that is positive and written in its shortest form, or null. */
function positiveInteger(bytes: Buffer): bigint | null {
  const [first, second = 0] = bytes;
  if (first === undefined || first >= 0x80) return null;
  if (first === 0 && second < 0x80) return null;
  return BigInt(`0x${bytes.toString("hex")}`);
}

/**
 * Whether sshpk reads a key of this type out of the base64, and nothing else. It is looser than the grammar above, and
 * no key is known that it alone refuses; it would notice a mistake in that grammar.
 */
export function sshpkAgrees(type: string, blob: string, fingerprint: string): boolean {
  try {
    const key = sshpk.parseKey(`${type} ${blob}`, "ssh");
    return (
      key.toBuffer("rfc4253").toString("base64") === blob &&
      key.fingerprint("sha256").toString() === fingerprint
    );
  } catch {
    return false;
  }
}
