/**
 * A name for people. The kernel's names are bytes that need not be UTF-8; those that are not are shown as escapes.
 * @param name with one character for each byte (latin1)
 */
export function shownName(name: string): string {
  return name.replace(utf8Character, (found) =>
    found.length === 1 && found > "\x7f" ? hex(found.charCodeAt(0)) : Buffer.from(found, "latin1").toString(),
  );
}

/** The same as one line, safe to print. */
export const printableBytes = (name: Buffer) => printable(shownName(name.toString("latin1")));

/** Each character of UTF-8 (RFC 3629, section 4), written with one letter for each byte, or a byte that belongs to none. */
const utf8Character =
  /[^\x80-\xff]+|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|\xed[\x80-\x9f][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\x80-\xff]/g;

/** One line: the text with control characters and line separators shown as escapes, safe to print. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffd]/gu, escaped);
}

/** The same for several lines: line ends and tabs stay. */
export function printableText(text: string): string {
  return text.replace(/[^\P{Cc}\n\r\t]|[\p{Cf}\p{Zl}\p{Zp}\ufffd]/gu, escaped);
}

/**
 * Makes a program's output safe to print while it arrives in parts. Only a character whose bytes have not all arrived
 * waits for the next part.
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
