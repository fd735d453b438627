import type { ChildProcess } from "node:child_process";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { finished, Machine, type Result } from "./machine.ts";

let machine: Machine;
const long = "n".repeat(255);
/** Differs from the other in its last letter alone. */
const twin = `${"n".repeat(254)}m`;

beforeAll(async () => {
  machine = await Machine.start();
  for (const key of ["one", "two", "other"]) await machine.makeKey(key);
});
afterAll(() => machine?.stop());

beforeEach(async () => {
  await machine.stopServer();
  await machine.ok(
    `rm -rf /sshkeys/repos/* /sshkeys/admins/* /repos/*; cd /client; cat one.pub two.pub >/sshkeys/repos/web
     cp other.pub /sshkeys/repos/bystander; cp one.pub /sshkeys/repos/${long}; cp one.pub /sshkeys/repos/${twin}`,
  );
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
});

interface Session {
  process: ChildProcess;
  ended: Promise<Result>;
}

/** A session that is open until its input ends; `options` for ssh. */
async function open(key: string, account: string, options = ""): Promise<Session> {
  const before = await borgs();
  const process = machine.spawn(
    `exec ssh -i /client/${key} -o IdentitiesOnly=yes -o UserKnownHostsFile=/client/known_hosts -o BatchMode=yes ${options} ${account}@127.0.0.1 borg serve`,
  );
  const session = { process, ended: finished(process) };
  while ((await borgs()) === before) await machine.ok("sleep 0.05");
  return session;
}

/** A connection that is kept for several sessions and has none. */
const openMaster = (key: string, account: string) =>
  machine.ssh(key, `-M -S /client/master-${key} -f -N ${account}@127.0.0.1 >/dev/null 2>&1`);
const lives = async (key: string) =>
  (await machine.run(`ssh -S /client/master-${key} -O check x 2>&1`)).code === 0;

const borgs = async () => Number(await machine.ok("pgrep -c -u 1000 -x borg || true"));
const isOpen = ({ process }: Session) => process.exitCode === null;
async function close(session: Session): Promise<number | null> {
  session.process.stdin!.end();
  return (await session.ended).code;
}

describe.each(["update-borgusers", "index rebuild"])("%s", (command) => {
  test("ends the sessions of a removed account, and no others", async () => {
    const gone = await open("one", "web");
    const bystander = await open("other", "bystander");
    await machine.ok("rm /sshkeys/repos/web");
    expect(await machine.ok(command)).toContain("account web: 1 connection ended\n");
    expect((await gone.ended).code).not.toBe(0);
    expect(isOpen(bystander)).toBe(true);
    expect(await close(bystander)).toBe(0);
  });

  test("ends what a removed key opened, also without a session, and not what the account's other key did", async () => {
    const [first, second] = [await open("one", "web"), await open("two", "web")];
    await openMaster("one", "web");
    await openMaster("two", "web");
    await machine.ok("cp /client/two.pub /sshkeys/repos/web");
    expect(await machine.ok(command)).toContain("account web: 2 connections ended\n");
    expect((await first.ended).code).not.toBe(0);
    expect([isOpen(second), await lives("one"), await lives("two")]).toEqual([true, false, true]);
    expect(
      await machine.ok("ssh -S /client/master-two web@127.0.0.1 borg serve </dev/null >/dev/null; echo $?"),
    ).toBe("0\n");
    await machine.ok("ssh -S /client/master-two -O exit x 2>/dev/null");
    expect(await close(second)).toBe(0);
  });

  test("distinguishes names that are as long as names can be", async () => {
    const [gone, stays] = [await open("one", long), await open("one", twin)];
    await machine.ok(`rm /sshkeys/repos/${long}`);
    expect(await machine.ok(command)).toContain(`account ${long}: 1 connection ended\n`);
    expect((await gone.ended).code).not.toBe(0);
    expect(isOpen(stays)).toBe(true);
    expect(await close(stays)).toBe(0);
  });

  test("leaves everything open that the same key still opens, in whichever role", async () => {
    const session = await open("one", "web");
    await machine.ok(`cp /client/other.pub /sshkeys/repos/more; cat /client/other.pub >>/sshkeys/repos/web`);
    expect(await machine.ok(command)).not.toContain("ended");
    await machine.ok("mv /sshkeys/repos/web /sshkeys/admins/web");
    expect(await machine.ok(command)).not.toContain("ended");
    expect(isOpen(session)).toBe(true);
    expect(await close(session)).toBe(0);
  });
});

/** A backup that holds its lock, and goes on for longer than a test waits. */
async function beginBackup(key: string, account: string): Promise<Session> {
  const env = machine.client(key);
  const url = `ssh://${account}@127.0.0.1/repos/${account}`;
  await machine.ok(`borg init -e none ${url}`, { env });
  const process = machine.spawn(
    `{ head -c 1000000 /dev/urandom; sleep 30 & echo $! >>/client/sleeping; wait; } | borg create ${url}::a -`,
    { env },
  );
  const ended = finished(process);
  await machine.ok(`until [ -e /repos/${account}/lock.exclusive ]; do sleep 0.05; done`);
  return { process, ended };
}

/** What is left of sessions where they and whoever ended them are over, also of a backup's client. */
async function leftOf(...backups: Session[]): Promise<string> {
  const left = await machine.ok(
    "find /repos -name 'lock*'; pgrep -l -u 1000 -x borg; pgrep -l -x session; :",
  );
  await machine.ok("kill $(cat /client/sleeping); rm /client/sleeping");
  for (const { ended } of backups) expect((await ended).code).not.toBe(0);
  return left;
}

test("a backup that is ended so leaves no lock, also where its end takes a while", async () => {
  const backup = await beginBackup("one", "web");
  expect(
    await machine.ok(
      `pkill -STOP -u 1000 -x borg; rm /sshkeys/repos/web; update-borgusers & command=$!
       sleep 3; kill -0 $command && echo waits; pkill -CONT -u 1000 -x borg; wait $command`,
    ),
  ).toContain("waits\naccount web: 1 connection ended\n");
  expect(await leftOf(backup)).toBe("");
});

test("the server's end asks all sessions to end, which leaves no lock", async () => {
  const backups = [await beginBackup("one", "web"), await beginBackup("other", "bystander")];
  // The first process of a container is what docker stop asks.
  expect(await machine.stopServer(`kill "$(ps -o ppid= -p "$(cat /run/borgserver/sshd.pid)")"`)).toBe(0);
  expect(await leftOf(...backups)).toBe("");
  expect(machine.log).not.toContain("did not end");
});

test("a key that was offered and not proven does not count for the connection", async () => {
  // The public half of "two" is offered first and found good, and then "one" logs in.
  await machine.ok("cp /client/two.pub /client/half.pub; cp /client/two /client/aside; rm /client/two");
  try {
    const session = await open("one", "web", "-i /client/half.pub");
    await machine.ok("cp /client/two.pub /sshkeys/repos/web");
    expect(await machine.ok("index rebuild")).toContain("account web: 1 connection ended\n");
    expect((await session.ended).code).not.toBe(0);
  } finally {
    await machine.ok("mv /client/aside /client/two");
  }
});

test("a session whose borg does not end when it is asked is killed, and nothing of it is left", async () => {
  const gone = await open("one", "web");
  await machine.ok("pkill -STOP -x borg; rm /sshkeys/repos/web");
  expect(await machine.ok("index rebuild")).toContain("account web: 1 connection ended\n");
  expect((await gone.ended).code).not.toBe(0);
  expect(await machine.run("pgrep -u 1000 -x borg; pgrep -x session")).toMatchObject({ stdout: "" });
});

test("--dry-run says what would be ended, and ends nothing", async () => {
  const session = await open("one", "web");
  await machine.ok("rm /sshkeys/repos/web");
  expect(await machine.ok("update-borgusers --dry-run")).toContain(
    "would be: account web: 1 connection ended\n",
  );
  expect(isOpen(session)).toBe(true);
  expect(await close(session)).toBe(0);
});

test("a call of the login program by hand does not count as a connection", async () => {
  const fingerprint = (await machine.ok("ssh-keygen -lf /client/one.pub")).split(" ")[1];
  const shell = machine.spawn(
    `setpriv --reuid borgkeys --regid borgkeys --clear-groups borgserver authorized-keys web ${fingerprint}; echo asked; cat`,
  );
  const ended = finished(shell);
  await new Promise((resolve) =>
    shell.stdout!.on("data", (data) => `${data}`.includes("asked") && resolve(null)),
  );
  await machine.ok("rm /sshkeys/repos/web; index rebuild");
  expect(shell.exitCode).toBeNull();
  shell.stdin!.end();
  expect((await ended).code).toBe(0);
});

test("records of connections that are over are removed", async () => {
  for (let login = 0; login < 3; login++) await close(await open("one", "web"));
  await machine.ok("until ! pgrep -f '^sshd: web' >/dev/null; do sleep 0.1; done; index rebuild");
  expect(await machine.ok("ls /run/borgkeys")).toBe("");
});
