import { expect, test } from "vitest";
import { Burst } from "../../../src/keeper/burst.ts";

const burst = () => new Burst({ quiet: 100, longest: 400 });

test("nothing is due without a change, and a change when it was quiet for a while", () => {
  const changes = burst();
  expect(changes.due).toBe(Number.POSITIVE_INFINITY);
  changes.add(1000);
  expect(changes.due).toBe(1100);
  changes.add(1090);
  expect(changes.due).toBe(1190);
});

test("changes that go on are not waited for without an end", () => {
  const changes = burst();
  for (let now = 1000; now < 3000; now += 50) changes.add(now);
  expect(changes.due).toBe(1400);
});

test("after its end the next change begins another burst", () => {
  const changes = burst();
  changes.add(1000);
  changes.end();
  expect(changes.due).toBe(Number.POSITIVE_INFINITY);
  changes.add(1390);
  expect(changes.due).toBe(1490);
});
