import { expect, test } from "vitest";
import { ToldProblems } from "../../../src/keeper/told-problems.ts";

const empty = { where: "/sshkeys/repos/web", text: "there is no key in this file", hint: "Put one in." };
const wrong = { where: "/sshkeys/repos/db", line: 2, text: "this is not a public key", hint: "Remove it." };
const nothing = { appeared: [], mended: [] };

test("a problem is told when it has been there for a second, once, and once more when it is mended", () => {
  const told = new ToldProblems();
  expect(told.next([empty], 0)).toEqual(nothing);
  expect(told.due).toBe(1000);
  expect(told.next([empty], 999)).toEqual(nothing);
  expect(told.next([empty], 1000)).toEqual({ appeared: [empty], mended: [] });
  expect(told.due).toBe(Number.POSITIVE_INFINITY);
  for (const now of [2000, 3000]) expect(told.next([empty], now)).toEqual(nothing);
  expect(told.next([], 4000)).toEqual({ appeared: [], mended: [empty] });
  expect(told.next([], 5000)).toEqual(nothing);
});

test("what is gone within the second is never told, and counts anew when it comes back", () => {
  const told = new ToldProblems();
  told.next([empty], 0);
  expect(told.next([], 500)).toEqual(nothing);
  expect(told.due).toBe(Number.POSITIVE_INFINITY);
  expect(told.next([empty], 1200)).toEqual(nothing);
  expect(told.due).toBe(2200);
});

test("each problem has its own time, and another line is another problem", () => {
  const told = new ToldProblems();
  told.next([empty], 0);
  told.next([empty, wrong], 600);
  expect(told.next([empty, wrong], 1000)).toEqual({ appeared: [empty], mended: [] });
  expect(told.due).toBe(1600);
  expect(told.next([empty, wrong], 1600)).toEqual({ appeared: [wrong], mended: [] });
  const moved = { ...wrong, line: 3 };
  expect(told.next([empty, moved], 2000)).toEqual({ appeared: [], mended: [wrong] });
  expect(told.next([empty, moved], 3000)).toEqual({ appeared: [moved], mended: [] });
});

test("the same problem again with another hint is not news", () => {
  const told = new ToldProblems();
  told.next([empty], 0);
  told.next([empty], 1000);
  expect(told.next([{ ...empty, hint: "Another." }], 2000)).toEqual(nothing);
});
