import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { published, repository, unknown } from "../unit/teller/made-up.ts";
import { Served } from "./served.ts";

// What Prometheus itself (Debian's) makes of the metrics and of the rules for alerts.

const rules = `${process.cwd()}/docs/prometheus/alerts.yml`;
let served: Served;

beforeAll(async () => {
  served = await Served.start();
});
afterAll(() => served?.stop());

const promtool = (words: string[], input = "") =>
  execFileSync("promtool", words, { input, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });

test("the rules are whole, and each alert fires when it shall and not before", () => {
  expect(promtool(["check", "rules", rules])).toContain("SUCCESS: 9 rules found");
  expect(promtool(["test", "rules", "test/teller/alerts.test.yml"])).toContain("SUCCESS");
});

test("promtool has nothing to say about the metrics", async () => {
  const now = Date.now();
  served.publish(
    published(
      [
        repository("web", now, { quota: 5e11, lock: { kind: "exclusive", account: null, since: now } }),
        repository('a"\\\n\u202e{}\r\t', now, { problem: "x" }),
        repository("new", now, unknown, { lateAfter: null, totals: [] }),
      ],
      now,
    ),
  );
  const text = await (await fetch(`${served.origin}/metrics`)).text();
  expect(text).toContain("process_resident_memory_bytes ");
  expect(promtool(["check", "metrics"], text)).toBe("");
});

test("a Prometheus that reads the metrics raises the alerts", () => {
  const now = Date.now();
  const fine = repository("fine", now, { quota: 1e12 });
  const wrong = [
    repository("late", now, { late: true }),
    repository("damaged", now, { lastCheckOk: false }),
    repository("unreadable", now, { problem: "it has no config" }),
    repository("quota", now, { size: 85, quota: 100 }),
    repository("full", now, { size: 100, quota: 100 }),
    repository("new", now, unknown, { lateAfter: null }),
  ];
  const alerts = alertsOf(() =>
    served.publish(published([fine, ...wrong], now, { problems: 2, storage: { free: 5, size: 100 } })),
  );
  expect(alerts).toEqual([
    ...["BorgBackupLate late", "BorgQuotaNearlyFull full", "BorgQuotaNearlyFull quota"],
    ...["BorgRepositoryDamaged damaged", "BorgRepositoryUnreadable unreadable"],
    ...["BorgStorageNearlyFull", "BorgserverProblems"],
  ]);
  expect(alertsOf(() => served.publish(published([fine], now - 20 * 60_000)))).toEqual(["BorgserverSilent"]);
  expect(alertsOf(() => served.publish(published([fine], Date.now())))).toEqual([]);
});

/** Those of a new Prometheus. */
function alertsOf(publish: () => void): string[] {
  publish();
  const words = ["test/programs/alerts.py", `127.0.0.1:${served.port}`, rules];
  return execFileSync("python3", words, { encoding: "utf8" }).split("\n").filter(Boolean);
}
