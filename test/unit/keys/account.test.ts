import fc from "fast-check";
import { expect, test } from "vitest";
import { nameProblem } from "../../../src/keys/account.ts";

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
])("%s can be a name", (name) => {
  expect(nameProblem(name)).toBeNull();
});

test.each([
  "",
  ".hidden",
  "..",
  "-rf",
  "all",
  "123",
  "12345678901",
  "a b",
  "a/b",
  "a:b",
  "a\n",
  "é",
  "\ufffd",
  "a".repeat(256),
  "$x",
  "a*",
])("%j cannot", (name) => {
  expect(nameProblem(name)).toMatchObject({
    text: expect.stringMatching(/./),
    hint: expect.stringMatching(/./),
  });
});

test("a name that passes is a word of passwd(5), of a shell and of a path", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[A-Za-z0-9._:/ -]{1,9}$/)),
      (name) => {
        if (nameProblem(name) === null) expect(name).toMatch(/^(?![0-9]+$)[A-Za-z0-9_][A-Za-z0-9._-]*$/);
      },
    ),
    { numRuns: 5000 },
  );
});
