import fc from "fast-check";
import { expect, test } from "vitest";
import {
  formatRoster,
  isGone,
  largestRoster,
  parseLockName,
  parseRoster,
} from "../../../src/repositories/locks.ts";

test("a roster as borg writes it is read, and written back as borg reads it", () => {
  const roster = { exclusive: [], shared: [{ host: "backup@123", pid: 17, thread: 0 }] };
  expect(parseRoster('{"exclusive": [], "shared": [["backup@123", 17, 0]]}')).toEqual(roster);
  expect(parseRoster('{"shared": [["backup@123", 17, 0]]}')).toEqual(roster);
  expect(parseRoster("{}")).toEqual({ exclusive: [], shared: [] });
  expect(formatRoster(roster)).toBe('{"exclusive":[],"shared":[["backup@123",17,0]]}');
});

test.each([
  "",
  "null",
  "5",
  '"text"',
  "[]",
  '{"shared": null}',
  '{"shared": {}}',
  '{"shared": "x"}',
  '{"shared": [null]}',
  '{"shared": [[]]}',
  '{"shared": [["h", 1]]}',
  '{"shared": [["h", 1, 0, 0]]}',
  '{"shared": [["h", "../repos/web/x", 0]]}',
  '{"shared": [["h", "1", 0]]}',
  '{"shared": [["h", -1, 0]]}',
  '{"shared": [["h", 0, 0]]}',
  '{"shared": [["h", 1.5, 0]]}',
  '{"shared": [["h", 1e400, 0]]}',
  '{"shared": [["h", 9007199254740993, 0]]}',
  '{"shared": [["h", [1], 0]]}',
  '{"shared": [["h", true, 0]]}',
  '{"shared": [["h", 1, "0"]]}',
  '{"shared": [["h", 1, -1]]}',
  '{"shared": [[5, 1, 0]]}',
  '{"shared": [["", 1, 0]]}',
  `{"shared": [["${"h".repeat(256)}", 1, 0]]}`,
  '{"shared": [["h", 1, 0]], "other": []}',
  '{"__proto__": [["h", 1, 0]]}',
  '{"shared": [["h", 1, 0], ["h", "x", 0]]}',
  `${"[".repeat(60_000)}`,
  `{"shared": ${"[".repeat(20_000)}${"]".repeat(20_000)}}`,
  `{"shared": []${" ".repeat(largestRoster)}}`,
])("a roster that is none is refused whole: %.60s", (text) => {
  expect(parseRoster(text)).toBeNull();
});

test("whatever a roster says, what is read of it are names and whole positive numbers, and writing it changes nothing", () => {
  const value = fc.oneof(fc.jsonValue(), fc.integer(), fc.constantFrom("h", "../x", 1e308, -0, "__proto__"));
  const holder = fc.oneof(
    fc.tuple(value, value, value),
    fc.tuple(fc.string(), fc.nat(), fc.nat()),
    fc.jsonValue(),
  );
  const roster = fc.dictionary(
    fc.constantFrom("shared", "exclusive", "__proto__", "x"),
    fc.oneof(fc.array(holder), fc.jsonValue()),
  );
  fc.assert(
    fc.property(fc.oneof(roster, fc.jsonValue()), (value) => {
      const read = parseRoster(JSON.stringify(value));
      if (!read) return;
      for (const { host, pid, thread } of [...read.exclusive, ...read.shared]) {
        expect(typeof host).toBe("string");
        expect(Number.isSafeInteger(pid) && pid > 0 && Number.isSafeInteger(thread) && thread >= 0).toBe(
          true,
        );
      }
      expect(parseRoster(formatRoster(read))).toEqual(read);
    }),
    { numRuns: 1000 },
  );
});

test("a lock's name is read as borg does, and no other name is", () => {
  expect(parseLockName("backup.example.org@5.17-1f")).toEqual({
    host: "backup.example.org@5",
    pid: 17,
    thread: 31,
  });
  for (const name of [
    "",
    "x",
    ".1-0",
    "h.-1-0",
    "h.0-0",
    "h.1",
    "h.1-",
    "h.1-g",
    "h.1-0x0",
    "h.99999999999999999999-0",
  ])
    expect(parseLockName(name)).toBeNull();
  fc.assert(
    fc.property(fc.string(), (name) => {
      const lock = parseLockName(name);
      expect(lock === null || (lock.host !== "" && lock.pid > 0)).toBe(true);
    }),
  );
});

test("a lock is stale if it is this host's and no process runs that could hold it", () => {
  const lock = { host: "here", pid: 5, thread: 0 };
  expect(isGone(lock, "here", new Set())).toBe(true);
  expect(isGone(lock, "here", new Set([5]))).toBe(false);
  expect(isGone(lock, "there", new Set())).toBe(false);
});
