/**
 * What scripts/grow-corpus runs: keeps each generated file that comes to something that no case comes to yet, and
 * writes down the outcome of cases and recipes that lack an expectation.
 * Whether the outcome is the right one is for whoever commits it to judge.
 */
import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import * as corpus from "./corpus.ts";
import { promisesOfAnswers, promisesOfFile } from "./promises.ts";

const runs = Number(process.argv[2] ?? 10_000);

/** What makes a line of an outcome another one: its words, and which of the first lines, whichever key it speaks of. */
const kinds = (outcome: string[]) =>
  outcome.map((line) =>
    line
      .replace(/SHA256:\S+( from)?\S*( until)?.*/, "$1$2")
      .replace(/(?<!^\w+ )\d+/g, "0")
      .replace(/^(\w+) \d{2,}/, "$1 10"),
  );

function record(file: string, outcome: string[]) {
  writeFileSync(`${file}.expected`, `${outcome.join("\n")}\n`);
  console.log(`${file}:\n  ${outcome.slice(0, 5).join("\n  ")}`);
}

for (const name of corpus.caseNames) {
  const file = `${corpus.casesFolder}/${name}`;
  if (!existsSync(`${file}.expected`)) record(file, corpus.outcome(corpus.readCase(name)));
}
for (const name of corpus.recipeNames) {
  const file = `${corpus.recipesFolder}/${name}`;
  if (!existsSync(`${file}.expected`)) record(file, corpus.recipeOutcome(name));
}

// It tells good cases from others by their expectations, which stand there by now.
const { hostileFile } = await import("./hostile.ts");
const known = new Set(corpus.caseNames.flatMap((name) => kinds(corpus.expectation(name))));
for (const content of fc.sample(hostileFile, runs)) {
  promisesOfFile(content);
  promisesOfAnswers([content]);
  const outcome = corpus.outcome(content);
  const found = kinds(outcome);
  if (found.every((kind) => known.has(kind))) continue;
  for (const kind of found) known.add(kind);
  const file = `${corpus.casesFolder}/grown-${createHash("sha256").update(content).digest("hex").slice(0, 12)}`;
  writeFileSync(file, content);
  record(file, outcome);
}
