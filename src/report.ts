import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { codeOf, reasonOf } from "./failure.ts";
import { pause } from "./pause.ts";
import { PrintableOutput, printable, printableText } from "./printable.ts";
import {
  exitCode,
  formatMessage,
  formatProblem,
  OperatorError,
  type Problem,
  ProblemsFound,
} from "./problem.ts";
import type { Progress } from "./progress.ts";

// Messages have one form (formatMessage): "what is wrong, and where. What to do." What is wrong starts with a small
// letter and has no full stop of its own; what to do is whole sentences, on an indented line where it gets long. A
// problem starts with its file and line or its setting, everything else with "borgserver: ".

/** Prints a line for the operator. */
export function say(line: string): void {
  write(1, `${printable(line)}\n`);
}

/** Prints a value as JSON. */
export function sayJson(value: unknown): void {
  for (const line of jsonLines(value)) write(1, `${line}\n`);
}

/** A value as JSON. Characters that could move a cursor are shown as JSON's own escapes. */
export function jsonLines(value: unknown): string[] {
  const jsonEscape = (character: string) =>
    Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
      .map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`)
      .join("");
  return JSON.stringify(value, null, 2)
    .split("\n")
    .map((line) => line.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffd]/gu, jsonEscape));
}

/** Prints what does not belong to the result: a warning, a step of the start. @param hint what to do */
export function note(what: string, hint = ""): void {
  write(2, `${formatMessage(`borgserver: ${what}`, hint)}\n`);
}

/** Prints what is wrong with something and does not stop a command. @param label comes before it, e.g. "WARNING: " */
export function noteProblem({ where, text, hint }: Problem, label = ""): void {
  note(`${label}${where}: ${text}`, hint);
}

/** How many lines of one kind go into a log: a hundred thousand repositories may have got a new owner. */
const mostLines = 20;

/** Lines for a log, the last of which counts those that are left out. */
export const fewOf = (lines: readonly string[]) =>
  lines.length <= mostLines
    ? lines
    : [...lines.slice(0, mostLines), `and ${lines.length - mostLines} more like that`];

/** Prints a line above other output, where that is for a program to read. */
export function heading(line: string): void {
  write(2, `${printable(line)}\n`);
}

/** Prints another program's text, of several lines: the help, a mistake in the command's words. */
export function sayText(file: 1 | 2, text: string): void {
  write(file, printableText(text));
}

/** Passes on what another program prints while it runs. */
export async function passOn(output: AsyncIterable<Uint8Array>, file: 1 | 2): Promise<void> {
  const printed = new PrintableOutput();
  for await (const part of output) write(file, printed.next(part));
  write(file, printed.end());
}

/** From how many items on there is a progress line, and how often it changes. */
const manyItems = 2000;
const progressPause = 100; // milliseconds
let nextProgress = 0;

/** Shows on a terminal how far long work is, each line instead of the one before. A log shows nothing. */
export const showProgress: Progress = (what, done, all) => {
  if (all < manyItems || !isatty(2)) return;
  const line = done === all ? "" : `${what}: ${done} of ${all}`;
  const now = performance.now();
  if (now < nextProgress && 0 < done && done < all) return;
  nextProgress = now + progressPause;
  write(2, `\r\x1b[K${printable(line)}`);
};

/** Writes all of a text. A reader that has seen enough (`index list | head`) is not a failure. */
function write(file: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(file, rest));
    } catch (error) {
      const code = codeOf(error);
      if (code === "EPIPE") return;
      if (code !== "EAGAIN") {
        if (file === 2) return; // there is nowhere else to say it
        throw error;
      }
      pause(1); // a full pipe
    }
  }
}

/** Prints why a command failed. @returns its exit code */
export function reportFailure(error: unknown): number {
  if (error instanceof ProblemsFound) {
    for (const problem of error.problems) write(2, `${formatProblem(problem)}\n`);
    const { length } = error.problems;
    note(`${length === 1 ? "1 problem" : `${length} problems`}, nothing was changed`);
    return error.code;
  }
  if (error instanceof OperatorError) {
    note(error.message, error.hint);
    return error.code;
  }
  note(reasonOf(error));
  return exitCode.failed;
}
