import fc from "fast-check";
import { expect, test } from "vitest";
import { largestFile, parseKeyFile } from "../../src/key-file.ts";

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
  expect(problems).toHaveLength(21);
  expect(problems.at(-1)).toMatchObject({ line: 21, text: expect.stringContaining("not read") });
});

test.each([
  ["an empty file", "", /no key/],
  ["comments alone", "# a\n\n", /no key/],
  ["a private key", `${key}\n-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n`, /private key/],
  ["a PuTTY key", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", /private key/],
  ["UTF-16", Buffer.from(key, "utf16le"), /UTF-16/],
  ["a byte order mark", `\ufeff${key}`, /byte order mark/],
  ["too large a file", Buffer.alloc(largestFile + 1, "#"), /larger than 1024 KiB/],
])("%s is one problem of the whole file", (_, content, reason) => {
  const { keys, problems } = parse(content);
  expect(keys).toEqual([]);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatchObject({ where: "f", text: expect.stringMatching(reason) });
  expect(problems[0]).not.toHaveProperty("line");
});

test("never repeats what stands in the file", () => {
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
