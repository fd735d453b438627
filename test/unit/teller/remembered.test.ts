import { expect, test } from "vitest";
import { Remembered } from "../../../src/teller/remembered.ts";
import { published } from "./made-up.ts";

const now = Date.UTC(2026, 10, 28, 12);

test("a text of a state is made once for five seconds, and of another state at once", async () => {
  const remembered = new Remembered();
  let times = 0;
  const ask = async (state: ReturnType<typeof published>, key: string, at: number) =>
    `${await remembered.get(state, key, at, () => `${key}${++times}`)}`;
  const [one, other] = [published([], now), published([], now)];
  expect(await Promise.all(Array.from({ length: 3 }, () => ask(one, "a", now)))).toEqual(["a1", "a1", "a1"]);
  expect(await ask(one, "b", now)).toBe("b2");
  expect(await ask(one, "a", now + 4999)).toBe("a1");
  expect(await ask(one, "a", now + 5000)).toBe("a3");
  expect(await ask(one, "a", now - 5000)).toBe("a4"); // the clock was put back
  expect(await ask(other, "a", now - 5000)).toBe("a5");
  expect(await ask(one, "a", now - 5000)).toBe("a6");
});

test("what could not be made is an error", async () => {
  const fail = () => Promise.reject(new Error("no"));
  await expect(new Remembered().get(published([], now), "a", now, fail)).rejects.toThrow("no");
});
