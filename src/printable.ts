/**
 * A name as the kernel has it, bytes that need not be UTF-8, for people: bytes that are none are shown as escapes.
 * @param name a byte a character (latin1)
 */
export function shownName(name: string): string {
  return name.replace(utf8Character, (found) =>
    found.length === 1 && found > "\x7f" ? hex(found.charCodeAt(0)) : Buffer.from(found, "latin1").toString(),
  );
}

/** The same as one line, safe to print. */
export const printableBytes = (name: Buffer) => printable(shownName(name.toString("latin1")));

/** Each character of UTF-8 (RFC 3629, section 4), as one letter a byte, and each byte that belongs to none. */
const utf8Character =
  /[^\x80-\xff]+|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|\xed[\x80-\x9f][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\x80-\xff]/g;

/** One line: the text with control characters and line separators shown as escapes, safe to print. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffd]/gu, escaped);
}

/** Several lines: the same, but for line ends and tabs. */
export function printableText(text: string): string {
  return text.replace(/[^\P{Cc}\n\r\t]|[\p{Cf}\p{Zl}\p{Zp}\ufffd]/gu, escaped);
}

/**
 * A program's output that arrives in parts, made safe to print: each part at once, but for a character whose bytes
 * have not all arrived.
 */
export class PrintableOutput {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  next(part: Uint8Array): string {
    return printableText(this.#decoder.decode(part, { stream: true }));
  }

  /** What is left when the output has ended. */
  end(): string {
    return printableText(this.#decoder.decode());
  }
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? hex(code) : `\\u{${code.toString(16)}}`;
}

const hex = (code: number) => `\\x${code.toString(16).padStart(2, "0")}`;
