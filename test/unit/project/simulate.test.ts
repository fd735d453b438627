import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { nodesFor, simulate } from "../../../measure/night.ts";

const night = {
  clients: 20_000,
  nodes: 8,
  cores: 2,
  jitter: 60,
  cost: 0.05,
  places: 900,
  length: 120,
  room: 5000,
  seed: 1,
};

describe("a simulated night", () => {
  test("is the same for the same seed, and another for another", () => {
    expect(simulate(night)).toEqual(simulate(night));
    expect(simulate({ ...night, seed: 2 })).not.toEqual(simulate(night));
  });

  test("is as a queue is that can be counted by hand", () => {
    // One core that takes a second each: the last of ten that start within a second waits for the nine before.
    const queue = { ...night, clients: 10, nodes: 1, cores: 1, cost: 1, jitter: 0, seed: 3 };
    const { longestWait, mostOpen, turnedAway } = simulate({ ...queue, length: 4000 });
    expect({ mostOpen, turnedAway }).toEqual({ mostOpen: 10, turnedAway: 0 });
    expect(longestWait).toBeGreaterThan(1);
    expect(longestWait).toBeLessThan(10);
    expect(simulate({ ...queue, clients: 1 }).longestWait).toBeCloseTo(1);
  });

  test("has shorter waits with more nodes, more cores and wider jitter", () => {
    const waits = (change: object) => simulate({ ...night, ...change }).longestWait;
    const base = waits({});
    expect(waits({ nodes: 16 })).toBeLessThan(base);
    expect(waits({ cores: 4 })).toBeLessThan(base);
    expect(waits({ jitter: 600 })).toBeLessThan(base);
  });

  test("turns away who finds no place, and nobody where there are enough nodes", () => {
    expect(simulate({ ...night, nodes: 1, jitter: 0 }).turnedAway).toBeGreaterThan(5000);
    const nodes = nodesFor({ ...night, jitter: 0 });
    expect(simulate({ ...night, jitter: 0, nodes }).turnedAway).toBe(0);
    expect(simulate({ ...night, jitter: 0, nodes: nodes - 1 }).turnedAway).toBeGreaterThan(0);
  });

  test("needs nodes that have memory for the sessions", () => {
    const nodes = nodesFor({ ...night, jitter: 3600, room: 200 });
    expect(simulate({ ...night, jitter: 3600, nodes }).mostOpen).toBeLessThanOrEqual(200);
    expect(simulate({ ...night, jitter: 3600, nodes: nodes - 1 }).mostOpen).toBeGreaterThan(200);
  });
});

test("scripts/simulate prints the same table for the same seed", () => {
  const table = (...words: string[]) =>
    spawnSync("scripts/simulate", ["--clients", "3000", "--jitter", "0,180", ...words], { encoding: "utf8" })
      .stdout;
  expect(table()).toBe(table());
  expect(table()).toMatch(/\| none \| [0-9]+ \| [0-9.]+ s \| [0-9]+ \|\n\| 180 min \|/);
  expect(table("--seed", "2")).not.toBe(table());
  expect(table("--clients", "many")).toBe("");
});
