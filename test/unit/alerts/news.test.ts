import { expect, test } from "vitest";
import type { Condition } from "../../../src/alerts/condition.ts";
import { gathering, newsOf, type Told } from "../../../src/alerts/news.ts";

const now = Date.UTC(2026, 10, 28, 12);
const day = 24 * 3600 * 1000;
const late = (subject: string): Condition => ({ kind: "late", subject, level: 1, text: "no backup" });
const quota = (level: number): Condition => ({
  kind: "quota",
  subject: "web",
  level,
  text: `level ${level}`,
});
const told = (condition: Condition, said: number): Told => ({ ...condition, said });

test("what is late at once is said together, and once", () => {
  const first = newsOf([late("a"), late("b")], [], now);
  expect(first).toMatchObject({ appeared: [late("a"), late("b")], remaining: [], over: [] });
  expect(newsOf([late("a"), late("b")], first.told, now + 60_000)).toEqual({
    ...{ appeared: [], remaining: [], over: [] },
    told: first.told,
  });
});

test("what becomes late soon after waits for the others, and is then one message", () => {
  const first = newsOf([late("a")], [], now);
  const waiting = newsOf([late("a"), late("b")], first.told, now + gathering - 1);
  expect(waiting.appeared).toEqual([]);
  expect(waiting.told).toEqual(first.told);
  const gathered = newsOf([late("a"), late("b"), late("c")], waiting.told, now + gathering);
  expect(gathered.appeared).toEqual([late("b"), late("c")]);
});

test("only lateness waits", () => {
  const first = newsOf([late("a")], [], now);
  expect(newsOf([late("a"), quota(1)], first.told, now + 1000).appeared).toEqual([quota(1)]);
});

test("after a day, all that goes on is said again, together", () => {
  const before = [told(late("a"), now - day), told(quota(1), now - 3600_000)];
  const news = newsOf([late("a"), quota(1)], before, now);
  expect(news).toMatchObject({ appeared: [], remaining: [late("a"), quota(1)], over: [] });
  expect(news.told.map(({ said }) => said)).toEqual([now, now]);
  expect(newsOf([late("a"), quota(1)], news.told, now + day - 1).remaining).toEqual([]);
});

test("what is over is said once, in the words it was known by", () => {
  const before = [told(late("a"), now - 1000), told(quota(2), now - 1000)];
  const news = newsOf([quota(2)], before, now);
  expect(news).toMatchObject({ appeared: [], remaining: [], over: [told(late("a"), now - 1000)] });
  expect(newsOf([quota(2)], news.told, now + 1000).over).toEqual([]);
});

test("what gets worse is news, what gets better is not", () => {
  const before = [told(quota(1), now - 1000)];
  const worse = newsOf([quota(2)], before, now);
  expect(worse.appeared).toEqual([quota(2)]);
  const better = newsOf([quota(1)], worse.told, now + 1000);
  expect(better).toMatchObject({ appeared: [], over: [] });
  expect(newsOf([quota(2)], better.told, now + 2000).appeared).toEqual([quota(2)]);
});

test("a clock that was set back does not silence it for ever", () => {
  expect(newsOf([late("a")], [told(late("a"), now + 365 * day)], now).remaining).toEqual([late("a")]);
});
