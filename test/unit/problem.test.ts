import { expect, test } from "vitest";
import {
  exitCode,
  formatMessage,
  formatProblem,
  isRefusal,
  OperatorError,
  ProblemsFound,
} from "../../src/problem.ts";
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

test("a refusal is known by what to do, and nothing else is one", () => {
  expect(isRefusal({ text: "the key is bad", hint: "" })).toBe(true);
  for (const value of [null, undefined, "hint", 5, {}, [], { text: "the key is bad" }])
    expect(isRefusal(value)).toBe(false);
});

test("an error of an operator's command carries its exit code, and is a failure where none is given", () => {
  expect(new OperatorError("it is late")).toMatchObject({ message: "it is late", hint: "", code: 1 });
  expect(new OperatorError("it is late", "Hurry.", exitCode.usage)).toMatchObject({
    hint: "Hurry.",
    code: 2,
  });
  const problems = [{ where: "f", text: "the key is bad", hint: "Replace it." }];
  expect(new ProblemsFound(problems, exitCode.keyProblems)).toMatchObject({
    message: "problems found",
    problems,
    code: 3,
  });
  expect(exitCode).toEqual({
    done: 0,
    failed: 1,
    usage: 2,
    keyProblems: 3,
    settingProblems: 4,
    attention: 5,
  });
});
