import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { lookAtPrivateKey, mended, type PrivateKeyFile } from "../../../src/server/private-key-file.ts";
import { clientKey } from "../../corpus/clients.ts";
import { wire } from "../../corpus/plain-keys.ts";

const folder = mkdtempSync("/tmp/private-keys-");
afterAll(() => rmSync(folder, { recursive: true }));

function makeKey(...options: string[]): string {
  const file = `${folder}/${options.join("")}`;
  execFileSync("ssh-keygen", ["-q", "-C", "", "-f", file, ...options]);
  return readFileSync(file, "utf8");
}

const plain = makeKey("-t", "ed25519", "-N", "");
const open: PrivateKeyFile = { form: "private", encrypted: false, isDsa: false };
const locked: PrivateKeyFile = { ...open, encrypted: true };

describe("what ssh-keygen writes is known by its form, and whether it has a passphrase:", () => {
  test.each([
    ["OpenSSH's form", plain, open],
    ["OpenSSH's form, with one", makeKey("-t", "ed25519", "-N", "secret"), locked],
    [
      "OpenSSH's form, with one and another cipher",
      makeKey("-t", "ed25519", "-Z", "aes128-ctr", "-N", "secret"),
      locked,
    ],
    ["PEM", makeKey("-t", "ecdsa", "-m", "PEM", "-N", ""), open],
    ["PEM, with one", makeKey("-t", "ecdsa", "-m", "PEM", "-N", "secret"), locked],
    ["PKCS #8", makeKey("-t", "ecdsa", "-m", "PKCS8", "-N", ""), open],
    ["PKCS #8, with one", makeKey("-t", "ecdsa", "-m", "PKCS8", "-N", "secret"), locked],
  ])("%s", (_, text, expected) => {
    expect(lookAtPrivateKey(text)).toEqual(expected);
  });
});

/** A key in OpenSSH's form (PROTOCOL.key), which newer versions of ssh-keygen do not make of every type. */
function framed(cipher: string, type: string, magic = "openssh-key-v1\0"): string {
  const bytes = Buffer.concat([
    Buffer.from(magic),
    wire(cipher, "bcrypt", "salt and rounds"),
    Buffer.from([0, 0, 0, 1]),
    wire(wire(type, "the rest of the public key")),
  ]);
  const lines = bytes.toString("base64").replace(/.{70}/g, "$&\n");
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

test("a DSA key is known in each form, with a passphrase too", () => {
  const pem = (header: string) =>
    `-----BEGIN DSA PRIVATE KEY-----\n${header}MIIB\n-----END DSA PRIVATE KEY-----\n`;
  expect(lookAtPrivateKey(pem(""))).toEqual({ ...open, isDsa: true });
  expect(lookAtPrivateKey(pem("Proc-Type: 4,ENCRYPTED\n"))).toEqual({ ...locked, isDsa: true });
  expect(lookAtPrivateKey(framed("none", "ssh-dss"))).toEqual({ ...open, isDsa: true });
  expect(lookAtPrivateKey(framed("aes256-ctr", "ssh-dss"))).toEqual({ ...locked, isDsa: true });
  expect(lookAtPrivateKey(framed("aes256-ctr", "ssh-rsa"))).toEqual(locked);
});

describe("a key that is damaged is a private key without a passphrase:", () => {
  test.each([
    ["nothing inside", "-----BEGIN OPENSSH PRIVATE KEY-----\n"],
    ["something else inside", framed("aes256-ctr", "ssh-dss", "openssh-key-v2\0")],
    ["cut after the cipher", framed("aes256-ctr", "ssh-dss").slice(0, 80)],
    ["a length beyond the end", framed("x".repeat(300), "ssh-dss").slice(0, 90)],
  ])("%s", (_, text) => {
    expect(lookAtPrivateKey(text)).toEqual(open);
  });
});

describe("what is no private key is told by what it is instead:", () => {
  const publicLine = clientKey("client").line;
  test.each<[PrivateKeyFile["form"], string, string]>([
    ["empty", "a line break", "\n"],
    ["empty", "blanks", " \n\t\n"],
    ["putty", "PuTTY's form", "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n"],
    ["none", "PuTTY's form behind a word", "x PuTTY-User-Key-File-3: ssh-rsa\n"],
    ["public", "an ed25519 key", `${publicLine}\n`],
    ["public", "an ECDSA key", "ecdsa-sha2-nistp256 AAAA\n"],
    ["public", "a FIDO key", "sk-ssh-ed25519@openssh.com AAAA\n"],
    ["public", "PKCS #8", "-----BEGIN PUBLIC KEY-----\nMIIB\n"],
    ["public", "PEM", "-----BEGIN RSA PUBLIC KEY-----\nMIIB\n"],
    ["public", "RFC 4716", "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n"],
    ["none", "a key behind a word", `x ${publicLine}\n`],
    ["none", "PKCS #8 behind a word", "x -----BEGIN PUBLIC KEY-----\n"],
    ["none", "a type without a key", "ssh-ed25519\n"],
    ["none", "a key without a whole type", "ssh- AAAA\n"],
    ["none", "a certificate", "-----BEGIN CERTIFICATE-----\nMIIB\n"],
    ["none", "a private key behind a blank", ` ${plain}`],
    ["none", "a private key with a blank behind its frame", plain.replace("-----\n", "----- \n")],
    ["none", "prose", "Hello\n"],
  ])("%s: %s", (form, _, text) => {
    expect(lookAtPrivateKey(text)).toEqual({ form, encrypted: false, isDsa: false });
  });
});

test("the first key of a file counts, and its own header", () => {
  const pem = (header: string) =>
    `-----BEGIN EC PRIVATE KEY-----\n${header}MIIB\n-----END EC PRIVATE KEY-----\n`;
  expect(lookAtPrivateKey(pem("") + framed("aes256-ctr", "ssh-dss"))).toEqual(open);
  expect(lookAtPrivateKey(pem("X-Proc-Type: 4,ENCRYPTED\n"))).toEqual(open);
});

test("what editors and copies do to a key is undone", () => {
  expect(mended(plain)).toBe(plain);
  for (const altered of [
    plain.trimEnd(),
    `\n\n${plain}\n\n`,
    `\ufeff${plain}`,
    plain.replaceAll("\n", "\r\n"),
    plain.replaceAll("\n", "\r"),
    plain.replaceAll("\n", " \t\n"),
    `\ufeff\n${plain.trimEnd().replaceAll("\n", "  \r\n")}`,
  ])
    expect(mended(altered)).toBe(plain);
  expect(mended("")).toBe("\n");
});

test("only what lies around the lines is taken away", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", " ", "\t", "\n", "\ufeff", "-") }), (text) => {
      const words = (text: string) => text.split(/[ \t\n\ufeff]+/).filter(Boolean);
      expect(words(mended(text))).toEqual(words(text));
      expect(mended(mended(text))).toBe(mended(text));
    }),
  );
});
