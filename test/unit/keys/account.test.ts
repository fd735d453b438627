import fc from "fast-check";
import { expect, test } from "vitest";
import { isLeftover, nameProblem } from "../../../src/keys/account.ts";

test.each([
  "web01",
  "a",
  "_x",
  "0a",
  "host.example.org",
  "project-db-1",
  "A_B",
  "a".repeat(255),
  "x-",
  "1.2",
  "known_hosts-web",
  "my-id_rsa",
])("%s can be a name", (name) => {
  expect(nameProblem(name)).toBeNull();
});

const anotherStart = /start/i;
const anotherCharacter = /^(?!.*start).*character/i;

test.each([
  ["all", /every repository/],
  ["123", /numeric id/],
  ["12345678901", /numeric id/],
  [".hidden", anotherStart],
  ["..", anotherStart],
  ["-rf", anotherStart],
  ["-1", anotherStart],
  ["", anotherCharacter],
  ["a b", anotherCharacter],
  ["a/b", anotherCharacter],
  ["a:b", anotherCharacter],
  ["a\n", anotherCharacter],
  ["é", anotherCharacter],
  ["\ufffd", anotherCharacter],
  ["$x", anotherCharacter],
  ["a*", anotherCharacter],
  [`${"a".repeat(255)}é`, anotherCharacter],
  ["a".repeat(256), /longer than 255 bytes/],
  [`${"a".repeat(252)}.pub`, /longer than 255 bytes/],
])("%j cannot, for a reason of its own", (name, reason) => {
  expect(nameProblem(name)).toEqual({
    text: expect.stringMatching(reason),
    hint: expect.stringContaining("Rename the file"),
  });
});

test.each([
  ["web.pub", /e\.g\. web\.$/],
  ["web.pub.PUB", /e\.g\. web\.$/],
  ["web.pub.example.pub", /e\.g\. web\.pub\.example\.$/],
  ["id_rsa", /Rename the file to the name of its account/],
  ["web.old", /without the ending/],
])("what to do about %s is said", (name, hint) => {
  expect(nameProblem(name)?.hint).toMatch(hint);
});

test("only the first or last character of a name, or a whole name, shows that a tool left it", () => {
  for (const name of [".git", "#web#", "@eaDir", "web~", "LOST+FOUND", "Thumbs.db"])
    expect(isLeftover(name)).toBe(true);
  for (const name of ["web", "a.b", "a#b", "a@b", "a~b", "thumbs.db.old", "my-desktop.ini"])
    expect(isLeftover(name)).toBe(false);
});

test("an accepted name is a plain word in passwd(5), in a shell and in a path", () => {
  let passed = 0;
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[A-Za-z0-9._:/ -]{1,9}$/)),
      (name) => {
        if (nameProblem(name) !== null) return;
        passed++;
        expect(name).toMatch(/^(?![0-9]+$)[A-Za-z0-9_][A-Za-z0-9._-]*$/);
      },
    ),
    { numRuns: 5000 },
  );
  expect(passed).toBeGreaterThan(100);
});
