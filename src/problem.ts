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

/** UTF-8 (RFC 3629, 4), in a string that has a byte a character. */
const utf8 =
  /[\0-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}/;
const utf8OrByte = new RegExp(`((?:${utf8.source})+)|.`, "gs");

/** A file's name for people. Names are bytes, and need not be UTF-8: what is none is shown as escapes. @param name a byte a character (latin1) */
export function shownName(name: string): string {
  return name.replace(utf8OrByte, (found, text) =>
    text ? Buffer.from(text, "latin1").toString("utf8") : `\\x${found.charCodeAt(0).toString(16)}`,
  );
}

/** The text with control characters and line separators shown as escapes, safe to print. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffd]/gu, (c) => {
    const code = c.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}
