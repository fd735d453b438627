/**
 * Runs in a throwaway machine: `fuzz.ts SECONDS`. Half of the time the promises of test/corpus/promises.ts on
 * generated files, half of it random key folders through the program. Prints rows of the table as JSON; ends with
 * an exception, and the seed, at the first broken promise.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { outcome } from "../../test/corpus/corpus.ts";
import { hostileFile } from "../../test/corpus/hostile.ts";
import { promisesOfAnswers, promisesOfFile } from "../../test/corpus/promises.ts";
import { type Row, row } from "./row.ts";

const folder = "/sshkeys/repos";
const seconds = Number(process.argv[2]);

/** Repeats with new seeds until the time is over. */
function untilOver(seconds: number, round: (seed: number) => void): void {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    const seed = Math.floor(Math.random() * 2 ** 31);
    try {
      round(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
}

function run(program: string, words: string[], input = "") {
  const { status, stdout, stderr } = spawnSync(program, words, {
    input,
    encoding: "utf8",
    maxBuffer: 1024 ** 3,
  });
  return { status, stdout, stderr };
}

function fail(message: string, detail: unknown): never {
  throw new Error(`${message}: ${JSON.stringify(detail)}`);
}

function files(): Row {
  const counts = row("generated key files, parsed", {});
  untilOver(seconds / 2, (seed) => {
    const contents = fc.sample(hostileFile, { numRuns: 500, seed });
    for (const content of contents) promisesOfFile(content);
    promisesOfAnswers(contents);
    counts.tried += contents.length;
    counts.refused += contents.filter((content) =>
      outcome(content).some((line) => line.startsWith("p")),
    ).length;
  });
  return counts;
}

/** A folder of generated files: what `index check` does not name is published, and answers with keys that OpenSSH reads. */
function folders(): Row {
  const counts = row("generated key folders, published", {});
  untilOver(seconds / 2, (seed) => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const contents = new Map(
      fc.sample(hostileFile, { numRuns: 40, seed }).map((content, index) => [`web${index}`, content]),
    );
    for (const [name, content] of contents) writeFileSync(`${folder}/${name}`, content);
    counts.tried += contents.size;

    const check = run("index", ["check"]);
    const named = new Set(check.stderr.match(/(?<=^\/sshkeys\/repos\/)web\d+/gm));
    const expected = [...contents].filter(([, content]) =>
      outcome(content).some((line) => line.startsWith("p")),
    );
    if (check.status !== (named.size > 0 ? 3 : 0)) fail("exit code", check);
    if (
      [...named].sort().join() !==
      expected
        .map(([name]) => name)
        .sort()
        .join()
    )
      fail("problems", check);
    for (const name of named) {
      rmSync(`${folder}/${name}`);
      contents.delete(name);
    }
    counts.refused += named.size;

    const rebuild = run("index", ["rebuild"]);
    if (rebuild.status !== 0) fail("rebuild", rebuild);
    for (const [name, content] of contents) {
      const keys = outcome(content).map((line) => line.split(" ")[2]!);
      for (const fingerprint of keys) {
        const answer = run("borgserver", ["authorized-keys", name, fingerprint]);
        const read = run("ssh-keygen", ["-l", "-E", "sha256", "-f", "-"], answer.stdout);
        const isOneLine = /^restrict,command="[^"\n]+"[^\n]*\n$/.test(answer.stdout);
        if (!isOneLine || read.stdout.split(" ")[1] !== fingerprint || read.stdout.split("\n").length !== 2)
          fail("answer", { name, fingerprint, answer, read });
      }
    }
  });
  return counts;
}

console.log(JSON.stringify([files(), folders()]));
