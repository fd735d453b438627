import { expect, test } from "vitest";
import { metricsText, processMetricsText } from "../../../src/teller/metrics.ts";
import { published, repository, unknown } from "./made-up.ts";

const now = Date.UTC(2026, 10, 28, 12);
const at = now / 1000;
const hour = 3600;

/** The samples, by name and labels. */
const samplesOf = (text: string) =>
  Object.fromEntries(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );

test("a repository's figures are in base units, and times are timestamps", async () => {
  const its = repository("web", now, {
    ...{ quota: 5e11, late: true, unfinished: true, archived: true, problem: "it has no config" },
    lock: { kind: "exclusive", account: "web", since: now - 60_000 },
  });
  const samples = samplesOf(await metricsText(published([its], now)));
  const ofIt = Object.entries(samples).filter(([name]) => name.startsWith("borgserver_repository_"));
  expect(Object.fromEntries(ofIt)).toEqual(
    Object.fromEntries(
      Object.entries({
        ...{ last_backup_timestamp_seconds: at - 7 * hour, last_commit_timestamp_seconds: at - 7 * hour },
        ...{ last_check_timestamp_seconds: at - 50 * hour, last_check_success: 1 },
        ...{ last_compact_timestamp_seconds: at - 240 * hour, size_bytes: 212e9, reclaimable_bytes: 8.4e9 },
        ...{ quota_bytes: 5e11, objects: 48_000, late_after_seconds: 26 * hour, late: 1, archived: 1 },
        ...{ readable: 0, unfinished: 1, lock_since_timestamp_seconds: at - 60 },
      }).map(([name, value]) => [`borgserver_repository_${name}{repository="web"}`, value]),
    ),
  );
});

test("what is not known has no sample", async () => {
  const its = repository("new", now, unknown, { lateAfter: null, totals: [] });
  const samples = samplesOf(
    await metricsText(published([its], now, { index: null, settings: null, storage: null })),
  );
  expect(samples).toEqual({
    'borgserver_build_info{version="1.0.0"}': 1,
    borgserver_state_timestamp_seconds: at,
    borgserver_problems: 0,
    'borgserver_repository_late{repository="new"}': 0,
    'borgserver_repository_archived{repository="new"}': 0,
    'borgserver_repository_readable{repository="new"}': 1,
    'borgserver_repository_unfinished{repository="new"}': 0,
  });
});

test("a shared lock is none that somebody waits for", async () => {
  const its = repository("web", now, { lock: { kind: "shared", account: null, since: now } });
  expect(await metricsText(published([its], now))).not.toMatch(/lock_since_timestamp_seconds\{/);
});

test("the server's figures", async () => {
  const samples = samplesOf(await metricsText(published([], now, { problems: 3 })));
  expect(samples).toEqual({
    'borgserver_build_info{version="1.0.0"}': 1,
    ...{ borgserver_state_timestamp_seconds: at, borgserver_problems: 3 },
    ...{ borgserver_accounts: 0, borgserver_keys: 0 },
    borgserver_index_published_timestamp_seconds: at - 100 * hour,
    borgserver_settings_timestamp_seconds: at - 200 * hour,
    ...{ borgserver_storage_free_bytes: 1.2e12, borgserver_storage_size_bytes: 4e12 },
  });
});

test("sessions and bytes by repository, kind and result", async () => {
  const totals = [
    { kind: "create" as const, complete: true, sessions: 30, bytesIn: 9e9, bytesOut: 1e6 },
    { kind: "create" as const, complete: false, sessions: 2, bytesIn: 1e9, bytesOut: 0 },
  ];
  const samples = samplesOf(await metricsText(published([repository("web", now, {}, { totals })], now)));
  const labels = (result: string) => `{repository="web",kind="create",result="${result}"}`;
  expect(samples).toMatchObject({
    [`borgserver_sessions_total${labels("complete")}`]: 30,
    [`borgserver_sessions_total${labels("broken_off")}`]: 2,
    [`borgserver_session_received_bytes_total${labels("complete")}`]: 9e9,
    [`borgserver_session_received_bytes_total${labels("broken_off")}`]: 1e9,
    [`borgserver_session_sent_bytes_total${labels("complete")}`]: 1e6,
    [`borgserver_session_sent_bytes_total${labels("broken_off")}`]: 0,
  });
});

test("a name is a label's value and nothing more", async () => {
  const name = 'a"} 1\nevil{x="\\';
  const text = await metricsText(published([repository(name, now)], now));
  expect(text).not.toMatch(/^evil/m);
  expect(text).toContain('borgserver_repository_late{repository="a\\"} 1\\nevil{x=\\"\\\\"} 0\n');
});

test("nothing of an earlier state is left", async () => {
  const two = published([repository("a", now), repository("b", now)], now);
  const one = published([repository("a", now)], now);
  expect(await metricsText(two)).toContain('repository="b"');
  expect(await metricsText(one)).not.toContain('repository="b"');
  expect(await metricsText(one)).toBe(await metricsText(one)); // a counter is not counted on
});

test("ten times as many repositories take about ten times as long", async () => {
  const time = async (count: number) => {
    const all = Array.from({ length: count }, (_, index) => repository(`web${index}`, now));
    const began = performance.now();
    const text = await metricsText(published(all, now));
    const took = performance.now() - began;
    expect(text.match(/^borgserver_repository_size_bytes\{/gm)).toHaveLength(count);
    return took;
  };
  await time(1000); // what is compiled at first is compiled
  const [few, many] = [await time(1000), await time(10_000)];
  expect(many / few).toBeLessThan(40); // of what grows with the square it would be a hundred
});

test("the figures of the process have the names that all programs give them", async () => {
  const samples = samplesOf(await processMetricsText());
  expect(Object.keys(samples)).toEqual([
    ...["process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"],
  ]);
  expect(samples.process_cpu_seconds_total).toBeGreaterThan(0);
  expect(samples.process_resident_memory_bytes).toBeGreaterThan(1e6);
  expect(Math.abs(samples.process_start_time_seconds! - Date.now() / 1000)).toBeLessThan(3600);
});
