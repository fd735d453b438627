import { printable } from "./printable.ts";

/** Why something is not taken. */
export interface Refusal {
  /** What is wrong. */
  text: string;
  /** What to do. */
  hint: string;
}

export const isRefusal = (result: unknown): result is Refusal =>
  typeof result === "object" && result !== null && "hint" in result;

/** Something in a key file, a setting or a host key that the operator has to mend. */
export interface Problem extends Refusal {
  /** The file, or the name of the setting. */
  where: string;
  /** The line, counted from 1, where there is one. */
  line?: number;
}

/** One line for a terminal or a log; bytes that could move a cursor or end the line are shown as escapes. */
export function formatProblem({ where, line, text, hint }: Problem): string {
  const place = line === undefined ? where : `${where}:${line}`;
  return printable(`${place}: ${text} ${hint}`);
}

/** Exit codes of the operator's commands. */
export const exitCode = { done: 0, failed: 1, usage: 2, keyProblems: 3, settingProblems: 4 } as const;

/** Something an operator's command could not do: what happened, and what to do about it. */
export class OperatorError extends Error {
  readonly hint: string;
  readonly code: number;

  constructor(message: string, hint = "", code: number = exitCode.failed) {
    super(message);
    this.hint = hint;
    this.code = code;
  }
}

/** What to do where a file of the server's own is missing or damaged. */
export const installAgain =
  "Make the container anew from its image; without a container, run libexec/install in the source of borgserver.";

/** Everything that is wrong with what the operator gave: nothing has been changed. */
export class ProblemsFound extends Error {
  readonly problems: readonly Problem[];
  readonly code: number;

  constructor(problems: readonly Problem[], code: number) {
    super("problems found");
    this.problems = problems;
    this.code = code;
  }
}
