import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noLimits } from "../../../src/keys/key-options.ts";
import { forcedCommand } from "../../../src/login/forced-command.ts";
import { keyLine } from "../../../src/login/key-line.ts";
import { type Role, roleNames } from "../../../src/role.ts";

const session = "/usr/local/lib/borgserver/session";

test.each<[Role, string]>([
  ["repo", `exec ${session} /repos/web01 borg serve --restrict-to-repository /repos/web01`],
  [
    "appendonly",
    `exec ${session} /repos/web01 borg serve --restrict-to-repository /repos/web01 --append-only`,
  ],
  ["admin", `exec ${session} /repos borg serve --restrict-to-path /repos`],
])("the role %s forces its command", (role, command) => {
  expect(keyLine(forcedCommand(role, "web01", [], 3), noLimits, "ssh-ed25519", "AAAA")).toBe(
    `restrict,command="${command}" ssh-ed25519 AAAA`,
  );
  expect(
    keyLine(forcedCommand(role, "web01", ["--storage-quota", "20G"], 3), noLimits, "ssh-ed25519", "AAAA"),
  ).toBe(`restrict,command="${command} --storage-quota 20G" ssh-ed25519 AAAA`);
});

test("a session is told what the kernel can do, if that is less", () => {
  expect(forcedCommand("repo", "web01", [], 2).slice(0, 4)).toEqual([
    "exec",
    session,
    "--landlock=2",
    "/repos/web01",
  ]);
  expect(forcedCommand("admin", "boss", [], 0).slice(0, 4)).toEqual([
    "exec",
    session,
    "--landlock=0",
    "/repos",
  ]);
});

describe("whatever the fields are,", () => {
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[A-Za-z0-9+/."\\\n ,=@-]+$/));

  test("the line is one line, of one form, or there is none", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...roleNames),
        text,
        fc.array(text),
        text,
        text,
        fc.oneof(fc.constant(""), text),
        fc.oneof(fc.constant(""), text),
        (role, account, extra, type, blob, from, expires) => {
          let line: string;
          try {
            line = keyLine(forcedCommand(role, account, extra, 3), { addresses: from, expires }, type, blob);
          } catch {
            return;
          }
          // One line, one pair of quotes, no escapes: nothing can leave the command or add an option.
          expect(line).toMatch(
            /^restrict,command="[A-Za-z0-9@%+=:,./_ -]+"(,from="[0-9a-fA-F.:*?!,/]+")?(,expiry-time="[0-9]{14}Z")? [a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}$/,
          );
        },
      ),
      { numRuns: 5000 },
    );
  });

  test("a good line comes out of good fields", () => {
    const word = fc.stringMatching(/^[A-Za-z0-9@%+=:,./_-]+$/);
    fc.assert(
      fc.property(fc.constantFrom(...roleNames), word, fc.array(word), (role, account, extra) => {
        const command = forcedCommand(role, account, extra, 3);
        const line = keyLine(command, noLimits, "ssh-rsa", "AAAA");
        expect(/^restrict,command="([^"]*)" ssh-rsa AAAA$/.exec(line)?.[1]?.split(" ")).toEqual(command);
      }),
    );
  });
});

test.each([
  ["a quote", ["a", 'b"'], "ssh-rsa", "AAAA"],
  ["a space", ["a b"], "ssh-rsa", "AAAA"],
  ["a line break", ["a\n"], "ssh-rsa", "AAAA"],
  ["a shell's variable", ["$HOME"], "ssh-rsa", "AAAA"],
  ["an empty word", [""], "ssh-rsa", "AAAA"],
  ["no command", [], "ssh-rsa", "AAAA"],
  ["a type with a space", ["a"], "ssh-rsa x", "AAAA"],
  ["a blob with a line break", ["a"], "ssh-rsa", "AAAA\n"],
])("%s throws", (_, command, type, blob) => {
  expect(() => keyLine(command, noLimits, type, blob)).toThrow();
});

test("limits come after the command", () => {
  const limits = { addresses: "192.0.2.0/24,!192.0.2.9", expires: "20301231000000Z" };
  expect(keyLine(["a"], limits, "ssh-rsa", "AAAA")).toBe(
    'restrict,command="a",from="192.0.2.0/24,!192.0.2.9",expiry-time="20301231000000Z" ssh-rsa AAAA',
  );
  expect(() => keyLine(["a"], { addresses: 'x",command="id', expires: "" }, "ssh-rsa", "AAAA")).toThrow();
  expect(() => keyLine(["a"], { addresses: "", expires: "tomorrow" }, "ssh-rsa", "AAAA")).toThrow();
});
