/** Something in a key file, a setting or a host key that the operator has to mend. */
export interface Problem {
  /** The file, or the name of the setting. */
  where: string;
  /** The line, counted from 1, where there is one. */
  line?: number;
  /** What is wrong. */
  text: string;
  /** What to do. */
  hint: string;
}

/** One line for a terminal or a log; bytes that could move a cursor or end the line are shown as escapes. */
export function formatProblem({ where, line, text, hint }: Problem): string {
  const place = line === undefined ? where : `${where}:${line}`;
  return printable(`${place}: ${text} ${hint}`);
}

/** The text with control characters and line separators shown as escapes, safe to print. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffd]/gu, (c) => {
    const code = c.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}
