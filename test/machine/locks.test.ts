import { mkdtempSync, rmSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { finished, Machine } from "./machine.ts";

// Two machines with one name on one storage, as a server and a "docker run" of the same image beside it.
const storage = mkdtempSync("/var/tmp/storage-");
let server: Machine;
let beside: Machine;

beforeAll(async () => {
  [server, beside] = (await Promise.all(
    [1, 2].map(() => Machine.start({ binds: [`${storage}:/repos`] })),
  )) as [Machine, Machine];
  await server.drop("repos/web");
  expect(await server.startServer()).toBeNull();
  await server.pinHostKeys();
  expect(await server.borg("web", "init -e none ssh://web@127.0.0.1/repos/web")).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await server?.stop();
  await beside?.stop();
  rmSync(storage, { recursive: true });
});

let begun = 0;

/** A backup that goes on until something is written to /client/more. */
async function begin(): Promise<{ ended: Promise<{ code: number | null }> }> {
  await server.ok("rm -f /client/more; mkfifo /client/more");
  const backup = server.spawn(
    `{ head -c 1000000 /dev/urandom; cat /client/more; } | borg create ssh://web@127.0.0.1/repos/web::long${++begun} -`,
    { env: server.client("web") },
  );
  const ended = finished(backup);
  await server.ok("until [ -e /repos/web/lock.exclusive ]; do sleep 0.1; done");
  return { ended };
}

test("a borg command outside of the server's container leaves its live locks alone", async () => {
  const { ended } = await begin();
  const { code, stderr } = await beside.run("borg create --lock-wait 1 /repos/web::x /etc/hostname");
  expect(stderr).toContain("Failed to create/acquire the lock");
  expect(stderr).not.toContain("stale");
  expect(code).toBe(2);
  await server.ok("echo end >/client/more");
  expect(await ended).toMatchObject({ code: 0 });
});

test("a lock whose session was killed is cleared by the next session, and by the operator's commands", async () => {
  for (const next of [
    () => server.borg("web", "create ssh://web@127.0.0.1/repos/web::after /etc/hostname"),
    () => server.run("check /repos/web"),
  ]) {
    const { ended } = await begin();
    await server.ok("pkill -KILL -u 1000 -x borg");
    await server.ok("echo end >/client/more");
    expect((await ended).code).not.toBe(0);
    expect(await server.ok("ls /repos/web")).toContain("lock.exclusive");
    const { code, stderr } = await next();
    expect(`${code} ${stderr}`).toMatch(/^0 /);
  }
});

test("a lock that a server's end left is cleared by its next start, also where another process has that number", async () => {
  await server.ok("mkdir /repos/db && cp -a /repos/web/. /repos/db");
  const { ended } = await begin();
  await server.ok("pkill -KILL -u 1000 -x borg; echo end >/client/more");
  await ended;
  // As after the start of a container, when numbers of processes begin anew: this one is the first process's.
  await server.ok(
    `cd /repos/web/lock.exclusive && mv backup.* backup.1-0 && cd .. && echo '{"exclusive": [["backup", 1, 0]], "shared": [["backup", 1, 0], ["other", 1, 0]]}' >lock.roster
     cd /repos/db && mkdir lock.exclusive && touch lock.exclusive/other.1-0`,
  );
  const create = "create --lock-wait 1 ssh://web@127.0.0.1/repos/web::again /etc/hostname";
  expect((await server.borg("web", create)).stderr).toContain("Failed to create/acquire the lock");
  await server.stopServer();
  expect(await server.startServer()).toBeNull();
  expect(await server.ok("ls /repos/db/lock.exclusive; cat /repos/web/lock.roster")).toBe(
    'other.1-0\n{"exclusive":[],"shared":[["other",1,0]]}',
  );
  await server.ok(`echo '{}' >/repos/web/lock.roster`);
  const { code, stderr } = await server.borg("web", create);
  expect(`${code} ${stderr}`).toMatch(/^0 /);
});

test("what a client put in a lock's place neither stops a start nor is followed", async () => {
  await server.stopServer();
  await server.ok(
    `cd /repos/db && rm -rf lock.exclusive lock.roster && mkdir /client/there && touch /client/there/backup.1-0
     ln -s /client/there lock.exclusive && mkfifo lock.roster && ln -sfn /repos/db/lock.roster /repos/web/lock.roster`,
  );
  expect(await server.startServer()).toBeNull();
  expect(await server.ok("ls /client/there")).toBe("backup.1-0\n");
  await server.ok("rm /repos/web/lock.roster");
});
