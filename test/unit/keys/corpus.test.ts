import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { parseKeyFile } from "../../../src/keys/key-file.ts";
import { readKeyFolder } from "../../../src/keys/key-folder.ts";
import { formatProblem } from "../../../src/problem.ts";
import { clientKey } from "../../corpus/clients.ts";
import {
  caseNames,
  expectation,
  outcome,
  readCase,
  recipeNames,
  recipeOutcome,
} from "../../corpus/corpus.ts";
import { hostileFile } from "../../corpus/hostile.ts";
import { promisesOfAnswers, promisesOfFile } from "../../corpus/promises.ts";

const folder = mkdtempSync("/tmp/corpus-");
afterAll(() => rmSync(folder, { recursive: true }));

describe("comes to what its .expected says", () => {
  test.each(caseNames)("%s", (name) => {
    expect(outcome(readCase(name))).toEqual(expectation(name));
  });
  test.each(recipeNames)("%s", (name) => {
    expect(recipeOutcome(name)).toEqual(expectation(name));
  });
});

test("a name may have letters, digits, dot, dash and underscore, and no other byte, in any place", () => {
  mkdirSync(`${folder}/repos`);
  const allowed: string[] = [];
  for (let byte = 1; byte <= 0xff; byte++) {
    const one = Buffer.from([byte]);
    if (one.toString("latin1") === "/") continue;
    for (const [before, behind] of [
      ["", "x"],
      ["x", "x"],
      ["x", ""],
    ] as const) {
      const name = Buffer.concat([Buffer.from(before), one, Buffer.from(behind)]);
      writeFileSync(Buffer.concat([Buffer.from(`${folder}/repos/`), name]), clientKey("client").line);
      const text = name.toString("latin1");
      if (/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(text)) allowed.push(text);
    }
  }
  const { accounts, problems } = readKeyFolder(folder);
  const wrong = new Set(problems.map(({ where }) => where));
  const good = accounts.filter(({ source }) => !wrong.has(source)).map(({ name }) => name);
  expect(good.sort()).toEqual([...new Set(allowed)].sort());
  for (const problem of problems)
    expect(formatProblem(problem)).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}]|[^\P{Cc}\n]|\n(?! {2}\S)/u);
});

describe("of files near those of the corpus", () => {
  test("every one is read, says what is wrong in plain characters, and gives no line but its own keys'", () => {
    fc.assert(fc.property(hostileFile, promisesOfFile), { numRuns: 3000 });
  });

  test("OpenSSH reads every answer that they lead to, with the same fingerprint", () => {
    fc.assert(fc.property(fc.array(hostileFile, { minLength: 300, maxLength: 300 }), promisesOfAnswers), {
      numRuns: 10,
    });
  });
});

test("no problem repeats a part of a private key, whole or damaged", () => {
  const secrets = [
    ["-t", "ed25519"],
    ["-t", "ecdsa", "-m", "PEM"],
    ["-t", "ed25519", "-Z", "aes256-ctr", "-N", "secret"],
  ].map((options, index) => {
    execFileSync("ssh-keygen", ["-q", "-N", "", "-C", "", "-f", `${folder}/key${index}`, ...options]);
    return readFileSync(`${folder}/key${index}`, "latin1");
  });
  const damaged = fc.tuple(
    fc.constantFrom(...secrets),
    fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom("", "\n", " ", '"', "\r"))),
    fc.constantFrom("", "ssh-ed25519 ", `${clientKey("client").line} `, 'from="'),
    fc.boolean(),
  );
  fc.assert(
    fc.property(damaged, ([secret, cuts, before, framed]) => {
      let text = framed ? secret : secret.replaceAll(/-----.*-----/g, "");
      for (const [place, by] of cuts) {
        const at = Math.floor(place * text.length);
        text = text.slice(0, at) + by + text.slice(at + 1);
      }
      const { problems } = parseKeyFile("web", Buffer.from(before + text));
      const printed = problems.map(formatProblem).join("\n");
      for (const line of secret.split("\n").filter((line) => !line.startsWith("-----")))
        for (let at = 0; at + 12 <= line.length; at += 4)
          expect(printed).not.toContain(line.slice(at, at + 12));
    }),
    { numRuns: 300 },
  );
});
