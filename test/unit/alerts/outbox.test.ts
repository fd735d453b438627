import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { type Content, Outbox } from "../../../src/alerts/outbox.ts";
import { Recipients } from "../../../src/alerts/recipients.ts";
import { Ledger } from "../../../src/ledger/ledger.ts";

let ledger: Ledger;
let file: string;
beforeEach(() => {
  file = join(mkdtempSync(join(tmpdir(), "outbox-")), "ledger.sqlite");
  ({ ledger } = Ledger.open(file));
});

const now = Date.UTC(2026, 10, 28);
const minute = 60_000;
const message: Content = { send: { title: "t", body: "b", level: "info" } };
const ping: Content = { ping: { failed: true } };
const ids = (outbox: Outbox, at = now) => outbox.due(at).map(({ id }) => id);

test("what is added waits, oldest first, until it is sent", () => {
  const outbox = new Outbox(ledger.database);
  outbox.add("x", message, now);
  outbox.add("y", ping, now);
  expect(outbox.due(now)).toEqual([
    { id: 1, address: "x", content: message },
    { id: 2, address: "y", content: ping },
  ]);
  outbox.remove(1);
  expect(ids(outbox)).toEqual([2]);
  expect(outbox.nextDue()).toBe(now);
});

test("after a restart, what was handed over is not sent again, and what was not is", () => {
  const outbox = new Outbox(ledger.database);
  outbox.add("x", message, now);
  outbox.add("y", message, now);
  outbox.hand(1);
  expect(ids(outbox)).toEqual([2]);
  ledger.close();
  ({ ledger } = Ledger.open(file));
  expect(ids(new Outbox(ledger.database))).toEqual([2]);
});

test("where the teller ended before it said how it went, it is handed over again", () => {
  const outbox = new Outbox(ledger.database);
  outbox.add("x", message, now);
  outbox.hand(1);
  outbox.takeBack(1);
  expect(ids(outbox)).toEqual([1]);
});

test("what cannot be sent is tried again later and later, for three days", () => {
  const outbox = new Outbox(ledger.database);
  outbox.add("x", message, now);
  const tries: number[] = [];
  for (let at = now; ; at = outbox.nextDue()) {
    outbox.hand(1);
    if (!outbox.putBack(1, at)) break;
    tries.push((outbox.nextDue() - at) / minute);
  }
  expect(tries.slice(0, 8)).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  expect(tries.reduce((sum, each) => sum + each)).toBeLessThanOrEqual(3 * 24 * 60);
  expect(tries.length).toBeGreaterThan(70);
  expect(outbox.nextDue()).toBe(Number.POSITIVE_INFINITY);
});

test("a ping is tried for half an hour", () => {
  const outbox = new Outbox(ledger.database);
  outbox.add("x", ping, now);
  let last = now;
  while (outbox.putBack(1, last)) last = outbox.nextDue();
  expect(last - now).toBeGreaterThan(20 * minute);
  expect(last - now).toBeLessThanOrEqual(30 * minute);
});

test("the queue has an end: the oldest give way", () => {
  const outbox = new Outbox(ledger.database);
  let lost = 0;
  for (let count = 0; count < 1005; count++) lost += outbox.add("x", message, now);
  expect(lost).toBe(5);
  expect(ids(outbox)[0]).toBe(6);
});

test("accounts' addresses are told of the repository that the account opens, the operator's of everything", () => {
  const repositoryOf = (name: string) => ({ web: "web", prune: "web" })[name] ?? null;
  const recipients = new Recipients(
    ["ntfy://all"],
    {
      web: { notify: ["ntfy://a", "ntfy://all"] },
      prune: { notify: ["ntfy://a"] },
      gone: { notify: ["ntfy://g"] },
    },
    repositoryOf,
  );
  expect(recipients.urls).toEqual(["ntfy://all", "ntfy://a"]);
  const told = (url: string) => ["web", "db", ""].filter((name) => recipients.isTold(url, name));
  expect(told("ntfy://all")).toEqual(["web", "db", ""]);
  expect(told("ntfy://a")).toEqual(["web"]);
  expect(told("ntfy://g")).toEqual([]);
});
