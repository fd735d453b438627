import { expect, test } from "vitest";
import { Grace } from "../../../src/keeper/grace.ts";

test("a connection is taken when its key has been gone for a minute", () => {
  const connections = new Grace();
  expect(connections.due).toBe(Number.POSITIVE_INFINITY);
  connections.next(["a"], 1000);
  connections.next(["a", "b"], 20_000);
  expect(connections.due).toBe(61_000);
  expect(connections.take(60_999)).toEqual([]);
  expect(connections.take(61_000)).toEqual(["a"]);
  expect(connections.due).toBe(80_000);
});

test("a key that comes back gives its connection a new minute", () => {
  const connections = new Grace();
  connections.next(["a"], 0);
  connections.next([], 30_000);
  connections.next(["a"], 50_000);
  expect(connections.take(60_000)).toEqual([]);
  expect(connections.take(110_000)).toEqual(["a"]);
});

test("one that could not be ended is tried again after another minute", () => {
  const connections = new Grace();
  connections.next(["a"], 0);
  expect(connections.take(60_000)).toEqual(["a"]);
  connections.next(["a"], 60_000);
  expect(connections.due).toBe(120_000);
});
