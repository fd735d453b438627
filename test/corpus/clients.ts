import { createECDH, createHash, createPrivateKey, type KeyObject } from "node:crypto";
import sshpk from "sshpk";

/**
 * The clients whose keys stand in the corpus. Their private halves are made from their names, so that the
 * committed public keys stay the same, and no private key is committed.
 */
export const clients = {
  /** Whoever the file is meant for. */
  client: ed25519,
  /** Whose key is hidden in a file, behind a trick. */
  intruder: ed25519,
  p256: (name: string) => ecdsa(name, "prime256v1", "P-256", 32),
  p384: (name: string) => ecdsa(name, "secp384r1", "P-384", 48),
  p521: (name: string) => ecdsa(name, "secp521r1", "P-521", 66),
} as const;

export type Client = keyof typeof clients;

export const clientNames = Object.keys(clients) as Client[];

export interface ClientKey {
  /** An OpenSSH private key file. */
  privateFile: string;
  /** "type base64" */
  line: string;
  fingerprint: string;
}

export function clientKey(name: Client): ClientKey {
  const key = sshpk.parsePrivateKey(clients[name](name).export({ type: "pkcs8", format: "pem" }), "pkcs8");
  const [type, blob] = key.toPublic().toString("ssh").split(" ");
  return {
    privateFile: key.toString("openssh"),
    line: `${type} ${blob}`,
    fingerprint: key.fingerprint("sha256").toString(),
  };
}

function seed(name: string): Buffer {
  return createHash("sha512").update(`borgserver corpus: ${name}`).digest();
}

function ed25519(name: string): KeyObject {
  const header = Buffer.from("302e020100300506032b657004220420", "hex"); // PKCS #8 (RFC 8410, 7)
  const key = Buffer.concat([header, seed(name).subarray(0, 32)]);
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}

function ecdsa(name: string, opensslName: string, crv: string, bytes: number): KeyObject {
  const ecdh = createECDH(opensslName);
  const scalar = Buffer.alloc(bytes, 0);
  seed(name).copy(scalar, 1, 0, bytes - 1); // below the order of the curve
  ecdh.setPrivateKey(scalar);
  const point = ecdh.getPublicKey();
  const key = {
    kty: "EC",
    crv,
    d: scalar.toString("base64url"),
    x: point.subarray(1, 1 + bytes).toString("base64url"),
    y: point.subarray(1 + bytes).toString("base64url"),
  };
  return createPrivateKey({ key, format: "jwk" });
}
