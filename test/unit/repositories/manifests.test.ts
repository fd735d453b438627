import { expect, test } from "vitest";
import { type KeptManifest, superfluous } from "../../../src/repositories/manifests.ts";

const minute = 60_000;
const day = 24 * 60 * minute;
const now = 400 * day;

/** Manifests of these ages, in milliseconds. */
const aged = (...ages: number[]): KeptManifest[] =>
  ages
    .sort((a, b) => a - b)
    .map((age) => ({ file: `${age}`, transaction: 1, keptAt: new Date(now - age), size: 1 }));
const dropped = (ages: number[]) => superfluous(aged(...ages), now).map(({ file }) => Number(file));

test("those of thirty days are kept, and the newest however old it is", () => {
  expect(dropped([0, 29 * day, 30 * day])).toEqual([]);
  expect(dropped([0, 30 * day + 1, 50 * day])).toEqual([30 * day + 1, 50 * day]);
  expect(dropped([90 * day, 91 * day])).toEqual([91 * day]);
  expect(dropped([])).toEqual([]);
});

test("a flood of them pushes out its own, not what was there before", () => {
  const daily = Array.from({ length: 29 }, (_, at) => (at + 1) * day);
  const flood = Array.from({ length: 1000 }, (_, at) => at * minute);
  const gone = dropped([...daily, ...flood]);
  expect(gone).toHaveLength(daily.length + flood.length - 100);
  for (const age of gone) expect(flood).toContain(age);
  expect(gone).not.toContain(0);
});

test("no more than a hundred are kept", () => {
  expect(dropped(Array.from({ length: 100 }, (_, at) => at * minute))).toEqual([]);
  expect(dropped(Array.from({ length: 101 }, (_, at) => at * minute))).toHaveLength(1);
});
