import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import {
  fingerprintOf,
  holdsKey,
  type PublicKey,
  parsePublicKey,
  refusedBySshpk,
  sshpkAgrees,
} from "../../../src/keys/public-key.ts";
import { refusedBySshKeygen } from "../../../src/keys/ssh-keygen.ts";
import { isRefusal } from "../../../src/problem.ts";
import { readCase } from "../../corpus/corpus.ts";
import { plainKey, wire as wireBytes } from "../../corpus/plain-keys.ts";

const folder = mkdtempSync("/tmp/keys-");
afterAll(() => rmSync(folder, { recursive: true }));

function makeKey(...options: string[]): string {
  const file = `${folder}/${options.join("")}`;
  execFileSync("ssh-keygen", ["-q", "-N", "", "-C", "me@laptop with spaces", "-f", file, ...options]);
  return readFileSync(`${file}.pub`, "utf8").trim();
}

/** The base64 of SSH strings. */
const wire = (...parts: (string | Buffer)[]) => wireBytes(...parts).toString("base64");

/** The one line of a case of the corpus. */
const lineOf = (name: string) => readCase(name).toString().trim();

const ed25519 = makeKey("-t", "ed25519");
const [, ed25519Blob = ""] = ed25519.split(" ");

// FIDO keys need a token to be made; these have the shape of OpenSSH's PROTOCOL.u2f around ordinary points.
const ecdsa = makeKey("-t", "ecdsa", "-b", "256");
const point = Buffer.from(ecdsa.split(" ")[1]!, "base64").subarray(-65);
const fido = [
  `sk-ssh-ed25519@openssh.com ${wire("sk-ssh-ed25519@openssh.com", Buffer.from(ed25519Blob, "base64").subarray(-32), "ssh:")} token`,
  `sk-ecdsa-sha2-nistp256@openssh.com ${wire("sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", point, "ssh:")} token`,
];

describe("accepts, with ssh-keygen's own fingerprint", () => {
  test.each([
    ["Ed25519", ed25519],
    ["RSA, 2048 bits", makeKey("-t", "rsa", "-b", "2048")],
    ["RSA, 16384 bits", lineOf("rsa-16384")],
    ["RSA, exponent 3", lineOf("rsa-e-3")],
    ["ECDSA, 256 bits", ecdsa],
    ["ECDSA, 384 bits", makeKey("-t", "ecdsa", "-b", "384")],
    ["ECDSA, 521 bits", makeKey("-t", "ecdsa", "-b", "521")],
    ["Ed25519 of a token", fido[0]!],
    ["ECDSA of a token", fido[1]!],
  ])("%s", (_, line) => {
    const key = parsePublicKey(line);
    if (isRefusal(key)) throw new Error(key.text);
    const [type, blob, ...comment] = line.split(" ");
    expect(key).toMatchObject({ type, blob, comment: comment.join(" ") });
    const printed = execFileSync("ssh-keygen", ["-l", "-f", "-"], { input: line, encoding: "utf8" });
    expect(printed.split(" ")[1]).toBe(key.fingerprint);
  });
});

test("takes tabs and spaces around the fields, and no comment", () => {
  const expected = { type: "ssh-ed25519", blob: ed25519Blob };
  expect(parsePublicKey(` \tssh-ed25519 \t ${ed25519Blob}\t `)).toMatchObject({ ...expected, comment: "" });
  expect(parsePublicKey(`ssh-ed25519 ${ed25519Blob} "a\\" é 日本`)).toMatchObject({
    ...expected,
    comment: '"a\\" é 日本',
  });
});

describe("refuses", () => {
  const bytes = Buffer.from(ed25519Blob, "base64");
  const one = Buffer.from([1]);
  const modulus = (bits: number) => Buffer.concat([Buffer.from([0]), Buffer.alloc(bits / 8, 0xff)]);
  test.each([
    [
      "an option that widens",
      `command="id" ${ed25519}`,
      /^the option command before the key is not accepted$/,
    ],
    [
      "an option of a FIDO key",
      `verify-required ${ed25519}`,
      /^the option verify-required before the key is not accepted$/,
    ],
    ["a host name before the key", `example.org ${ed25519}`, /an option before the key is not accepted/],
    ["two words before the key", `example.org x ${ed25519}`, /text before the key/],
    ["a DSA key", `ssh-dss ${wire("ssh-dss")}`, /DSA/],
    ["a certificate", `ssh-ed25519-cert-v01@openssh.com ${ed25519Blob}`, /^certificates/],
    ["an unknown type", `ssh-xmss@openssh.com ${ed25519Blob}`, /not an OpenSSH public key/],
    ["a type in another case", `SSH-ED25519 ${ed25519Blob}`, /not an OpenSSH public key/],
    ["no key", "ssh-ed25519", /not valid base64/],
    ["prose", "the key will follow", /not an OpenSSH public key/],
    ["quotes in the key", `ssh-ed25519 "${ed25519Blob}"`, /not valid base64/],
    ["base64 of another alphabet", `ssh-ed25519 ${ed25519Blob.replace(/.$/, "_")}`, /not valid base64/],
    ["base64 cut short within a byte", `ssh-ed25519 ${ed25519Blob.slice(0, -2)}`, /base64 .* cut short/],
    ["base64 cut short between two bytes", `ssh-ed25519 ${ed25519Blob.slice(0, -4)}`, /damaged/],
    [
      "base64 with loose bits",
      `ssh-ed25519 ${wire("ssh-ed25519", bytes.subarray(-31)).replace(/.=$/, "x=")}`,
      /base64 .* altered/,
    ],
    ["a trailing byte", `ssh-ed25519 ${Buffer.concat([bytes, one]).toString("base64")}`, /damaged/],
    ["31 bytes of key", `ssh-ed25519 ${wire("ssh-ed25519", bytes.subarray(-31))}`, /damaged/],
    ...[
      ["1", `01${"00".repeat(31)}`],
      ["1, negative", `01${"00".repeat(30)}80`],
      ["2", `ec${"ff".repeat(30)}7f`],
      ["4", "00".repeat(32)],
      ["8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"],
      ["8, the other", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"],
      ["1, in another form", `ee${"ff".repeat(30)}7f`],
    ].map(([order, point]): [string, string, RegExp] => [
      `an Ed25519 point of order ${order}, which anybody can sign for`,
      `ssh-ed25519 ${wire("ssh-ed25519", Buffer.from(point!, "hex"))}`,
      /anybody can sign/,
    ]),
    ["another type inside", `ssh-ed25519 ${wire("ssh-rsa", bytes.subarray(-32))}`, /damaged/],
    [
      "a length beyond the end",
      `ssh-ed25519 ${Buffer.from([255, 255, 255, 255, 1]).toString("base64")}`,
      /damaged/,
    ],
    ["RSA with 1024 bits", `ssh-rsa ${wire("ssh-rsa", Buffer.from([1, 0, 1]), modulus(1024))}`, /2048.*1024/],
    [
      "RSA with 32768 bits",
      `ssh-rsa ${wire("ssh-rsa", Buffer.from([1, 0, 1]), modulus(32768))}`,
      /over 16384/,
    ],
    ["RSA with exponent 1", `ssh-rsa ${wire("ssh-rsa", one, modulus(2048))}`, /damaged/],
    [
      "RSA with a negative modulus",
      `ssh-rsa ${wire("ssh-rsa", Buffer.from([3]), Buffer.alloc(256, 0xff))}`,
      /damaged/,
    ],
    [
      "RSA with superfluous zeros",
      `ssh-rsa ${wire("ssh-rsa", Buffer.from([0, 3]), modulus(2048))}`,
      /damaged/,
    ],
    [
      "ECDSA of another curve",
      `ecdsa-sha2-nistp384 ${wire("ecdsa-sha2-nistp384", "nistp256", point)}`,
      /damaged/,
    ],
    [
      "a FIDO key without application",
      `sk-ssh-ed25519@openssh.com ${wire("sk-ssh-ed25519@openssh.com", bytes.subarray(-32))}`,
      /damaged/,
    ],
    ["RSA with 2047 bits", lineOf("rsa-2047"), /2048.*2047/],
    ["RSA with 16392 bits", lineOf("rsa-16392"), /over 16384.*16392/],
    ["RSA with exponent 0", lineOf("rsa-e-0"), /damaged/],
    ["RSA with an even exponent", lineOf("rsa-e-even"), /damaged/],
    ["RSA with a negative exponent", lineOf("rsa-e-negative"), /damaged/],
    ["RSA with an even modulus", lineOf("rsa-n-even"), /damaged/],
    ["RSA with an empty modulus", `ssh-rsa ${wire("ssh-rsa", Buffer.from([3]), "")}`, /damaged/],
    ["RSA without a modulus", `ssh-rsa ${wire("ssh-rsa", Buffer.from([3]))}`, /damaged/],
    [
      "RSA with another exponent that is damaged and a short modulus, for what can be mended",
      `ssh-rsa ${wire("ssh-rsa", one, modulus(1024))}`,
      /2048.*1024/,
    ],
    [
      "33 bytes of key",
      `ssh-ed25519 ${wire("ssh-ed25519", Buffer.concat([one, bytes.subarray(-32)]))}`,
      /damaged/,
    ],
    [
      "a y coordinate that is the field's prime plus 2",
      `ssh-ed25519 ${wire("ssh-ed25519", Buffer.from(`ef${"ff".repeat(30)}7f`, "hex"))}`,
      /damaged/,
    ],
    ["a field too many", `ssh-ed25519 ${wire("ssh-ed25519", bytes.subarray(-32), "x")}`, /damaged/],
    [
      "a length of three bytes",
      `ssh-ed25519 ${Buffer.concat([bytes, Buffer.alloc(3)]).toString("base64")}`,
      /damaged/,
    ],
    [
      "a compressed point",
      `ecdsa-sha2-nistp256 ${wire("ecdsa-sha2-nistp256", "nistp256", Buffer.concat([Buffer.from([2]), point.subarray(1, 33)]))}`,
      /damaged/,
    ],
    [
      "a point in another form",
      `ecdsa-sha2-nistp256 ${wire("ecdsa-sha2-nistp256", "nistp256", Buffer.concat([Buffer.from([6]), point.subarray(1)]))}`,
      /damaged/,
    ],
    [
      "a FIDO key with an empty application",
      `sk-ssh-ed25519@openssh.com ${wire("sk-ssh-ed25519@openssh.com", bytes.subarray(-32), "")}`,
      /damaged/,
    ],
    ["a certificate of an old form", `ssh-rsa-cert-v00@openssh.com ${ed25519Blob}`, /certificates/],
    [
      "a type that only ends like a certificate's",
      `${ed25519.split(" ")[0]}-cert-v01@openssh.comx ${ed25519Blob}`,
      /not an OpenSSH public key/,
    ],
    ["base64 with three signs of padding", `ssh-ed25519 ${ed25519Blob}===`, /not valid base64/],
    ["a second line", `${ed25519}\n${ed25519}`, /control character/],
    ["a carriage return", `${ed25519}\rx`, /control character/],
    ["an escape sequence", `${ed25519} \x1b[2J`, /control character/],
    ["a NUL", `${ed25519}\0`, /control character/],
    ["a byte order mark", `\ufeff${ed25519}`, /not an OpenSSH public key/],
  ])("%s", (_, line, reason) => {
    const result = parsePublicKey(line);
    expect(isRefusal(result) && result.text).toMatch(reason);
    expect(isRefusal(result) && result.hint).not.toBe("");
  });
});

describe("says what to do about", () => {
  const copy = /from the client's \.pub file/;
  const make = /ssh-keygen -t ed25519/;
  const own = /on a line of its own/;
  test.each([
    ["a control character", `${ed25519}\x07`, copy],
    ["a damaged key", `ssh-ed25519 ${wire("ssh-ed25519", "x")}`, copy],
    ["a key that is cut short", `ssh-ed25519 ${ed25519Blob.slice(0, -2)}`, copy],
    ["a key that is no base64", "ssh-ed25519 AAAA_", copy],
    ["a key with another behind a semicolon", `${ed25519};${ed25519}`, own],
    ["a key with another glued to it", `ssh-ed25519 ${ed25519Blob};${ed25519Blob}`, own],
    ["a second key", `${ed25519} ${ed25519}`, own],
    ["a certificate", `ssh-ed25519-cert-v01@openssh.com ${ed25519Blob}`, /plain public key/],
    ["a DSA key", `ssh-dss ${wire("ssh-dss")}`, make],
    ["a short RSA key", lineOf("rsa-2047"), make],
    ["a long RSA key", lineOf("rsa-16392"), make],
    ["a key that anybody can sign for", `ssh-ed25519 ${wire("ssh-ed25519", Buffer.alloc(32))}`, make],
    ["prose", "the key will follow", make],
    ["a list item", `- ${ed25519}`, /dash or the quotes/],
    ["a list item behind blanks, in quotes", ` \t-"${ed25519}"`, /dash or the quotes/],
    ["a key in quotes", `'${ed25519}'`, /dash or the quotes/],
    ["words before a key", `example.org x ${ed25519}`, /before the key/],
    ["an option and a word before a key", `pty x ${ed25519}`, /from="ADDRESS/],
  ])("%s", (_, line, hint) => {
    const result = parsePublicKey(line);
    expect(isRefusal(result) && result.hint).toMatch(hint);
  });
});

describe("a key inside of another text is seen", () => {
  /** The base64 that all keys of a type start with. */
  const startOf = (type: string) => wire(type).replace(/...=$|..==$/, "");
  test.each([
    ["with its type", `x ${ed25519}`],
    ["behind a tab", `x\tssh-ed25519\tAAAA`],
    ["as a certificate", "x ssh-ed25519-cert-v01@openssh.com AAAA"],
    ["as an old certificate", "x ssh-rsa-cert-v00@openssh.com, AAAA"],
    ["as a DSA key", "x ssh-dss AAAA"],
    ["by its first bytes alone", `x${ed25519Blob.slice(0, 20)}`],
    ["by the first bytes of a certificate", startOf("ssh-ed25519-cert-v01@openssh.com")],
    ["by the first bytes of a FIDO key", startOf("sk-ssh-ed25519@openssh.com")],
    ["by the first bytes of a FIDO key's certificate", startOf("sk-ssh-ed25519-cert-v01@openssh.com")],
    ["by the first bytes of a DSA key", startOf("ssh-dss")],
  ])("%s", (_, text) => {
    expect(holdsKey(text)).toBe(true);
  });

  test.each([
    ["a type alone", "ssh-ed25519"],
    ["a type with a letter behind it", "ssh-ed25519xAAAA"],
    ["another type", "ssh-xmss AAAA"],
    ["a type with another character for its dot", "sk-ssh-ed25519@opensshxcom AAAA"],
    ["base64 of something else", "AAAAB3NzaA"],
    ["nothing", ""],
  ])("%s is none", (_, text) => {
    expect(holdsKey(text)).toBe(false);
  });
});

describe("sshpk reads each key a second time, and by itself", () => {
  const bytes = Buffer.from(ed25519Blob, "base64");
  const modulus = Buffer.from(`00${"ff".repeat(256)}`, "hex");
  const agrees = (type: string, blob: string) => sshpkAgrees(type, blob, fingerprintOf(blob));

  test("agrees with all that is taken", () => {
    let taken = 0;
    fc.assert(
      fc.property(plainKey, (line) => {
        const key = parsePublicKey(line);
        if (isRefusal(key)) expect(key).not.toBe(refusedBySshpk);
        else taken++;
      }),
      { numRuns: 2000 },
    );
    expect(taken).toBeGreaterThan(1000);
  });

  test.each([
    ["a trailing byte", "ssh-ed25519", Buffer.concat([bytes, Buffer.alloc(1)]).toString("base64")],
    ["a byte that is missing", "ssh-ed25519", bytes.subarray(0, -1).toString("base64")],
    ["31 bytes of key", "ssh-ed25519", wire("ssh-ed25519", bytes.subarray(-31))],
    [
      "33 bytes of key",
      "ssh-ed25519",
      wire("ssh-ed25519", Buffer.concat([bytes.subarray(-32), bytes.subarray(-1)])),
    ],
    ["another type inside", "ssh-ed25519", wire("ssh-rsa", Buffer.from([3]), modulus)],
    ["another curve inside", "ecdsa-sha2-nistp384", wire("ecdsa-sha2-nistp384", "nistp256", point)],
    ["a curve that nobody has", "ecdsa-sha2-nistp25", wire("ecdsa-sha2-nistp25", "nistp25", point)],
    ["RSA with superfluous zeros", "ssh-rsa", wire("ssh-rsa", Buffer.from([0, 3]), modulus)],
    ["RSA with a negative modulus", "ssh-rsa", wire("ssh-rsa", Buffer.from([3]), modulus.subarray(1))],
    ["RSA without a modulus", "ssh-rsa", wire("ssh-rsa", Buffer.from([3]))],
    ["a type alone", "ssh-ed25519", wire("ssh-ed25519")],
  ])("refuses %s", (_, type, blob) => {
    expect(isRefusal(parsePublicKey(`${type} ${blob}`))).toBe(true);
    expect(agrees(type, blob)).toBe(false);
    expect(agrees("ssh-ed25519", ed25519Blob)).toBe(true);
  });

  test("refuses another fingerprint", () => {
    expect(sshpkAgrees("ssh-ed25519", ed25519Blob, fingerprintOf(wire("ssh-ed25519", bytes)))).toBe(false);
  });
});

test("ssh-keygen, as the referee, refuses what no parser here notices", () => {
  const offCurve = Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 1)]);
  const lines = [
    ed25519,
    `ecdsa-sha2-nistp256 ${wire("ecdsa-sha2-nistp256", "nistp256", offCurve)}`,
    ...fido,
    `sk-ecdsa-sha2-nistp256@openssh.com ${wire("sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", offCurve, "ssh:")}`,
  ];
  const keys = lines.map((line) => parsePublicKey(line)).filter((key): key is PublicKey => !isRefusal(key));
  expect(keys).toHaveLength(5);
  expect(refusedBySshKeygen(keys)).toEqual([keys[1], keys[4]]);
  expect(refusedBySshKeygen([])).toEqual([]);
});

describe("any input", () => {
  /** Lines near a good one: parts of it, dropped, doubled, and mixed with what attackers use. */
  const spice = fc.constantFrom(
    " ",
    "\t",
    "\n",
    "\r",
    "\0",
    '"',
    "\\",
    "'",
    ",",
    "#",
    "=",
    "\ufeff",
    "\u2028",
    "\x1b[2J",
    'command="id"',
    "restrict",
    "ssh-rsa",
  );
  const part = fc.oneof(
    fc.constantFrom("ssh-ed25519", ed25519Blob, ...ed25519Blob.split("")),
    spice,
    fc.string(),
  );
  const near = fc.array(part, { maxLength: 12 }).map((parts) => parts.join(""));
  const altered = fc
    .tuple(fc.nat(ed25519.length), fc.oneof(spice, fc.string({ maxLength: 3 })))
    .map(([at, text]) => ed25519.slice(0, at) + text + ed25519.slice(at));
  const line = fc.oneof(near, altered, fc.string({ unit: "binary" }));

  test("gives keys whose fields contain only the characters of their type", () => {
    let taken = 0;
    fc.assert(
      fc.property(line, (text) => {
        const key = parsePublicKey(text);
        if (isRefusal(key)) return;
        taken++;
        expect(key.type).toMatch(/^[a-z0-9@.-]+$/);
        expect(key.blob).toMatch(/^[A-Za-z0-9+/]+={0,2}$/);
        expect(key.fingerprint).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
        expect(key.comment).not.toMatch(/[^\P{Cc}\t]/u);
      }),
      { numRuns: 5000 },
    );
    expect(taken).toBeGreaterThan(100);
  });

  test("gives only the key that is in the line", () => {
    let taken = 0;
    fc.assert(
      fc.property(altered, (text) => {
        const key = parsePublicKey(text);
        if (isRefusal(key)) return;
        taken++;
        expect(text.split(/[ \t]+/)).toContain(key.blob);
      }),
      { numRuns: 5000 },
    );
    expect(taken).toBeGreaterThan(100);
  });
});
