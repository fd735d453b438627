import type { Role } from "../role.ts";
import { accountId } from "./account-id.ts";
import { accountLine, type WantedAccounts } from "./wanted-accounts.ts";

/**
 * The three files by which libnss-cache knows accounts (nss_cache.c): passwd.cache has lines of passwd(5);
 * passwd.cache.ixname and passwd.cache.ixuid say at which byte of it the line of a name or of an id begins.
 *
 * A lookup opens an index first and then the lines, each by its path, so it may get the index of one publication and
 * the lines of a later one. Then too it must find the account that it looks for or nobody, and quickly:
 *
 * - A line begins at a multiple of `placeSize`, which is longer than any name. So an index of whichever publication
 *   never points into a name, and the module compares the name that it finds.
 * - As long as an account exists, its line stays in its place.
 * - The line of an account that is removed stays for one more publication, as a comment: an older index points behind
 *   the `#`, and a program that reads all lines skips it.
 * - Where a line once began, one always begins: a free place goes to a line of the same length in places, until then it
 *   holds a line of nobody's, and the file never gets shorter. Where there is nothing to read behind an offset, the
 *   module returns a status with which glibc ends the process ("Illegal status in __nss_next").
 */
export interface PasswdCache {
  lines: Iterable<Buffer>;
  names: Iterable<Buffer>;
  ids: Iterable<Buffer>;
}

/** In bytes. The longest name has 255. */
const placeSize = 256;

/** The most places that one line takes: a name of 255 bytes, and what an older server wrote behind it. */
const mostPlaces = 3;

/** What passwd.cache says. */
export interface PublishedAccounts {
  /** The place at which each account's line begins, counted from 0. */
  places: ReadonlyMap<string, number>;
  /** The line that begins at a place. */
  lineAt(place: number): string;
  /** The free places at which a line can begin, by the number of places it may take. */
  free: ReadonlyMap<number, readonly number[]>;
  /** How many places the file has. */
  size: number;
}

/** What is published before anything is. */
export const nothingPublished: PublishedAccounts = {
  places: new Map(),
  lineAt: () => "",
  free: new Map(),
  size: 0,
};

/** What comes before a line: it ends the place before with an empty line, or begins a comment. */
const shown = "\n";
const hidden = "#";

/** The line in the first place says what the file is made of, and no index points to it. */
const header = (digest: string) => `${hidden}${digest}`;

/** How many places a line takes, with what comes before it and the line break. */
const placesOf = (length: number) => Math.ceil((length + 2) / placeSize);

/** A line that fills so many free places. No account has such a name (keys/account.ts). */
const nobody = (count: number) => `.free:*:65534:65534:${"-".repeat((count - 1) * placeSize)}:/:`;

/**
 * Composes the files for these accounts.
 * @param digest says what they are composed of; `digestOf` finds it again
 * @param published what is published now; `nothingPublished` where no lookup can be under way
 */
export function composePasswdCache(
  wanted: WantedAccounts,
  digest: string,
  published: PublishedAccounts,
): PasswdCache {
  const names = [...wanted.roles.keys()].sort();
  // Names are ASCII (keys/account.ts), so their order as strings is that of their bytes, which strcmp(3) compares.
  const odd = names.find((name) => !/^[!-9;-~]{1,255}$/.test(name));
  if (odd !== undefined) throw new Error(`${odd} cannot be a name in passwd(5)`);
  const layout = layOut(names, wanted, published);
  const offsetOf = (name: string) => layout.places.get(name)! * placeSize + 1;
  const digits = `${layout.texts.length * placeSize}`.length;
  const [first = ""] = wanted.roles.keys();
  const textAt = (place: number) => {
    const text = layout.texts[place];
    if (place === 0) return header(digest);
    // A name: the line is made when it is written, so that there are not a million of them at once.
    const role = text && wanted.roles.get(text);
    return role ? shown + accountLine(text, role, wanted) : (text ?? null);
  };
  return {
    lines: placedLines(layout.texts.length, textAt),
    names: indexLines(names, offsetOf, digits),
    // By their ids nobody looks accounts up; an index without a line would be no index.
    ids: indexLines([`${accountId(first, wanted.owner, wanted.ids)}`], () => offsetOf(first), digits),
  };
}

/** The line at each place. */
interface Layout {
  places: Map<string, number>;
  /** For each place the name of the account whose line begins there, or what else does; none where the line before goes on. */
  texts: (string | undefined)[];
}

function layOut(names: readonly string[], wanted: WantedAccounts, published: PublishedAccounts): Layout {
  const places = new Map<string, number>();
  const texts: Layout["texts"] = new Array(Math.max(published.size, 1));
  const countFor = (name: string, role: Role) => placesOf(accountLine(name, role, wanted).length);

  for (const [name, place] of published.places) {
    const role = wanted.roles.get(name);
    const before = published.lineAt(place);
    if (role !== undefined && countFor(name, role) === placesOf(before.length)) {
      texts[place] = name;
      places.set(name, place);
    } else texts[place] = hidden + before;
  }
  const taken = new Map<number, number>();
  for (const name of names) {
    if (places.has(name)) continue;
    const count = countFor(name, wanted.roles.get(name)!);
    const next = taken.get(count) ?? 0;
    const place = published.free.get(count)?.[next] ?? texts.length;
    taken.set(count, next + 1);
    texts.length = Math.max(texts.length, place + count);
    texts[place] = name;
    places.set(name, place);
  }
  for (const [count, free] of published.free)
    for (const place of free.slice(taken.get(count) ?? 0)) texts[place] = hidden + nobody(count);
  return { places, texts };
}

/** How many lines are handed on at once. */
const handful = 4096;

/**
 * The lines, each filled up with spaces to whole places.
 * @param textAt null if the line before goes on there
 */
function* placedLines(size: number, textAt: (place: number) => string | null): Generator<Buffer> {
  const block = Buffer.alloc((handful + mostPlaces) * placeSize, " ");
  let begin = 0;
  for (let place = 0; place < size; place++) {
    const text = textAt(place);
    if (text === null) continue;
    if (place - begin >= handful) {
      yield block.subarray(0, (place - begin) * placeSize);
      block.fill(" ");
      begin = place;
    }
    block.write(`${text}\n`, (place - begin) * placeSize, "latin1");
  }
  yield block.subarray(0, (size - begin) * placeSize);
}

/** The lines of an index, all of one length: a key and the offset of its line, each with a zero byte behind it. */
function* indexLines(
  keys: readonly string[],
  offsetOf: (key: string) => number,
  digits: number,
): Generator<Buffer> {
  const longest = keys.reduce((most, { length }) => Math.max(most, length), 0);
  const length = longest + digits + 3;
  const block = Buffer.alloc(handful * length);
  for (let begin = 0; begin < keys.length; begin += handful) {
    block.fill(0);
    const some = keys.slice(begin, begin + handful);
    for (const [at, key] of some.entries()) {
      const offset = `${offsetOf(key)}`.padStart(digits, "0");
      block.write(`${key}\0${offset}`, at * length, "latin1");
      block[(at + 1) * length - 1] = 0x0a;
    }
    yield block.subarray(0, some.length * length);
  }
}

/** Reads passwd.cache. What is damaged counts as free. */
export function parsePasswdCache(content: Buffer): PublishedAccounts {
  // Not looked for further than a line can reach: there may be none in all of a damaged file.
  const endOf = (begin: number) => {
    const length = content.subarray(begin, begin + mostPlaces * placeSize).indexOf(0x0a);
    return length < 0 ? -1 : begin + length;
  };
  const lineAt = (place: number) => {
    const begin = place * placeSize + 1;
    return content.toString("latin1", begin, endOf(begin));
  };
  const places = new Map<string, number>();
  const free = new Map<number, number[]>();
  const size = Math.ceil(content.length / placeSize);
  for (let place = 1; place < size; ) {
    const begin = place * placeSize + 1;
    const end = endOf(begin);
    const whole = end < 0 ? 1 : placesOf(end - begin);
    const count = whole <= mostPlaces && place + whole <= size ? whole : 1;
    const isShown = count === whole && end > 0 && content[begin - 1] === shown.charCodeAt(0);
    const colon = isShown ? content.indexOf(0x3a, begin) : -1;
    const name = colon > 0 && colon < end ? content.toString("latin1", begin, colon) : "";
    if (name !== "" && !places.has(name)) places.set(name, place);
    else free.get(count)?.push(place) ?? free.set(count, [place]);
    place += count;
  }
  return { places, lineAt, free, size };
}

/** What a passwd.cache says in its first place that it was composed of. */
export function digestOf(start: Buffer): string {
  return start.toString("latin1", hidden.length, Math.max(start.indexOf(0x0a), 0));
}
