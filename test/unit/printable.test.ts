import fc from "fast-check";
import { expect, test } from "vitest";
import { PrintableOutput, printable, printableBytes, printableText } from "../../src/printable.ts";

test("nothing that is printed can move a cursor, turn text round or start a new line", () => {
  expect(printable("a\x1b[2J\n\u202e\u2028é日")).toBe("a\\x1b[2J\\x0a\\u{202e}\\u{2028}é日");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(printable(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    }),
  );
});

test("a name is bytes, and those that are not UTF-8 are shown as escapes", () => {
  expect(
    printableBytes(
      Buffer.from([0x61, 0xff, 0xc3, 0xa9, 0xed, 0xa0, 0x80, 0xf0, 0x9f, 0x98, 0x80, 0x0a, 0xc3]),
    ),
  ).toBe("a\\xffé\\xed\\xa0\\x80😀\\x0a\\xc3");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const valid = Buffer.from(text);
      expect(printableBytes(valid)).toBe(printable(valid.toString()));
    }),
  );
});

test("a program's output passes in parts, whole characters and all, but for what could move a cursor", () => {
  expect(printableText("a\tb\r\n\x1b[2J\x07\u202e\x9b")).toBe("a\tb\r\n\\x1b[2J\\x07\\u{202e}\\x9b");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.array(fc.nat(40)), (text, cuts) => {
      const bytes = Buffer.from(text);
      const output = new PrintableOutput();
      let printed = "";
      let at = 0;
      for (const cut of cuts) {
        printed += output.next(bytes.subarray(at, at + cut));
        at += cut;
      }
      printed += output.next(bytes.subarray(at)) + output.end();
      expect(printed).toBe(printableText(bytes.toString()));
    }),
  );
  // What has arrived whole is not kept back: a prompt has no line end.
  expect(new PrintableOutput().next(Buffer.from("Type YES: "))).toBe("Type YES: ");
});
