import { Counter, Gauge, Registry } from "prom-client";
import type { Published, PublishedRepository } from "./published.ts";

/**
 * The state as Prometheus reads it (text format 0.0.4). What is not known has no sample: 0 would be a value. Times are
 * seconds since 1970, never ages.
 */
export function metricsText(published: Published): Promise<string> {
  const registry = new Registry();
  serverMetrics(registry, published);
  repositoryMetrics(registry, published.repositories);
  sessionMetrics(registry, published.repositories);
  return registry.metrics();
}

/** The figures of this process, by the names that they have in every program. */
export function processMetricsText(): Promise<string> {
  const registry = new Registry();
  const { user, system } = process.cpuUsage();
  const processor = new Counter({
    ...{ name: "process_cpu_seconds_total", registers: [registry] },
    help: "Processor time of the process that answers, in seconds",
  });
  processor.inc((user + system) / 1e6);
  const gauge = gaugesOf(registry);
  gauge("process_resident_memory_bytes", "Memory of the process that answers, in bytes", memory());
  gauge(
    "process_start_time_seconds",
    "When the process that answers was started",
    Math.round(Date.now() / 1000 - process.uptime()),
  );
  return registry.metrics();
}

/** Null where /proc is closed to the process. */
function memory(): number | null {
  try {
    return process.memoryUsage.rss() || null;
  } catch {
    return null;
  }
}

/** A figure without labels; none where it is not known. */
const gaugesOf = (registry: Registry) => (name: string, help: string, value: number | null) => {
  if (value !== null) new Gauge({ name, help, registers: [registry] }).set(value);
};

function serverMetrics(
  registry: Registry,
  { made, version, index, settings, problems, storage }: Published,
): void {
  const gauge = gaugesOf(registry);
  new Gauge({
    ...{ name: "borgserver_build_info", help: "The version of the server", labelNames: ["version"] },
    registers: [registry],
  }).set({ version }, 1);
  gauge("borgserver_state_timestamp_seconds", "When the keeper put this state together", seconds(made));
  gauge("borgserver_accounts", "Accounts that are served", index?.accounts ?? null);
  gauge("borgserver_keys", "Public keys that open an account", index?.keys ?? null);
  gauge(
    "borgserver_index_published_timestamp_seconds",
    "When the keys and settings that are in force were published",
    seconds(index?.published ?? null),
  );
  gauge(
    "borgserver_settings_timestamp_seconds",
    "When the settings of the environment were read, at the server's start",
    seconds(settings),
  );
  gauge("borgserver_problems", "Problems in /sshkeys that keep changes from taking effect", problems);
  gauge("borgserver_storage_free_bytes", "Free space of the storage of /repos", storage?.free ?? null);
  gauge("borgserver_storage_size_bytes", "Size of the storage of /repos", storage?.size ?? null);
}

/** What each repository has, by the end of its metric's name. */
const ofARepository: [string, string, (repository: PublishedRepository) => number | null][] = [
  [
    "last_backup_timestamp_seconds",
    "When the last complete backup was made",
    ({ status }) => seconds(status.lastBackup),
  ],
  ["last_commit_timestamp_seconds", "When it last changed", ({ status }) => seconds(status.lastCommit)],
  ["last_check_timestamp_seconds", "When it was last checked", ({ status }) => seconds(status.lastCheck)],
  [
    "last_check_success",
    "Whether its last check found no errors",
    ({ status }) => (status.lastCheckOk === null ? null : Number(status.lastCheckOk)),
  ],
  [
    "last_compact_timestamp_seconds",
    "When it was last compacted",
    ({ status }) => seconds(status.lastCompact),
  ],
  ["size_bytes", "What it uses of the storage", ({ status }) => status.size],
  ["reclaimable_bytes", "What a compaction would free", ({ status }) => status.reclaimable],
  ["quota_bytes", "What it may use of the storage", ({ status }) => status.quota],
  ["objects", "Objects in it", ({ status }) => status.objects],
  [
    "late_after_seconds",
    "How old its last complete backup may be",
    ({ lateAfter }) => (lateAfter === null ? null : lateAfter / 1000),
  ],
  ["late", "Whether its last complete backup is older than it may be", ({ status }) => Number(status.late)],
  ["archived", "Whether it is frozen", ({ status }) => Number(status.archived)],
  ["readable", "Whether its files could be read", ({ status }) => Number(status.problem === null)],
  ["unfinished", "Whether its last session broke off", ({ status }) => Number(status.unfinished)],
  [
    "lock_since_timestamp_seconds",
    "Since when somebody has its exclusive lock",
    ({ status: { lock } }) => (lock?.kind === "exclusive" ? seconds(lock.since) : null),
  ],
];

function repositoryMetrics(registry: Registry, repositories: readonly PublishedRepository[]): void {
  for (const [end, help, figure] of ofARepository) {
    const gauge = new Gauge({
      ...{ name: `borgserver_repository_${end}`, help, labelNames: ["repository"] },
      registers: [registry],
    });
    for (const repository of repositories) {
      const value = figure(repository);
      if (value !== null) gauge.set({ repository: repository.status.repository }, value);
    }
  }
}

function sessionMetrics(registry: Registry, repositories: readonly PublishedRepository[]): void {
  const labelNames = ["repository", "kind", "result"];
  const counter = (name: string, help: string) =>
    new Counter({ name, help, labelNames, registers: [registry] });
  const sessions = counter("borgserver_sessions_total", "Sessions that have ended");
  const received = counter("borgserver_session_received_bytes_total", "Bytes from clients");
  const sent = counter("borgserver_session_sent_bytes_total", "Bytes to clients");
  for (const { status, totals } of repositories)
    for (const total of totals) {
      const result = total.complete ? "complete" : "broken_off";
      const labels = { repository: status.repository, kind: total.kind, result };
      sessions.inc(labels, total.sessions);
      received.inc(labels, total.bytesIn);
      sent.inc(labels, total.bytesOut);
    }
}

function seconds(time: number): number;
function seconds(time: number | null): number | null;
function seconds(time: number | null): number | null {
  return time === null ? null : time / 1000;
}
