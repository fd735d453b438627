import { expect, test } from "vitest";
import type { Condition } from "../../../src/alerts/condition.ts";
import { eventMessage, newsMessage } from "../../../src/alerts/message.ts";

const late = (subject: string): Condition => ({ kind: "late", subject, level: 1, text: "no backup" });
const damaged: Condition = { kind: "damaged", subject: "db", level: 1, text: "errors" };
const storage: Condition = { kind: "storage", subject: "", level: 1, text: "99 % of the storage are used" };
const news = { appeared: [], remaining: [], over: [] };

test("nothing new is no message", () => {
  expect(newsMessage(news, "backup1")).toBeNull();
});

test("one thing is in the title", () => {
  expect(newsMessage({ ...news, appeared: [late("web")] }, "backup1")).toEqual({
    ...{ title: "borgserver backup1: web: late: no backup", body: "web: late: no backup", level: "warning" },
  });
  expect(newsMessage({ ...news, appeared: [storage] }, "backup1")?.title).toBe(
    "borgserver backup1: 99 % of the storage are used",
  );
});

test("several are counted", () => {
  const message = newsMessage({ ...news, appeared: [late("a"), late("b")] }, "backup1");
  expect(message?.title).toBe("borgserver backup1: 2 backups are late");
  expect(message?.body).toBe("a: late: no backup\nb: late: no backup");
  const mixed = newsMessage({ ...news, appeared: [late("a"), damaged] }, "backup1");
  expect(mixed).toMatchObject({ title: "borgserver backup1: 2 need attention", level: "failure" });
});

test("what goes on, and what is over", () => {
  const told = { ...late("c"), said: 0 };
  expect(newsMessage({ appeared: [late("a")], remaining: [late("b")], over: [told] }, "n")?.body).toBe(
    "a: late: no backup\nstill b: late: no backup\nrecovered: c: no longer late",
  );
  expect(newsMessage({ ...news, over: [told] }, "n")).toEqual({
    title: "borgserver n: recovered: c: no longer late",
    body: "recovered: c: no longer late",
    level: "success",
  });
});

test("a long list ends with how much more there is", () => {
  const many = Array.from({ length: 1000 }, (_, at) => late(`r${at}`));
  const lines = newsMessage({ ...news, appeared: many }, "n")?.body.split("\n") ?? [];
  expect(lines).toHaveLength(40);
  expect(lines.at(-1)).toBe("and 961 more: see status on the server");
});

test("what happened once", () => {
  expect(eventMessage("web", "laptop removed 7 of its 9 objects", "n")).toEqual({
    title: "borgserver n: web",
    body: "web: laptop removed 7 of its 9 objects.",
    level: "failure",
  });
});
