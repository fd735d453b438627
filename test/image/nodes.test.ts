import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Result } from "../machine/machine.ts";
import { Containers } from "./containers.ts";

/**
 * Three servers on one storage: containers with names of their own, the same key files and host keys. Clients back up
 * through all of them while one after the other is killed and started again.
 *
 * NODES=whole: 600 sessions, and a server killed every twenty seconds for two minutes.
 */
const { sessions, kills, every } =
  process.env.NODES === "whole"
    ? { sessions: 600, kills: 6, every: 20_000 }
    : { sessions: 60, kills: 3, every: 8_000 };

const nodes = ["north", "east", "west"].map((name, at) => ({ name, port: 2251 + at }));
type Node = (typeof nodes)[number];
/** As many as there are clients, and each client writes to two of them. */
const repositories = ["r0", "r1", "r2", "r3", "r4", "r5"];
let containers: Containers;

beforeAll(async () => {
  containers = await Containers.start();
  await containers.machine.makeKey("client");
  await containers.ok("mkdir -p /nodes/sshkeys/repos /nodes/repos");
  for (const name of repositories) await containers.ok(`cp /client/client.pub /nodes/sshkeys/repos/${name}`);
  // All begin at once, without host keys, in an empty storage.
  await Promise.all(
    nodes.map(({ name, port }) =>
      containers.ok(
        `podman run --detach --name ${name} --hostname ${name} --publish 127.0.0.1:${port}:22 \
           --volume /nodes/sshkeys:/sshkeys --volume /nodes/repos:/repos --env WATCH_EVERY=off localhost/borgserver`,
      ),
    ),
  );
  for (const { name, port } of nodes) {
    await containers.listening(name);
    await containers.pin(name, port);
  }
}, 300_000);
afterAll(() => containers?.stop());

const url = ({ port }: Node, repository: string) =>
  `ssh://${repository}@127.0.0.1:${port}/repos/${repository}`;
const nodeAt = (at: number) => nodes[at % nodes.length]!;

/** Runs borg as one of several clients, each of which has its own cache. */
const borg = (client: number, words: string, input = "") =>
  containers.machine.run(`${input && `${input} |`} borg --lock-wait 90 ${words}`, {
    env: { ...containers.machine.client("client"), BORG_BASE_DIR: `/client/${client}` },
  });

async function start(node: Node): Promise<void> {
  await containers.ok(`podman start ${node.name}`);
  await containers.listening(node.name);
}

/** What sessions on all servers left (libexec/record.py). */
const records = async (): Promise<{ kind: string; complete: boolean; account: string }[]> =>
  (await containers.ok("cat /nodes/repos/.borgserver/*/*.jsonl"))
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

test("servers that begin together have the same host keys", async () => {
  const keys = await Promise.all(
    nodes.map(async ({ name }) => (await containers.exec(name, "borgserver known-hosts host")).stdout),
  );
  expect(keys[0]).toContain("ssh-ed25519");
  expect(new Set(keys)).toHaveLength(1);
});

test("the lock of a living session stays while another server is killed and started", async () => {
  const [north, east] = [nodeAt(0), nodeAt(1)];
  const live = url(north, "r0");
  expect(await borg(0, `init -e none ${live}`)).toMatchObject({ code: 0 });
  await containers.ok("mkfifo /client/more");
  const ended = borg(0, `create ${live}::live -`, "{ head -c 1000000 /dev/urandom; cat /client/more; }");
  const lock = "ls -i /nodes/repos/r0/lock.exclusive";
  await containers.ok(`until ${lock} 2>/dev/null; do sleep 0.1; done`);
  const before = await containers.ok(lock);
  await containers.ok(`podman kill --signal KILL ${east.name}; podman wait ${east.name}`);
  await start(east);
  expect(await containers.log(east.name)).toContain("in use through other servers: /repos/r0 (of north, ");
  expect(await containers.ok(lock)).toBe(before);
  await containers.ok("echo end >/client/more");
  expect(await ended).toMatchObject({ code: 0 });
});

/** What came of one run of a client. */
interface Attempt {
  archive: string;
  repository: string;
  node: Node;
  began: number;
  ended: number;
  result: Result;
}

test(`${sessions} backups through three servers, of which one is killed again and again: none is lost`, async () => {
  for (const [at, name] of repositories.slice(1).entries())
    expect(await borg(at, `init -e none ${url(nodeAt(at), name)}`)).toMatchObject({ code: 0 });
  const attempts: Attempt[] = [];
  const killed: { name: string; from: number; to: number }[] = [];
  let next = 0;
  const begun = Date.now();

  /** Backs up until it has succeeded, each time through another server. */
  async function backUp(client: number, session: number): Promise<void> {
    const repository = repositories[(client + (session % 2)) % repositories.length]!;
    for (let attempt = 0; attempt < 8; attempt++) {
      const node = nodeAt(session + attempt);
      const archive = `${session}-${attempt}`;
      const began = Date.now();
      // It holds the lock for a second, most of which it waits.
      const input = "{ head -c 20000 /dev/urandom; sleep 0.5; head -c 20000 /dev/urandom; }";
      const result = await borg(client, `create ${url(node, repository)}::${archive} -`, input);
      attempts.push({ archive, repository, node, began, ended: Date.now(), result });
      if (result.code === 0) return;
      await pause(500);
    }
  }
  const clients = repositories.map(async (_, client) => {
    while (next < sessions) await backUp(client, next++);
  });
  const killing = (async () => {
    for (let kill = 0; kill < kills; kill++) {
      await pause(Math.max(0, begun + (kill + 1) * every - Date.now()));
      const node = nodeAt(kill);
      const from = Date.now();
      await containers.ok(`podman kill --signal KILL ${node.name}; podman wait ${node.name}`);
      await start(node);
      killed.push({ name: node.name, from, to: Date.now() });
    }
  })();
  await Promise.all([...clients, killing]);
  const seconds = (Date.now() - begun) / 1000;

  const done = attempts.filter(({ result }) => result.code === 0);
  const failed = attempts.filter(({ result }) => result.code !== 0);
  expect(new Set(done.map(({ archive }) => archive.split("-")[0]))).toHaveLength(sessions);

  // Each client that ended well has its archive, and every repository is sound.
  for (const repository of repositories) {
    const listed = (await borg(0, `list --short ${url(nodeAt(0), repository)}`)).stdout.split("\n");
    const its = done.filter((attempt) => attempt.repository === repository).map(({ archive }) => archive);
    expect(its.filter((archive) => !listed.includes(archive))).toEqual([]);
  }
  const check = await containers.exec(nodeAt(0).name, "check all");
  expect(`${check.code} ${check.stderr}`).toMatch(/^0 /);

  // Nobody broke another server's lock: borg names each that it removes, a session whose lock was broken is refused,
  // and nothing but the end of its server ended a session.
  const removed = attempts.flatMap(({ node, result }) =>
    [...result.stderr.matchAll(/(?:Killed|Removed) stale .*?(north|east|west)/g)].map(([, host]) => [
      node.name,
      host,
    ]),
  );
  expect(removed.filter(([by, host]) => by !== host)).toEqual([]);
  const kinds = await records();
  expect(kinds.filter(({ kind }) => kind === "break-lock")).toEqual([]);
  for (const { node, began, ended, result } of failed) {
    expect(result.stderr).not.toContain("does not hold the repository's exclusive lock");
    const isKilled = killed.some(({ name, from, to }) => name === node.name && from <= ended && began <= to);
    expect({ isKilled, stderr: result.stderr }).toMatchObject({ isKilled: true });
  }
  expect(kinds.filter(({ kind, complete }) => kind === "create" && complete).length).toBeGreaterThanOrEqual(
    sessions,
  );

  // What each server knows is the same, whoever served.
  const statuses = () =>
    Promise.all(nodes.map(async ({ name }) => (await containers.exec(name, "status --json")).stdout));
  await expect.poll(async () => new Set(await statuses()).size, { timeout: 70_000, interval: 1000 }).toBe(1);
  const [status] = (await statuses()).map((text) => JSON.parse(text));
  for (const each of status!) {
    expect(each).toMatchObject({ last_kind: "create", lock: null, unfinished: false, problem: null });
    expect(Date.parse(each.last_backup)).toBeGreaterThan(begun - 1000);
  }
  const slowest = Math.max(...done.map(({ began, ended }) => ended - began));
  console.log(
    `${sessions} sessions in ${seconds.toFixed(0)} s, ${kills} kills: ${failed.length} attempts ended with their server, ${removed.length} own locks removed by borg, 0 backups lost, longest ${(slowest / 1000).toFixed(1)} s`,
  );
}, 1_800_000);
