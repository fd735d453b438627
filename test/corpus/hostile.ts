import fc from "fast-check";
import { caseNames, expectation, readCase } from "./corpus.ts";

/** What attackers and editors put between, before and into lines. */
const spice = fc.constantFrom(
  ..."\n|\r|\r\n|\v|\f|\0| |\t|\u0085|\u00a0|\u2028|\u2029|\ufeff|\u202e|\u001b[2J|\\|\\\n|\"|'|,|=|#|AAAA".split(
    "|",
  ),
  'command="id" ',
  'from="127.0.0.1" ',
  'expiry-time="20991231Z" ',
  "ssh-rsa ",
);
const splice = fc.oneof(
  spice.map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
);

/** A place in the content, as a part of its length, so that it shrinks to the start. */
const at = fc.double({ min: 0, max: 1, noNaN: true });
type Mutation = (content: Buffer) => Buffer;

const replace = (content: Buffer, start: number, end: number, by: Uint8Array) =>
  Buffer.concat([content.subarray(0, start), by, content.subarray(end)]);

/** Puts bytes in the place of none, or of a few. */
const bytes = fc.tuple(at, fc.nat(4), splice).map(
  ([place, length, by]): Mutation =>
    (content) => {
      const start = Math.floor(place * content.length);
      return replace(content, start, start + length, by);
    },
);

/** Doubles, drops or upper-cases one of the words. */
const word = fc.tuple(at, fc.constantFrom("double", "drop", "case")).map(
  ([place, what]): Mutation =>
    (content) => {
      const words = content.toString("latin1").split(/(?<=[ \n])/);
      const index = Math.min(Math.floor(place * words.length), words.length - 1);
      const one = words[index]!;
      words[index] = { double: `${one.trimEnd()} ${one}`, drop: "", case: one.toUpperCase() }[what]!;
      return Buffer.from(words.join(""), "latin1");
    },
);

/** Changes the bytes that a key's base64 stands for, its length prefixes among them. */
const blob = fc.tuple(at, fc.nat(4), fc.uint8Array({ maxLength: 4 })).map(
  ([place, length, by]): Mutation =>
    (content) => {
      const text = content.toString("latin1");
      const found = /AAAA[A-Za-z0-9+/]+={0,2}/.exec(text)?.[0];
      if (found === undefined) return content;
      const inside = Buffer.from(found, "base64");
      const start = Math.floor(place * inside.length);
      return Buffer.from(
        text.replace(found, replace(inside, start, start + length, by).toString("base64")),
        "latin1",
      );
    },
);

const mutation: fc.Arbitrary<Mutation> = fc.oneof(bytes, word, blob);
const pick = (names: readonly string[]) => fc.constantFrom(...names).map(readCase);
const small = caseNames.filter((name) => readCase(name).length < 4096);
const good = small.filter((name) => expectation(name).every((line) => line.startsWith("opens")));
const file = fc.oneof(pick(good), pick(small));

/** Key files near those of the corpus: cases of it, joined by whatever separates lines for somebody, and altered. */
export const hostileFile: fc.Arbitrary<Buffer> = fc
  .tuple(file, fc.option(fc.tuple(splice, file), { freq: 1 }), fc.array(mutation, { maxLength: 3 }))
  .map(([first, more, mutations]) =>
    mutations.reduce<Buffer>((content, mutate) => mutate(content), Buffer.concat([first, ...(more ?? [])])),
  );
