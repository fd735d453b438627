import { mkdtempSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { finished, Machine, type Result } from "./machine.ts";

/** Two servers on one storage, with the same key files and host keys. */

const storage = mkdtempSync("/var/tmp/storage-");
let first: Machine;
let second: Machine;

beforeAll(async () => {
  const binds = [`${storage}:/repos`];
  [first, second] = (await Promise.all(
    ["first", "second"].map((hostname) => Machine.start({ hostname, binds })),
  )) as [Machine, Machine];
  await first.drop("repos/web", "repos/db");
  expect(await first.startServer()).toBeNull();
  await first.pinHostKeys();
  const keys = await first.ok("tar -C / -cz client sshkeys | base64 -w0");
  await second.ok("base64 -d | tar -C / -xz", { input: keys });
  for (const name of ["web", "db"])
    expect(await first.borg(name, `init -e none ${at(name)}`)).toMatchObject({ code: 0 });
}, 240_000);
afterAll(async () => {
  await first?.stop();
  await second?.stop();
  rmSync(storage, { recursive: true });
});

const at = (name: string) => `ssh://${name}@127.0.0.1/repos/${name}`;
const create = (machine: Machine, name: string, more = "") =>
  machine.borg(name, `create ${more} ${at(name)}::{now:%s%f} /etc/hostname`);

/** A backup through a server that goes on until something is written to /client/more. */
async function begin(machine: Machine): Promise<{ ended: Promise<Result> }> {
  await machine.ok("rm -f /client/more; mkfifo /client/more");
  const ended = finished(
    machine.spawn(
      `{ head -c 1000000 /dev/urandom; cat /client/more; } | borg create ${at("web")}::{now:%s%f} -`,
      { env: machine.client("web") },
    ),
  );
  await machine.ok("until [ -e /repos/web/lock.exclusive ]; do sleep 0.1; done");
  return { ended };
}

/** All that a server runs ends at once, and its client with it, as when its machine loses power. */
async function die(machine: Machine, { ended }: { ended: Promise<Result> }): Promise<void> {
  await machine.stopServer("pkill -KILL -x 'entrypoint|sshd|borg|borg-resident|borg-recorder|borgserver'");
  await machine.ok("echo end >/client/more"); // for what fed the client
  expect((await ended).code).not.toBe(0);
}

const status = async (machine: Machine) => JSON.parse(await machine.ok("status --json"));
const of = async (machine: Machine, name: string) =>
  (await status(machine)).find(({ repository }: { repository: string }) => repository === name);
/** What another node did is looked for every thirty seconds. */
const soon = { timeout: 50_000, interval: 500 };

test("a start leaves the lock of another server's session alone, and says that it is in use", async () => {
  const { ended } = await begin(first);
  const before = await first.ok("ls -i /repos/web/lock.exclusive");
  expect(before).toContain("first.");
  expect(await second.startServer()).toBeNull();
  await second.logged(/in use through other servers: \/repos\/web \(of first, 0 minutes old\)\n/);
  expect(second.log).not.toContain("break-lock");
  expect(await first.ok("ls -i /repos/web/lock.exclusive")).toBe(before);
  expect((await create(second, "web", "--lock-wait 1")).stderr).toContain(
    "Failed to create/acquire the lock",
  );
  await first.ok("echo end >/client/more");
  expect(await ended).toMatchObject({ code: 0 });
  expect(await create(second, "web")).toMatchObject({ code: 0 });
});

test("status is the same on both, whoever wrote", async () => {
  const bySecond = (await of(second, "web")).last_backup;
  expect(await create(first, "db")).toMatchObject({ code: 0 });
  await expect.poll(async () => (await of(first, "web")).last_backup, soon).toBe(bySecond);
  await expect.poll(async () => (await of(second, "db")).last_backup, soon).not.toBeNull();
  expect(await status(second)).toEqual(await status(first));
});

test("a repository that is being written keeps what is known of it, and is looked at again", async () => {
  const before = await of(second, "db");
  await second.ok("pkill -STOP -x borgserver");
  expect(await create(second, "db")).toMatchObject({ code: 0 });
  await second.ok("mv /repos/db/hints.* /client/; pkill -CONT -x borgserver");
  await expect.poll(async () => (await of(second, "db")).last_backup, soon).not.toBe(before.last_backup);
  await second.ok("sleep 3");
  expect(await of(second, "db")).toMatchObject({ problem: null, size: before.size });
  await second.ok("mv /client/hints.* /repos/db/");
  await expect.poll(async () => (await of(second, "db")).size, soon).toBeGreaterThan(before.size);
});

describe("a server that died", () => {
  test("keeps its locks until it is back, and clears them then", async () => {
    await die(first, await begin(first));
    const next = create(second, "web", "--lock-wait 60");
    expect(await of(second, "web")).toMatchObject({ lock: { kind: "exclusive", account: "web" } });
    expect(await first.ok("ls /repos/web/lock.exclusive")).toContain("first.");
    expect(await first.startServer()).toBeNull();
    expect(await next).toMatchObject({ code: 0 });
    expect(await first.ok("cat /repos/.borgserver/*/*.jsonl")).not.toContain("break-lock");
    await expect.poll(async () => (await of(second, "web")).lock, soon).toBeNull();
  });

  test("holds no lock in status any more when an operator broke it", async () => {
    await die(first, await begin(first));
    expect(await of(second, "web")).toMatchObject({ lock: { account: "web" } });
    await second.ok("break-lock /repos/web");
    await expect.poll(async () => (await of(second, "web")).lock, soon).toBeNull();
    expect(await second.ok("ls /repos/.borgserver/first/open")).not.toBe("");
    expect(await first.startServer()).toBeNull();
  });
});

describe("what cannot be beside a server that runs stops a start:", () => {
  test("another owner of the repositories", async () => {
    await second.stopServer();
    const refused = await second.startServer({ PUID: "2000", PGID: "2000" });
    expect(refused).toMatchObject({ code: 4 });
    expect(refused?.stderr).toContain(
      "PUID: the server first, which runs on this storage, has 1000:1000 as PUID and PGID",
    );
    expect(await second.ok("stat -c %u:%g /repos/web /repos/.borgserver")).toBe("1000:1000\n1000:1000\n");
  });

  test("the same host name", async () => {
    await second.ok("hostname first");
    const refused = await second.startServer();
    expect(refused).toMatchObject({ code: 4 });
    expect(refused?.stderr).toContain(
      "host name: another server on this storage is called first too, and runs",
    );
  });

  test("the name of a folder beside the records; one that looks random is told", async () => {
    await second.ok("hostname manifests");
    expect((await second.startServer())?.stderr).toContain('the host name cannot be "manifests"');
    await second.ok("hostname 3f2a9c0b1d4e");
    expect(await second.startServer()).toBeNull();
    expect(second.log).toContain(
      "the host name 3f2a9c0b1d4e looks random, and this storage has records of first",
    );
    await second.stopServer();
    await second.ok("hostname second");
    expect(await second.startServer()).toBeNull();
    expect(second.log).not.toContain("looks random");
  });
});

test("two servers that took one name together are told of each other, until one is gone", async () => {
  const ended = second.run("flock /repos/.borgserver/second/serving sleep 30");
  await second.ok("sleep 0.5; pkill -x borg-recorder");
  await expect
    .poll(() => second.log, soon)
    .toContain("WARNING: another server on this storage is called second too");
  await ended;
  await expect.poll(() => second.log, soon).toContain("no other server has this server's host name any more");
});

test("a storage that cannot be read for a while costs one line, and no process", async () => {
  await second.ok("chmod 0 /repos/.borgserver/second/open; pgrep -x borg-recorder >/client/recorder");
  await expect.poll(() => second.log, soon).toContain("what sessions did cannot be read: ");
  await second.ok("sleep 11; chmod 700 /repos/.borgserver/second/open");
  expect(second.log.split("what sessions did cannot be read").length).toBe(2);
  expect(await second.ok("pgrep -x borg-recorder")).toBe(await second.ok("cat /client/recorder"));
});
