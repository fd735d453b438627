import fc from "fast-check";
import { expect, test } from "vitest";
import { formatProblem, printable } from "../../src/problem.ts";

test("a problem is printed as file, line, what, and what to do", () => {
  const problem = { where: "/sshkeys/repos/a", text: "It is bad.", hint: "Mend it." };
  expect(formatProblem({ ...problem, line: 3 })).toBe("/sshkeys/repos/a:3: It is bad. Mend it.");
  expect(formatProblem(problem)).toBe("/sshkeys/repos/a: It is bad. Mend it.");
});

test("nothing that is printed can move a cursor, turn text round or start a new line", () => {
  expect(printable("a\x1b[2J\n\u202e\u2028é日")).toBe("a\\x1b[2J\\x0a\\u{202e}\\u{2028}é日");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(printable(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    }),
  );
});
