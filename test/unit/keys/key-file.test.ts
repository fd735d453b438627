import fc from "fast-check";
import { expect, test } from "vitest";
import { largestFile, parseKeyFile } from "../../../src/keys/key-file.ts";

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFLrGwIdOiVVIOCVNQhQXHUtODBVFpCgYS0LqGBXbXI6";
const parse = (content: string | Buffer) => parseKeyFile("f", Buffer.from(content));

test("reads a key a line, and skips blank lines and comments", () => {
  const { keys, problems } = parse(`# who\n\n${key} a\n \t\n  # more\r\n${key} a again\n`);
  expect(problems).toEqual([]);
  expect(keys).toMatchObject([{ line: 3, comment: "a" }]);
});

test("names the line of each problem, and goes on after it", () => {
  const { keys, problems } = parse(`x\n${key}\n\n${"A".repeat(9000)}\r\ny z`);
  expect(keys).toHaveLength(1);
  expect(problems.map(({ where, line }) => `${where}:${line}`)).toEqual(["f:1", "f:4", "f:5"]);
});

test("twenty problems of one file are enough: a log that was dropped there would fill another", () => {
  const { keys, problems } = parse(`${"x\n".repeat(100_000)}${key}`);
  expect(keys).toEqual([]);
  expect(problems.length).toBe(21); // if it is not, not a hundred thousand are to be printed
  expect(problems.at(-1)).toMatchObject({ line: 21, text: expect.stringContaining("not read") });
});

test.each([
  ["an empty file", "", /no key/],
  ["comments alone", "# a\n\n", /no key/],
  ["a private key", `${key}\n-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n`, /private key/],
  ["a PuTTY key", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", /private key/],
  ["UTF-16", Buffer.from(key, "utf16le"), /UTF-16/],
  [
    "RFC 4716",
    "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n",
    /not in OpenSSH's form/,
  ],
  ["PKCS #8", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", /not in OpenSSH's form/],
  ["PEM", `${key}\r\n-----BEGIN RSA PUBLIC KEY-----\r\nAAAA\r\n`, /not in OpenSSH's form/],
  ["a byte order mark", `\ufeff${key}`, /byte order mark/],
  ["too large a file", Buffer.alloc(largestFile + 1, "#"), /larger than 1024 KiB/],
])("%s is one problem of the whole file", (_, content, reason) => {
  const { keys, problems } = parse(content);
  expect(keys).toEqual([]);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatchObject({ where: "f", text: expect.stringMatching(reason) });
  expect(problems[0]).not.toHaveProperty("line");
});

test.each([
  "me\\nKEY you",
  "me;KEY",
  "KEY",
  "me KEY",
  "me\tKEY",
  'me from="192.0.2.1",command="id" KEY',
  "me, 'KEY'",
  "me AAAAC3NzaC1lZDI1NTE5AAAAI",
  "me ssh-rsa AAAAB3N",
])("a second key in a comment is a problem: %j", (comment) => {
  const { keys, problems } = parse(`${key} ${comment.replace("KEY", key)}`);
  expect(keys).toEqual([]);
  expect(problems).toMatchObject([{ line: 1, text: expect.stringContaining("a second key") }]);
});

test.each([
  "my ssh-ed25519 key",
  "ssh-rsa",
  "AAAA",
  "battery AAAA, not ssh-rsa",
  "#1",
  "a\\nb",
  "x;y",
  "a,b",
])("a comment without a key is none: %j", (comment) => {
  expect(parse(`${key} ${comment}`)).toMatchObject({ keys: [{ comment }], problems: [] });
});

test("a key that is switched off is a comment; one behind what was meant as a line break is a problem", () => {
  expect(parse(`# ${key}\n#${key} a\n${key}`)).toMatchObject({ keys: [{ line: 3 }], problems: [] });
  expect(parse(`# mine\\n${key}\n${key}`).problems).toMatchObject([{ line: 1 }]);
});

test.each([`- ${key} a`, `  - "${key} a"`, `'${key}'`, `"${key}",`])(
  "says what to take away from %s",
  (line) => {
    expect(parse(line).problems).toMatchObject([{ hint: expect.stringMatching(/dash or the quotes/) }]);
  },
);

test.each([`${key}\\n${key}`, `${key};${key}`, `${key},${key}`])(
  "says that two keys need two lines: %s",
  (line) => {
    expect(parse(line).problems).toMatchObject([{ hint: expect.stringMatching(/line of its own/) }]);
  },
);

test("never repeats text of the file", () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z]{12,20}$/),
      fc.constantFrom("", "ssh-ed25519 ", `${key} `, "-----BEGIN "),
      (secret, before) => {
        expect(JSON.stringify(parse(`${before}\x01${secret}`).problems)).not.toContain(secret);
        expect(JSON.stringify(parse(`${secret} ${key}`).problems)).not.toContain(secret);
      },
    ),
  );
});

test("any bytes give keys or problems, and never neither", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const { keys, problems } = parse(Buffer.from(bytes));
      expect(keys.length + problems.length).toBeGreaterThan(0);
    }),
  );
});

test.each([
  ["", "Put a public key into it, or remove the file."],
  [
    `-----BEGIN OPENSSH PRIVATE KEY-----\n`,
    "Remove it, make a new key pair on the client, and put the .pub file here.",
  ],
  ["\0", "Save it as UTF-8."],
  [`\ufeff${key}`, "Save it as UTF-8 without a byte order mark."],
  [
    " ---- BEGIN SSH2 PUBLIC KEY ----\n",
    "Convert it with: ssh-keygen -i -f FILE. Where that fails, take the client's .pub file.",
  ],
  [
    "\t-----BEGIN PUBLIC KEY-----\n",
    "Convert it with: ssh-keygen -i -m PKCS8 -f FILE. Where that fails, take the client's .pub file.",
  ],
  [
    "-----BEGIN RSA PUBLIC KEY-----\n",
    "Convert it with: ssh-keygen -i -m PEM -f FILE. Where that fails, take the client's .pub file.",
  ],
  [`${key}\n  -----BEGIN CERTIFICATE-----\nAAAA\n`, "Put the client's .pub file here."],
  [`# mine\\n${key}`, "Put a real line break there, or remove the key."],
  [`${key} ${"a".repeat(8193)}`, "Put one public key on it."],
])("says what to do about %j", (content, hint) => {
  expect(parse(content)).toEqual({
    keys: [],
    problems: [expect.objectContaining({ text: expect.stringMatching(/./), hint })],
  });
});

test("what begins a key of another form counts at the beginning of a line alone", () => {
  for (const start of ["---- BEGIN SSH2 PUBLIC KEY ----", "-----BEGIN PUBLIC KEY-----", "-----BEGIN X-----"])
    expect(parse(`${key} a ${start}`)).toMatchObject({ keys: [{ line: 1 }], problems: [] });
  expect(parse("-----BEGIN RSA PUBLIC KEY----- a").problems).toMatchObject([
    { text: expect.stringContaining("not in OpenSSH's form") },
  ]);
  expect(parse(`${key} -----BEGIN RSA PUBLIC KEY-----`).problems).toEqual([]);
});

test("a line may have 8192 characters, and not one more", () => {
  const line = (length: number) => `${key} ${"a".repeat(length - key.length - 1)}`;
  expect(parse(line(8192)).problems).toEqual([]);
  expect(parse(line(8193)).problems).toMatchObject([{ line: 1, text: "the line is too long for a key" }]);
});

test("a key may be there twice, but not with other options", () => {
  const [from, until] = ['from="192.0.2.1" ', 'expiry-time="20301231Z" '];
  expect(parse(`${from}${key}\n${from}${key} again`).problems).toEqual([]);
  for (const [one, other] of [
    [from, ""],
    ["", until],
  ])
    expect(parse(`${one}${key}\n${other}${key}`)).toMatchObject({
      keys: [{ line: 1 }],
      problems: [
        {
          line: 2,
          text: "the key is in line 1 too, with other options",
          hint: "Keep one of the two lines.",
        },
      ],
    });
});

test("only a comment hides a key behind a written line break", () => {
  expect(parse(`${key} # a\\n${key}`).problems).toMatchObject([
    { text: expect.stringContaining("a second key") },
  ]);
});
