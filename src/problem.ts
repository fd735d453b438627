import { printable } from "./printable.ts";

/** Why something is not taken. Both are shown as formatMessage has them. */
export interface Refusal {
  /** What is wrong: in small letters, without a full stop. */
  text: string;
  /** What to do: whole sentences. */
  hint: string;
}

export const isRefusal = (result: unknown): result is Refusal =>
  typeof result === "object" && result !== null && "hint" in result;

/** Something in a key file, a setting or a host key that the operator has to correct. */
export interface Problem extends Refusal {
  /** The file, or the name of the setting. */
  where: string;
  /** The line, counted from 1, where there is one. */
  line?: number;
}

/** Where a line gets too long for a reader, and for most terminals. */
const longLine = 100;

/**
 * The one form of all messages: what is wrong and where, a full stop, and what to do. Where both do not fit into one
 * line, what to do has a line of its own, indented. Bytes that could move a cursor or end a line are shown as escapes.
 */
export function formatMessage(what: string, hint = ""): string {
  const [first, second] = [printable(what), printable(hint)];
  if (second === "") return first;
  const line = `${first}. ${second}`;
  return line.length <= longLine ? line : `${first}\n  ${second}`;
}

/** The same for a problem: "FILE:LINE: what is wrong. What to do." */
export function formatProblem({ where, line, text, hint }: Problem): string {
  const place = line === undefined ? where : `${where}:${line}`;
  return formatMessage(`${place}: ${text}`, hint);
}

/** Exit codes of the operator's commands. */
export const exitCode = {
  done: 0,
  failed: 1,
  usage: 2,
  keyProblems: 3,
  settingProblems: 4,
  attention: 5,
} as const;

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
