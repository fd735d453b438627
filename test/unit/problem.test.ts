import { expect, test } from "vitest";
import { formatMessage, formatProblem } from "../../src/problem.ts";
import { caseNames, expectation, recipeNames } from "../corpus/corpus.ts";

test("a problem is printed as file, line, what, and what to do", () => {
  const problem = { where: "/sshkeys/repos/a", text: "the key is bad", hint: "Replace it." };
  expect(formatProblem({ ...problem, line: 3 })).toBe("/sshkeys/repos/a:3: the key is bad. Replace it.");
  expect(formatProblem(problem)).toBe("/sshkeys/repos/a: the key is bad. Replace it.");
});

test("what to do has an indented line of its own where both are longer than 100 characters", () => {
  const hint = "Replace it.";
  const what = "x".repeat(100 - ". ".length - hint.length);
  expect(formatMessage(what, hint)).toBe(`${what}. ${hint}`);
  expect(formatMessage(`${what}x`, hint)).toBe(`${what}x\n  ${hint}`);
  expect(formatMessage("x".repeat(200))).toBe("x".repeat(200));
});

test("no text breaks that form: control characters are shown as escapes", () => {
  expect(formatMessage("a\nb", "c\n  d")).toBe("a\\x0ab. c\\x0a  d");
});

test("what is wrong starts with a small letter or a name, and has no full stop", () => {
  const texts = new Set(
    [...caseNames, ...recipeNames]
      .flatMap(expectation)
      .flatMap((line) => /^problem[ 0-9]*: (.*)$/.exec(line)?.[1] ?? []),
  );
  expect(texts.size).toBeGreaterThan(30);
  for (const text of texts) expect(text).toMatch(/^(["a-z]|RSA |DSA |OpenSSH ).*[^.]$/);
});
