import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noLimits } from "../../../src/keys/key-options.ts";
import { forcedCommand, type Serving } from "../../../src/login/forced-command.ts";
import { keyLine } from "../../../src/login/key-line.ts";
import { type Role, roleNames } from "../../../src/role.ts";

const serving = (
  role: Role,
  extraArguments: readonly string[] = [],
  settings: Partial<Serving> = {},
): Serving => ({
  ...{ role, extraArguments, repository: null, quota: null, archived: null, ...settings },
});

test.each<[Role, string]>([
  ["repo", "borg serve --restrict-to-repository /repos/web01"],
  ["appendonly", "borg serve --restrict-to-repository /repos/web01 --append-only"],
  ["restore", "borg serve --restrict-to-repository /repos/web01 --append-only"],
  ["admin", "borg serve --restrict-to-path /repos"],
])("the role %s forces its command", (role, command) => {
  expect(keyLine(forcedCommand("web01", serving(role)), noLimits, "ssh-ed25519", "AAAA")).toBe(
    `restrict,command="${command}" ssh-ed25519 AAAA`,
  );
  expect(
    keyLine(
      forcedCommand("web01", serving(role, ["--storage-quota", "20G"])),
      noLimits,
      "ssh-ed25519",
      "AAAA",
    ),
  ).toBe(`restrict,command="${command} --storage-quota 20G" ssh-ed25519 AAAA`);
});

test.each<[Role, Partial<Serving>, string]>([
  ["repo", { repository: "shared" }, "borg serve --restrict-to-repository /repos/shared"],
  ["repo", { quota: 5e11 }, "borg serve --restrict-to-repository /repos/web01 --storage-quota 500000000000"],
  ["repo", { archived: 1 }, "borg serve --restrict-to-repository /repos/web01 --append-only"],
  ["repo", { archived: 0 }, "borg serve --restrict-to-repository /repos/web01"],
  ["admin", { archived: 1 }, "borg serve --restrict-to-path /repos"],
])("the role %s with %j forces its command", (role, settings, command) => {
  expect(forcedCommand("web01", serving(role, [], settings)).join(" ")).toBe(command);
});

test("an account's quota stands behind the role's, because borg takes the last", () => {
  const words = forcedCommand("web01", serving("repo", ["--storage-quota", "20G"], { quota: 5e11 }));
  expect(words.slice(-4)).toEqual(["--storage-quota", "20G", "--storage-quota", "500000000000"]);
});

describe("whatever the fields are,", () => {
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[A-Za-z0-9+/."\\\n ,=@-]+$/));
  const word = fc.stringMatching(/^[A-Za-z0-9@%+=:,./_-]+$/);

  test("the line is one line, of one form, or there is none", () => {
    let composed = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...roleNames),
        fc.oneof(word, text),
        fc.oneof(fc.array(word), fc.array(text)),
        fc.oneof(fc.constant("ssh-ed25519"), text),
        fc.oneof(fc.constant("AAAA"), text),
        fc.oneof(fc.constantFrom("", "192.0.2.0/24,!192.0.2.9,2001:db8::*"), text),
        fc.oneof(fc.constantFrom("", "20301231000000Z"), text),
        (role, account, extra, type, blob, from, expires) => {
          let line: string;
          try {
            line = keyLine(
              forcedCommand(account, serving(role, extra)),
              { addresses: from, expires },
              type,
              blob,
            );
          } catch {
            return;
          }
          composed++;
          // One line, one pair of quotes, no escapes: nothing can leave the command or add an option.
          expect(line).toMatch(
            /^restrict,command="[A-Za-z0-9@%+=:,./_ -]+"(,from="[0-9a-fA-F.:*?!,/]+")?(,expiry-time="[0-9]{14}Z")? [a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}$/,
          );
        },
      ),
      { numRuns: 5000 },
    );
    expect(composed).toBeGreaterThan(50);
  });

  test("good fields give a good line", () => {
    fc.assert(
      fc.property(fc.constantFrom(...roleNames), word, fc.array(word), (role, account, extra) => {
        const command = forcedCommand(account, serving(role, extra));
        const line = keyLine(command, noLimits, "ssh-rsa", "AAAA");
        expect(/^restrict,command="([^"]*)" ssh-rsa AAAA$/.exec(line)?.[1]?.split(" ")).toEqual(command);
      }),
    );
  });
});

describe("a field that holds anything else makes no line:", () => {
  const good = { command: ["a"], addresses: "", expires: "", type: "ssh-rsa", blob: "AAAA" };
  const compose = (fields: Partial<typeof good>) => {
    const { command, addresses, expires, type, blob } = { ...good, ...fields };
    return keyLine(command, { addresses, expires }, type, blob);
  };

  test.each<[string, Partial<typeof good>]>([
    ["a quote in a word", { command: ["a", 'b"'] }],
    ["a space in a word", { command: ["a b"] }],
    ["a line break behind a word", { command: ["a\n"] }],
    ["a shell's variable", { command: ["$HOME"] }],
    ["an empty word", { command: ["a", ""] }],
    ["no command", { command: [] }],
    ["an option in the addresses", { addresses: 'x",command="id' }],
    ["a space before the addresses", { addresses: " 192.0.2.1" }],
    ["a line break behind the addresses", { addresses: "192.0.2.1\n" }],
    ["an end that is no time", { expires: "tomorrow" }],
    ["an end without Z", { expires: "20301231000000" }],
    ["text before the end", { expires: "x20301231000000Z" }],
    ["text behind the end", { expires: "20301231000000Zx" }],
    ["no type", { type: "" }],
    ["an option before the type", { type: "pty ssh-rsa" }],
    ["a word behind the type", { type: "ssh-rsa x" }],
    ["a type in capitals", { type: "SSH-RSA" }],
    ["no key", { blob: "" }],
    ["a word before the key", { blob: "x AAAA" }],
    ["a line break behind the key", { blob: "AAAA\n" }],
    ["text behind the padding", { blob: "AAAA==A" }],
    ["a padding of three", { blob: "AAAA===" }],
  ])("%s", (_, fields) => {
    expect(compose({})).toBe('restrict,command="a" ssh-rsa AAAA');
    expect(() => compose(fields)).toThrow("a field of the key line");
  });
});

test("limits come after the command", () => {
  const limits = { addresses: "192.0.2.0/24,!192.0.2.9", expires: "20301231000000Z" };
  expect(keyLine(["a"], limits, "ssh-rsa", "AAAA")).toBe(
    'restrict,command="a",from="192.0.2.0/24,!192.0.2.9",expiry-time="20301231000000Z" ssh-rsa AAAA',
  );
});
