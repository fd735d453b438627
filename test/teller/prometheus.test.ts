import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
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

test("a Prometheus that reads the metrics raises the alerts", async () => {
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
  const alerts = await alertsOf(() =>
    served.publish(published([fine, ...wrong], now, { problems: 2, storage: { free: 5, size: 100 } })),
  );
  expect(alerts).toEqual([
    ...["BorgBackupLate late", "BorgQuotaNearlyFull full", "BorgQuotaNearlyFull quota"],
    ...["BorgRepositoryDamaged damaged", "BorgRepositoryUnreadable unreadable"],
    ...["BorgStorageNearlyFull", "BorgserverProblems"],
  ]);
  expect(await alertsOf(() => served.publish(published([fine], now - 20 * 60_000)))).toEqual([
    "BorgserverSilent",
  ]);
  expect(await alertsOf(() => served.publish(published([fine], Date.now())))).toEqual([]);
});

/** Those that a new Prometheus knows when it has read the metrics, also those that wait for their time. */
async function alertsOf(publish: () => void): Promise<string[]> {
  publish();
  const folder = mkdtempSync(`${tmpdir()}/prometheus-`);
  const target = `127.0.0.1:${served.port}`;
  writeFileSync(
    `${folder}/prometheus.yml`,
    `{ global: { scrape_interval: 1s, evaluation_interval: 1s }, rule_files: ["${rules}"],
  scrape_configs: [{ job_name: borgserver, static_configs: [{ targets: ["${target}"] }] }] }`,
  );
  const program = spawn(
    "prometheus",
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      "--web.listen-address=127.0.0.1:9091",
    ],
    { stdio: "ignore" },
  );
  const ended = once(program, "exit");
  const ask = async (path: string) => {
    try {
      const answer = await fetch(`http://127.0.0.1:9091/api/v1/${path}`);
      return ((await answer.json()) as { data: Found }).data;
    } catch {
      return null; // it does not listen yet
    }
  };
  try {
    // Rules that were looked at after the first reading.
    const isRead = async () => {
      const found = await ask("query?query=count_over_time(borgserver_problems[1m])");
      return Number(found?.result?.[0]?.value[1] ?? 0) > 3;
    };
    for (let tries = 0; !(await isRead()); tries++) {
      if (tries > 200) throw new Error("Prometheus does not read the metrics");
      await pause(100);
    }
    await pause(1500);
    const found = await ask("alerts");
    return found!
      .alerts!.map(({ labels }) => [labels.alertname, labels.repository].filter(Boolean).join(" "))
      .sort();
  } finally {
    program.kill();
    await ended;
    rmSync(folder, { recursive: true });
  }
}

/** Of what Prometheus answers, what is read here. */
interface Found {
  result?: { value: [number, string] }[];
  alerts?: { labels: { alertname: string; repository?: string } }[];
}
