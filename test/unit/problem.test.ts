import { expect, test } from "vitest";
import { formatProblem } from "../../src/problem.ts";

test("a problem is printed as file, line, what, and what to do", () => {
  const problem = { where: "/sshkeys/repos/a", text: "It is bad.", hint: "Mend it." };
  expect(formatProblem({ ...problem, line: 3 })).toBe("/sshkeys/repos/a:3: It is bad. Mend it.");
  expect(formatProblem(problem)).toBe("/sshkeys/repos/a: It is bad. Mend it.");
});
