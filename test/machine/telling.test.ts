import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Machine, programs } from "./machine.ts";

/** What the server says by itself: three repositories, one late, one damaged, one full, and those who are told. */

let machine: Machine;
const root = join(import.meta.dirname, "../..");
const environment = {
  WATCH_EVERY: "2s",
  NOTIFY: "ntfy://127.0.0.1:8099/everything json://127.0.0.1:8099/hook",
  PING_PRIVATE: "1",
  STATUS_LISTEN: "127.0.0.1:9100",
  METRICS_FILE: "/metrics/borgserver.prom",
};
beforeAll(async () => {
  mkdirSync(`${root}/build/screenshots`, { recursive: true });
  machine = await Machine.start({
    hostname: "backup1",
    binds: [`${root}/build/apprise:/opt/apprise`, `${root}/build/screenshots:/screenshots`],
    packages: "chromium prometheus", // the same as for test/teller
  });
  machine.spawn(`exec python3 -I ${programs}/sink.py 8099 /client/sunk`);
  await machine.ok("mkdir /metrics");
  await machine.drop("repos/web", "repos/db", "repos/files", "repos-appendonly/log");
  await machine.write(
    "/sshkeys/settings/web",
    'late-after = "20s"\nping = "http://127.0.0.1:8099/hc"\nnotify = "json://127.0.0.1:8099/of-web"\n',
  );
  await machine.write("/sshkeys/settings/files", 'quota = "10M"\n');
  expect(await machine.startServer(environment)).toBeNull();
  await machine.pinHostKeys();
  await machine.ok("head -c 9700000 /dev/urandom >/client/large; echo small >/client/small");
}, 60_000);
afterAll(() => machine?.stop());

interface Taken {
  path: string;
  body: string;
}

async function taken(): Promise<Taken[]> {
  const text = await machine.ok("cat /client/sunk 2>/dev/null || true");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** The messages of an address so far, each as its title and its lines. */
async function messages(path: string): Promise<string[][]> {
  const found = (await taken()).filter((each) => each.path === path);
  return found.map(({ body }) => {
    const { title, message } = JSON.parse(body);
    return [title, ...message.split("\n")];
  });
}

/** Those of the webhook, as soon as there are so many. */
async function told(count: number, path = "/hook"): Promise<string[][]> {
  await expect
    .poll(async () => (await messages(path)).length, { timeout: 70_000, interval: 500 })
    .toBeGreaterThanOrEqual(count);
  const found = await messages(path);
  expect(found, JSON.stringify(found, null, 1)).toHaveLength(count);
  return found;
}

const borg = (key: string, words: string) => machine.borg(key, words);
const url = (name: string) => `ssh://${name}@127.0.0.1/repos/${name}`;

test("late, damaged, full: each is said once, to each that is to be told", { timeout: 400_000 }, async () => {
  // Late: never backed up for 20 s.
  const [late] = await told(1);
  expect(late).toEqual([
    "borgserver backup1: web: late: there has never been a backup",
    "web: late: there has never been a backup",
  ]);
  expect(await told(1, "/of-web")).toEqual([late]);
  // ntfy's own form has the topic in its body.
  const ntfy = (await taken()).filter(({ path }) => path === "/").map(({ body }) => JSON.parse(body));
  expect(ntfy).toMatchObject([{ topic: "everything", title: late?.[0], message: late?.[1] }]);

  // Full.
  expect((await borg("files", `init -e none ${url("files")}`)).code).toBe(0);
  expect((await borg("files", `create ${url("files")}::a /client/large`)).code).toBe(0);
  const [, full] = await told(2);
  expect(full?.[1]).toMatch(/^files: 9[67] % of its quota are used, 9\.7 MB of 10\.0 MB$/);

  // Damaged.
  expect((await borg("db", `init -e none ${url("db")}`)).code).toBe(0);
  expect((await borg("db", `create ${url("db")}::a /client/large`)).code).toBe(0);
  await machine.ok("printf x | dd of=/repos/db/data/0/1 bs=1 seek=4000 conv=notrunc 2>/dev/null");
  expect((await borg("db", `check ${url("db")}`)).code).toBe(1);
  const [, , damaged] = await told(3);
  expect(damaged).toEqual([
    "borgserver backup1: db: damaged: its last check found errors",
    "db: damaged: its last check found errors",
  ]);

  // The account's own address was told of its own repository alone.
  expect(await messages("/of-web")).toHaveLength(1);
});

test("Prometheus alerts of the same three by the rules of docs, and the page shows what is late first", {
  timeout: 120_000,
}, async () => {
  const metrics = `python3 -c 'import urllib.request as r; print(r.urlopen("http://127.0.0.1:9100/metrics").read().decode(), end="")'`;
  expect(await machine.run(`${metrics} | promtool check metrics`)).toEqual({
    code: 0,
    stdout: "",
    stderr: "",
  });
  const alerts = await machine.ok(
    `python3 ${programs}/alerts.py 127.0.0.1:9100 ${root}/docs/prometheus/alerts.yml`,
  );
  expect(alerts).toBe("BorgBackupLate web\nBorgQuotaNearlyFull files\nBorgRepositoryDamaged db\n");

  const chromium = "chromium --headless --no-sandbox --disable-gpu --window-size=1240,640";
  const page = await machine.ok(`${chromium} --dump-dom http://127.0.0.1:9100/ 2>/dev/null`);
  const names = [...page.matchAll(/<th scope="row"><a [^>]*>([^<]*)</g)].map(([, name]) => name);
  expect(names).toEqual(["web", "db", "files", "log"]);
  expect(page).toMatch(/<li class="bad">late<[\s\S]*<li class="bad">damaged: [\s\S]*10\.0 MB 9[67] %</);
  for (const [file, path] of [
    ["live", ""],
    ["live-repository", "repository/db"],
  ])
    await machine.ok(`${chromium} --screenshot=/screenshots/${file}.png http://127.0.0.1:9100/${path} 2>&1`);
});

test("a restart repeats nothing", { timeout: 120_000 }, async () => {
  await machine.stopServer();
  expect(await machine.startServer(environment)).toBeNull();
  await machine.ok("sleep 35"); // longer than the pause between two looks
  expect(await messages("/hook")).toHaveLength(3);
});

test("what is over is said, and a backup is a ping", { timeout: 200_000 }, async () => {
  expect((await borg("web", `init -e none ${url("web")}`)).code).toBe(0);
  expect((await borg("web", `create ${url("web")}::a /client/small`)).code).toBe(0);
  const recovered = (await told(4)).at(-1);
  await machine.write(
    "/sshkeys/settings/web",
    'late-after = "1d"\nping = "http://127.0.0.1:8099/hc"\nnotify = "json://127.0.0.1:8099/of-web"\n',
  );
  expect(recovered).toEqual([
    "borgserver backup1: recovered: web: no longer late",
    "recovered: web: no longer late",
  ]);
  expect(await told(2, "/of-web")).toEqual([expect.anything(), recovered]);
  const pings = async () =>
    (await taken()).filter(({ path }) => path.startsWith("/hc")).map(({ path }) => path);
  await expect.poll(pings, { timeout: 20_000 }).toEqual(["/hc"]);
  await machine.run(
    `{ head -c 30000000 /dev/urandom; sleep 30; } | borg create ${url("web")}::b - & sleep 4; pkill -9 -x ssh; wait`,
    { env: machine.client("web") },
  );
  await expect.poll(pings, { timeout: 30_000 }).toEqual(["/hc", "/hc/fail"]);
});

test("what deletes on a large scale, or tries to, is said at once", { timeout: 200_000 }, async () => {
  expect((await borg("files", `delete ${url("files")}::a`)).code).toBe(0);
  const deleted = (await told(5)).at(-1);
  expect(deleted?.[1]).toMatch(/^files: files, from 127\.0\.0\.1, removed [0-9]+ of its [0-9]+ objects\.$/);
  expect((await borg("log", `init -e none ${url("log")}`)).code).toBe(0);
  expect((await borg("log", `create ${url("log")}::a /client/small`)).code).toBe(0);
  expect((await borg("log", `delete ${url("log")}::a`)).code).toBe(2);
  expect((await told(6)).at(-1)?.[1]).toBe(
    "log: log, from 127.0.0.1, tried to delete what was backed up and was refused; the account is append-only.",
  );
});

test("a problem in /sshkeys that keeps changes from taking effect", { timeout: 200_000 }, async () => {
  await machine.write("/sshkeys/repos/wrong", "no key\n");
  const problem = (await told(7)).at(-1);
  expect(problem?.[1]).toMatch(/^changes in \/sshkeys are not in force: \/sshkeys\/repos\/wrong:1: /);
  await machine.ok("rm /sshkeys/repos/wrong");
  expect((await told(8)).at(-1)?.[1]).toBe("recovered: changes in /sshkeys are in force again");
});

test("what cannot be sent waits, and no log and no command line has an address", {
  timeout: 200_000,
}, async () => {
  expect(machine.log).not.toMatch(/8099|everything/);
  const words = await machine.ok("cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
  expect(words).not.toMatch(/json:\/\/|ntfy:\/\//);
  const stored = await machine.ok(
    "strings -a /var/lib/borgserver/ledger.sqlite* /var/lib/borgserver/index.sqlite || true",
  );
  expect(stored).not.toMatch(/json:\/\/|ntfy:\/\//);
  await machine.ok(`pkill -f '[s]ink.py'; echo 'late-after = "1s"' >>/sshkeys/settings/files`);
  await expect
    .poll(() => machine.log, { timeout: 60_000 })
    .toMatch(/address 1 of NOTIFY \(ntfy\) was not told: it could not be reached[.\s]+It is tried again\./);
  machine.spawn(`exec python3 -I ${programs}/sink.py 8099 /client/sunk`);
  expect((await told(9)).at(-1)?.[1]).toMatch(/^files: late: /);
});

test("the page, the metrics and their file show the same", { timeout: 60_000 }, async () => {
  const get = (path: string) =>
    machine.ok(
      `python3 -c 'import urllib.request as r; print(r.urlopen("http://127.0.0.1:9100${path}").read().decode(), end="")'`,
    );
  await expect.poll(() => get("/healthz")).toBe("ok\n");
  expect(
    JSON.parse(await get("/status.json")).map(({ repository }: { repository: string }) => repository),
  ).toEqual(["db", "files", "log", "web"]);
  expect(await get("/metrics")).toContain('borgserver_repository_last_check_success{repository="db"} 0');
  expect(await machine.ok("cat /metrics/borgserver.prom")).toContain(
    'borgserver_repository_quota_bytes{repository="files"}',
  );
  expect(await get("/")).toContain("<table");
});
