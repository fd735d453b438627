import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { finished, Machine } from "./machine.ts";

let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  for (const name of ["steady", "one", "two"]) await machine.makeKey(name);
  await machine.ok("cp /client/steady.pub /sshkeys/repos/steady");
  expect(await machine.startServer({ WATCH_EVERY: "30s" })).toBeNull();
  await machine.pinHostKeys();
  expect(await machine.borg("steady", `init -e none ${at("steady")}`)).toMatchObject({ code: 0 });
});
afterAll(() => machine?.stop());

const at = (account: string) => `ssh://${account}@127.0.0.1/repos/${account}`;
const mayLogIn = async (key: string, account: string) =>
  (await machine.ssh(key, `${account}@127.0.0.1 borg serve`)).code === 0;

/**
 * In milliseconds: what takes less was told by the file system, and not found by the look every 30 seconds. On a quiet
 * machine it takes a fifth of a second (scripts/bench keeper).
 */
const toldOf = 15_000;

/** Waits until it is so. @returns how long that took, in milliseconds */
async function until(what: () => Promise<boolean>, longest = 20_000): Promise<number> {
  const begun = performance.now();
  while (!(await what())) {
    if (performance.now() - begun > longest) throw new Error(`not within ${longest} ms:\n${machine.log}`);
    await pause(20);
  }
  return performance.now() - begun;
}

const serves = (text: string) => async () => (await machine.ok("index list")).includes(text);
const generation = async () =>
  Number((await machine.ok("readlink /var/lib/borgserver/current")).replace("generation-", ""));
const keeper = async () =>
  Number((await machine.ok("pgrep -o -x -f '/usr/local/bin/borgserver keep'")).trim());
/** How often a line of the log has it. */
const logged = (text: string) => machine.log.split(text).length - 1;
const rename = (from: string, to: string) =>
  machine.ok(`cp ${from} "$(dirname ${to})/.new" && mv "$(dirname ${to})/.new" ${to}`);

/** A backup that is under way until it is told to finish. */
async function longBackup(name: string, key: string) {
  await machine.ok(`mkfifo /client/more-${name}`);
  const ended = finished(
    machine.spawn(
      `{ head -c 3000000 /dev/urandom; cat /client/more-${name}; } | borg create ${at(name)}::long -`,
      { env: machine.client(key) },
    ),
  );
  await machine.ok(`until [ -e /repos/${name}/lock.exclusive ]; do sleep 0.1; done`);
  return { ended, finish: () => machine.ok(`echo the end >/client/more-${name}`) };
}

test("a file that vanished shuts the door at once, and ends what is open when it has been gone for a minute", async () => {
  for (const name of ["gone", "back"]) {
    await machine.ok(`cp /client/one.pub /sshkeys/repos/${name}`);
    await until(() => mayLogIn("one", name));
    expect(await machine.borg("one", `init -e none ${at(name)}`)).toMatchObject({ code: 0 });
  }
  const gone = await longBackup("gone", "one");
  const back = await longBackup("back", "one");
  await machine.ok("rm /sshkeys/repos/gone /sshkeys/repos/back");
  const since = performance.now();
  await until(async () => !(await serves("gone (repo)")()));
  expect(await mayLogIn("one", "gone")).toBe(false);
  await pause(30_000);
  await machine.ok("cp /client/one.pub /sshkeys/repos/back");
  await until(serves("back (repo)"));
  await machine.ok("sleep 10; rm /sshkeys/repos/back");
  await until(async () => !(await serves("back (repo)")()));
  await pause(55_000 - (performance.now() - since));
  expect(await machine.ok("ls /repos/gone")).toContain("lock.exclusive");
  await until(async () => machine.log.includes("account gone: 1 connection ended"), 15_000);
  expect(performance.now() - since).toBeGreaterThan(60_000);
  expect(await machine.ok("ls /repos/gone")).not.toContain("lock");
  await gone.finish();
  expect((await gone.ended).code).not.toBe(0);
  await machine.ok("cp /client/one.pub /sshkeys/repos/back"); // gone twice, and never for a minute
  await until(serves("back (repo)"));
  await pause(40_000);
  await back.finish();
  expect((await back.ended).code).toBe(0);
  expect(machine.log).not.toContain("account back: 1 connection");
}, 180_000);

describe("a change in /sshkeys", () => {
  test("is in force as soon as it is made: a new account with its repository, another key, a file that is gone", async () => {
    await rename("/client/one.pub", "/sshkeys/repos/web");
    expect(await until(serves("web (repo)"))).toBeLessThan(toldOf);
    await until(async () => machine.log.includes("/repos/web: created"));
    expect(await machine.borg("one", `init -e none ${at("web")}`)).toMatchObject({ code: 0 });

    await rename("/client/two.pub", "/sshkeys/repos/web");
    const second = (await machine.ok("ssh-keygen -lf /client/two.pub")).split(" ")[1]!;
    expect(await until(serves(second))).toBeLessThan(toldOf);
    expect(await mayLogIn("one", "web")).toBe(false);
    expect(await mayLogIn("two", "web")).toBe(true);

    await machine.ok("rm /sshkeys/repos/web");
    expect(await until(async () => !(await serves("web (repo)")()))).toBeLessThan(toldOf);
    expect(await mayLogIn("two", "web")).toBe(false);
    expect(await machine.ok("ls /repos")).toContain("web\n");
    expect(logged("account web: removed (repositories stay)")).toBe(1);
  });

  test("that is many is taken up as one, and one that goes on, before it is over", async () => {
    const before = await generation();
    await machine.ok("for i in $(seq 150); do cp /client/one.pub /sshkeys/repos/burst$i; done");
    await until(serves("burst150 (repo)"));
    expect((await generation()) - before).toBeLessThan(4);
    const long = machine.ok(
      "for i in $(seq 300); do cp /client/one.pub /sshkeys/repos/long$i; sleep 0.05; done",
    );
    await until(serves("long1 (repo)"));
    expect(await serves("long300 (repo)")()).toBe(false);
    await long;
    await until(serves("long300 (repo)"));
    await machine.ok("rm /sshkeys/repos/burst* /sshkeys/repos/long*; update-borgusers");
  });

  test("is published once, by a command or by the keeper", async () => {
    for (let round = 0; round < 5; round++) {
      const pid = await keeper();
      // What it is about to do with what was changed before is over.
      await machine.ok(`for i in 1 2; do sleep 1; while pgrep -P ${pid}; do sleep 0.1; done; done`);
      const before = await generation();
      await machine.ok(
        `kill -STOP ${pid}; cp /client/one.pub /sshkeys/repos/once${round}; index rebuild; kill -CONT ${pid}`,
      );
      await until(async () => machine.log.includes(`/repos/once${round}: created`)); // which the command leaves out
      await pause(700);
      expect((await generation()) - before).toBe(1);
    }
    await machine.ok("rm /sshkeys/repos/once*; update-borgusers");
  });

  test("that Kubernetes makes, by a link to another folder, changes all keys", async () => {
    await machine.ok(`cd /sshkeys/repos-appendonly && mkdir ..1 && cp /client/one.pub ..1/db && ln -s ..1 ..data
      ln -s ..data/db db`);
    await until(serves("db (appendonly)"));
    await until(() => mayLogIn("one", "db"));
    await machine.ok(`cd /sshkeys/repos-appendonly && mkdir ..2 && cp /client/two.pub ..2/db && ln -s ..2 ..data_tmp
      mv -T ..data_tmp ..data && rm -r ..1`);
    await until(() => mayLogIn("two", "db"));
    expect(await mayLogIn("one", "db")).toBe(false);
    await machine.ok("cd /sshkeys/repos-appendonly && rm -r db ..data ..2");
    await until(async () => !(await serves("db (appendonly)")()));
  });

  test("by which another folder takes a folder's place is seen, and what changes in that one", async () => {
    await machine.ok("cd /sshkeys && cp -r repos .new && mv repos .old && mv .new repos && rm -r .old");
    await pause(500);
    await machine.ok("cp /client/one.pub /sshkeys/repos/replaced");
    expect(await until(serves("replaced (repo)"))).toBeLessThan(toldOf);
    await machine.ok("cd /sshkeys && rm -r repos-restore && mkdir repos-restore");
    await pause(500);
    await machine.ok("cp /client/one.pub /sshkeys/repos-restore/anew");
    expect(await until(serves("anew (restore)"))).toBeLessThan(toldOf);
    await machine.ok("rm -r /sshkeys/repos-restore/anew");
    expect(await mayLogIn("steady", "steady")).toBe(true);
    await machine.ok("rm /sshkeys/repos/replaced");
    await until(async () => !(await serves("replaced (repo)")()));
  });
});

describe("what is wrong", () => {
  test("is not told of a file that is complete a moment later", async () => {
    await machine.ok(": >/sshkeys/repos/half; sleep 0.5; cat /client/one.pub >/sshkeys/repos/half");
    await until(serves("half (repo)"));
    await machine.ok(
      "head -c 30 /client/two.pub >/sshkeys/repos/half; sleep 0.5; cat /client/two.pub >/sshkeys/repos/half",
    );
    await until(() => mayLogIn("two", "half"));
    await pause(1500);
    expect(machine.log).not.toContain("/sshkeys/repos/half:");
  });

  test("is told once, and once more when it is mended; meanwhile what was published serves", async () => {
    const told = "borgserver: /sshkeys/repos/half: there is no key in this file\n";
    await machine.ok(": >/sshkeys/repos/half; cp /client/one.pub /sshkeys/repos/behind");
    await until(async () => logged(told) === 1);
    for (let times = 0; times < 3; times++) {
      await machine.ok("touch /sshkeys/repos/half");
      await pause(700);
    }
    expect(await mayLogIn("two", "half")).toBe(true);
    expect(await mayLogIn("steady", "steady")).toBe(true);
    expect(await mayLogIn("one", "behind")).toBe(false);
    await machine.ok("rm /sshkeys/repos/half");
    await until(async () => logged("borgserver: mended: /sshkeys/repos/half: there is no key") === 1);
    expect(logged(told)).toBe(1);
    expect(await mayLogIn("one", "behind")).toBe(true);
    expect(await mayLogIn("two", "half")).toBe(false);
    await machine.ok("rm /sshkeys/repos/behind");
  });
});

describe("accounts are not removed without a command", () => {
  test("where they are many at once; the command removes them, and the keeper does not bring them back", async () => {
    await machine.ok(
      "for i in $(seq 20); do cp /client/one.pub /sshkeys/repos/many$i; done; update-borgusers",
    );
    await pause(1000);
    await machine.ok("for i in $(seq 12); do rm /sshkeys/repos/many$i; done");
    await until(async () => machine.log.includes("so many are not removed without a command"));
    expect(await mayLogIn("one", "many1")).toBe(true);
    // Other changes are taken up all the same.
    await machine.ok("cp /client/two.pub /sshkeys/repos/other");
    await until(() => mayLogIn("two", "other"));
    expect(await mayLogIn("one", "many12")).toBe(true);
    expect(await machine.ok("update-borgusers")).toContain("account many1: removed");
    const before = await generation();
    await machine.ok("touch /sshkeys/repos/other");
    await pause(1500);
    expect(await mayLogIn("one", "many1")).toBe(false);
    expect(await generation()).toBe(before);
    await until(async () => machine.log.includes("borgserver: mended: /sshkeys: the files of"));
    await machine.ok("rm /sshkeys/repos/many* /sshkeys/repos/other; update-borgusers");
  });

  test("where a role folder is gone", async () => {
    await machine.ok("mv /sshkeys/repos /sshkeys/.gone");
    await until(async () =>
      machine.log.includes("/sshkeys/repos: the folder is missing, but its accounts are served"),
    );
    expect(await mayLogIn("steady", "steady")).toBe(true);
    await machine.ok("mv /sshkeys/.gone /sshkeys/repos");
    await until(async () => machine.log.includes("mended: /sshkeys/repos: the folder is missing"));
    expect(await mayLogIn("steady", "steady")).toBe(true);
  });
});

test("no login and no session notices that the keeper is killed; it comes back and takes up what it missed", async () => {
  const backup = await longBackup("steady", "steady");
  const killed = await keeper();
  await machine.ok(`kill -9 ${killed}; cp /client/one.pub /sshkeys/repos/missed`);
  expect(await mayLogIn("steady", "steady")).toBe(true);
  await until(serves("missed (repo)"), 10_000);
  expect(await keeper()).not.toBe(killed);
  expect(machine.log).toContain("the keeper ended; it is started again in 1 s\n");
  await backup.finish();
  expect((await backup.ended).code).toBe(0);
});

test("at rest it takes no processor time that shows, and little memory", async () => {
  await pause(65_000); // after a change it looks once more, also for connections that removed keys have open
  const pid = await keeper();
  const ticks = async () => {
    const fields = (await machine.ok(`cut -d ' ' -f 14-17 /proc/${pid}/stat`)).trim().split(" ");
    return fields.reduce((sum, field) => sum + Number(field), 0); // its children too
  };
  const before = await ticks();
  await pause(40_000);
  expect((await ticks()) - before).toBeLessThanOrEqual(2);
  const kilobytes = Number(
    /^Pss: +([0-9]+) kB$/m.exec(await machine.ok(`cat /proc/${pid}/smaps_rollup`))![1],
  );
  expect(kilobytes).toBeLessThan(60_000);
}, 180_000);

test("a stop ends it", async () => {
  const pid = await keeper();
  expect(
    await machine.stopServer("pkill -TERM -o -f '^/bin/sh /usr/local/lib/borgserver/entrypoint sshd'"),
  ).toBe(0);
  await until(async () => (await machine.run(`kill -0 ${pid}`)).code !== 0);
  expect((await machine.run("pgrep -f '[b]orgserver keep'")).stdout).toBe("");
  expect(machine.log).not.toContain("the keeper ended; it is started again in 2 s");
});

describe("with WATCH_EVERY=1s", () => {
  beforeAll(async () => {
    await machine.ok(
      "mkdir -p /elsewhere/keys; cp /client/one.pub /elsewhere/single; touch /sshkeys/repos/single",
    );
    await machine.ok("mount --bind /elsewhere/single /sshkeys/repos/single");
    await machine.ok("bindfs /elsewhere/keys /sshkeys/repos-restore"); // FUSE
    expect(await machine.startServer({ WATCH_EVERY: "1s" })).toBeNull();
    await pause(2000);
  });

  test("changes are seen that no file system tells of", async () => {
    await machine.ok("cp /client/two.pub /elsewhere/keys/far");
    expect(await until(serves("far (restore)"))).toBeLessThan(2500);
    await machine.ok("cat /client/two.pub >/elsewhere/single");
    await until(() => mayLogIn("two", "single"));
    expect(await mayLogIn("one", "single")).toBe(false);
    await machine.ok("rm /elsewhere/keys/far");
    await until(async () => !(await serves("far (restore)")()));
  });

  test("a lost mount removes nobody: of a role folder, or of all", async () => {
    await machine.ok("cp /client/two.pub /elsewhere/keys/far");
    await until(serves("far (restore)"));
    await machine.ok("umount /sshkeys/repos-restore");
    await until(async () => machine.log.includes("/sshkeys/repos-restore: another folder is in its place"));
    await pause(2500);
    expect(await serves("far (restore)")()).toBe(true);
    await machine.ok("bindfs /elsewhere/keys /sshkeys/repos-restore");
    await until(async () => machine.log.includes("mended: /sshkeys/repos-restore: another folder"));

    await machine.ok("mount -t tmpfs none /sshkeys");
    await until(async () => machine.log.includes("/sshkeys/repos-restore: the folder is missing"));
    await machine.ok("mkdir /sshkeys/repos /sshkeys/repos-restore");
    await until(async () => logged("/sshkeys/repos: another folder is in its place") === 1);
    expect(await mayLogIn("steady", "steady")).toBe(true);
    expect(await serves("far (restore)")()).toBe(true);
    await machine.ok("umount /sshkeys");
    await until(async () => machine.log.includes("mended: /sshkeys/repos: another folder"));
    await machine.ok("umount /sshkeys/repos-restore /sshkeys/repos/single; rm /sshkeys/repos/single");
    await machine.ok("update-borgusers");
  });

  afterAll(() => machine?.stopServer());
});

test("with WATCH_EVERY=off commands alone take up changes", async () => {
  expect(await machine.startServer({ WATCH_EVERY: "off" })).toBeNull();
  await machine.ok("cp /client/one.pub /sshkeys/repos/off");
  await pause(3000);
  expect(await mayLogIn("one", "off")).toBe(false);
  expect(machine.log).not.toContain("account off");
  expect(await machine.ok("update-borgusers")).toContain("account off: added");
  expect(await mayLogIn("one", "off")).toBe(true);
});
