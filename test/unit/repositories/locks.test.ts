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
  const exclusive = '{"exclusive":[["backup@123",17,31]],"shared":[]}';
  expect(parseRoster(exclusive)).toEqual({
    exclusive: [{ host: "backup@123", pid: 17, thread: 31 }],
    shared: [],
  });
  expect(formatRoster(parseRoster(exclusive)!)).toBe(exclusive);
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

test("a roster and a host may be as long as the longest", () => {
  expect(parseRoster("{}".padEnd(largestRoster))).toEqual({ exclusive: [], shared: [] });
  const host = "h".repeat(255);
  expect(parseRoster(`{"shared": [["${host}", 1, 0]]}`)?.shared).toEqual([{ host, pid: 1, thread: 0 }]);
});

test("whatever a roster says, what is read of it are names and whole positive numbers, and writing it changes nothing", () => {
  const good = fc.tuple(fc.string({ minLength: 1 }), fc.integer({ min: 1 }), fc.nat());
  const value = fc.oneof(fc.jsonValue(), fc.integer(), fc.constantFrom("h", "../x", 1e308, -0, "__proto__"));
  const holders = fc.array(good, { maxLength: 3 });
  const others = fc.array(fc.oneof(good, fc.tuple(value, value, value), fc.jsonValue()));
  const roster = fc.oneof(
    fc.record({ shared: holders, exclusive: holders }, { requiredKeys: [] }),
    fc.dictionary(fc.constantFrom("shared", "exclusive", "__proto__", "x"), fc.oneof(others, fc.jsonValue())),
  );
  let read = 0;
  fc.assert(
    fc.property(fc.oneof(roster, fc.jsonValue()), (value) => {
      const taken = parseRoster(JSON.stringify(value));
      if (!taken) return;
      for (const { host, pid, thread } of [...taken.exclusive, ...taken.shared]) {
        read++;
        expect(typeof host).toBe("string");
        expect(Number.isSafeInteger(pid) && pid > 0 && Number.isSafeInteger(thread) && thread >= 0).toBe(
          true,
        );
      }
      expect(parseRoster(formatRoster(taken))).toEqual(taken);
    }),
    { numRuns: 1000 },
  );
  expect(read).toBeGreaterThan(200);
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
  let locks = 0;
  const near = fc
    .tuple(fc.string(), fc.nat(3), fc.stringMatching(/^[0-9a-f]{0,2}$/))
    .map(([host, pid, thread]) => `${host}.${pid}-${thread}`);
  fc.assert(
    fc.property(fc.oneof(fc.string(), near), (name) => {
      const lock = parseLockName(name);
      if (!lock) return;
      locks++;
      expect(lock.host !== "" && lock.pid > 0).toBe(true);
      expect(name).toBe(`${lock.host}.${lock.pid}-${name.split("-").at(-1)}`);
    }),
  );
  expect(locks).toBeGreaterThan(5);
});

test("a lock is stale if it is this host's and no process runs that could hold it", () => {
  const lock = { host: "here", pid: 5, thread: 0 };
  expect(isGone(lock, "here", new Set())).toBe(true);
  expect(isGone(lock, "here", new Set([5]))).toBe(false);
  expect(isGone(lock, "there", new Set())).toBe(false);
});
