import { afterAll, beforeAll, expect, test } from "vitest";
import { finished, Machine, programs } from "./machine.ts";

let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  for (const name of ["steady", "old", "new", "second"]) await machine.makeKey(name);
  await machine.ok(
    "cp /client/steady.pub /sshkeys/repos/steady && cp /client/old.pub /sshkeys/repos/leaving",
  );
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
});
afterAll(() => machine?.stop());

const mayLogIn = async (key: string, account: string) =>
  (await machine.ssh(key, `${account}@127.0.0.1 borg serve`)).code === 0;

test("keys come, change and go without a restart, while a long backup runs through it all", async () => {
  const server = await machine.ok("pgrep -x -o sshd");
  expect(await machine.borg("steady", "init -e none ssh://steady@127.0.0.1/repos/steady")).toMatchObject({
    code: 0,
  });
  await machine.ok("mkfifo /client/more");
  const long = machine.spawn(
    "{ head -c 5000000 /dev/urandom; cat /client/more; } | tee /client/sent | borg create ssh://steady@127.0.0.1/repos/steady::long -",
    { env: machine.client("steady") },
  );
  const longEnded = finished(long);
  await machine.ok("until [ -e /repos/steady/lock.exclusive ]; do sleep 0.1; done");

  // A new file.
  await machine.ok("cp /client/new.pub /sshkeys/repos/arriving");
  expect(await mayLogIn("new", "arriving")).toBe(false);
  expect(await machine.ok("update-borgusers")).toContain(
    "account arriving: added\n/repos/arriving: created\n",
  );
  expect(await mayLogIn("new", "arriving")).toBe(true);

  // A changed file.
  await machine.ok("cp /client/second.pub /sshkeys/repos/arriving && index rebuild");
  expect(await mayLogIn("new", "arriving")).toBe(false);
  expect(await mayLogIn("second", "arriving")).toBe(true);

  // A removed file, with either command.
  expect(await mayLogIn("old", "leaving")).toBe(true);
  await machine.ok("rm /sshkeys/repos/leaving && index rebuild");
  expect(await mayLogIn("old", "leaving")).toBe(false);
  await machine.ok("rm /sshkeys/repos/arriving");
  expect(await machine.ok("update-borgusers")).toContain("account arriving: removed (repositories stay)");
  expect(await mayLogIn("second", "arriving")).toBe(false);
  expect(
    await machine.ok("getent passwd arriving leaving || echo gone; ls -d /repos/arriving /repos/leaving"),
  ).toBe("gone\n/repos/arriving\n/repos/leaving\n");

  // An account moves to another role.
  await machine.ok("mv /sshkeys/repos/steady /sshkeys/admins/steady");
  expect(await machine.ok("update-borgusers")).toContain("account steady: changed\n");
  await machine.ok("mv /sshkeys/admins/steady /sshkeys/repos/steady && update-borgusers");

  await machine.ok("echo the end >/client/more");
  expect(await longEnded).toMatchObject({ code: 0 });
  await machine.ok(
    "cd /client && borg extract --stdout ssh://steady@127.0.0.1/repos/steady::long | cmp - /client/sent",
    {
      env: machine.client("steady"),
    },
  );
  expect(await machine.ok("pgrep -x -o sshd")).toBe(server);
});

test("a removed account's session is ended, and its lock is released", async () => {
  await machine.ok("cp /client/old.pub /sshkeys/repos/leaving && update-borgusers");
  expect(await machine.borg("old", "init -e none ssh://leaving@127.0.0.1/repos/leaving")).toMatchObject({
    code: 0,
  });
  await machine.ok("rm -f /client/more && mkfifo /client/more");
  const long = finished(
    machine.spawn(
      "{ head -c 3000000 /dev/urandom; cat /client/more; } | borg create ssh://leaving@127.0.0.1/repos/leaving::long -",
      {
        env: machine.client("old"),
      },
    ),
  );
  await machine.ok("until [ -e /repos/leaving/lock.exclusive ]; do sleep 0.1; done");
  await machine.ok("rm /sshkeys/repos/leaving && update-borgusers");
  expect(await machine.ok("ls /repos/leaving")).not.toContain("lock");
  await machine.ok("echo the end >/client/more");
  expect((await long).code).not.toBe(0);
});

test("clients log in without fail while two rebuilds and an update run at once, over and over", async () => {
  await machine.ok("cp /client/old.pub /sshkeys/repos/changing && update-borgusers");
  let busy = true;
  const logInAllTheTime = async (): Promise<boolean[]> => {
    const results: boolean[] = [];
    while (busy) results.push(await mayLogIn("steady", "steady"));
    return results;
  };
  const logins = logInAllTheTime();
  try {
    for (let round = 0; round < 10; round++) {
      const [key, other] = round % 2 === 0 ? ["second", "old"] : ["old", "second"];
      await machine.ok(
        `cp /client/${key}.pub /client/next && mv /client/next /sshkeys/repos/changing; cp /client/${key}.pub /sshkeys/repos/round-${round}`,
      );
      const runs = ["index rebuild", "update-borgusers", "index rebuild"].map((command) =>
        machine.run(command),
      );
      expect((await Promise.all(runs)).map(({ code }) => code)).toEqual([0, 0, 0]);
      const find = await machine.ok(`index find /client/${key}.pub; index find /client/${other}.pub`);
      expect(find.match(/changing/g)).toHaveLength(1);
      expect(find.split("\n")[0]).toContain("changing (repo)");
      await machine.ok(`id round-${round} && ls -d /repos/round-${round}`);
    }
  } finally {
    busy = false;
  }
  const results = await logins;
  expect(results.length).toBeGreaterThan(0);
  expect(results).not.toContain(false);
});

test("a file that settled is not read again, except on file systems whose time stamps others set too", async () => {
  await machine.ok(`
    mount -t ramfs none /sshkeys/repos-appendonly
    cp /client/new.pub /sshkeys/repos-appendonly/far; cp /client/new.pub /sshkeys/repos/near; sleep 3; index rebuild`);
  const settled = `python3 ${programs}/sqlite.py /var/lib/borgserver/index.sqlite "SELECT name, size IS NOT NULL FROM account WHERE name IN ('far', 'near') ORDER BY name"`;
  expect(await machine.ok(settled)).toBe("far 0\nnear 1\n");
  const readsOf = (command: string) =>
    machine.ok(
      `strace -f -e trace=openat -o /client/calls ${command} >/dev/null; grep -o 'repos[^"]*/[a-z]*"' /client/calls | sort`,
    );
  expect(await readsOf("index rebuild")).toContain('repos-appendonly/far"\n');
  expect(await readsOf("index rebuild")).not.toContain('repos/near"');
  for (const command of [
    "index rebuild --full",
    "update-borgusers",
    "index check",
    "update-borgusers --dry-run",
  ])
    expect(await readsOf(command)).toContain('repos/near"');
  await machine.ok("umount /sshkeys/repos-appendonly; rm /sshkeys/repos/near");
});

test("a change through a memory mapping is shown by index check, and served after update-borgusers", async () => {
  const [before, after] = [await machine.makeKey("mapped-a"), await machine.makeKey("mapped-b")];
  expect(before.length).toBe(after.length);
  await machine.write("/sshkeys/repos/mapped", before);
  await machine.ok(
    `mkfifo /client/go; (sleep 100 >/client/go 2>/dev/null & python3 ${programs}/change_mapped.py /sshkeys/repos/mapped /client/mapped-b.pub </client/go >/client/said 2>&1 &)`,
  );
  await machine.ok("until grep -q ready /client/said; do sleep 0.1; done; sleep 3.2; update-borgusers");
  const stat = () => machine.ok("stat -c '%s %Y %Z %i' /sshkeys/repos/mapped");
  const state = await stat();
  const opened = (name: string) => machine.ok(`index find /client/${name}.pub`);
  expect(await opened("mapped-a")).toContain("mapped (repo)");
  expect((await machine.run("index check")).stderr).toBe("");
  await machine.ok("echo >/client/go; until grep -q done /client/said; do sleep 0.1; done");
  expect(await machine.ok("cat /sshkeys/repos/mapped")).toBe(after);
  expect(await stat()).toBe(state);
  expect(await machine.run("index check")).toMatchObject({
    code: 0,
    stderr:
      "borgserver: the published index differs from the files (accounts: 1 other in it)\n  To publish what the files say: index rebuild --full\n",
  });
  await machine.ok("index rebuild");
  expect(await opened("mapped-b")).toContain("no account");
  await machine.ok("update-borgusers");
  expect(await opened("mapped-b")).toContain("mapped (repo)");
  expect(await opened("mapped-a")).toContain("no account");
  expect(await machine.run("index check")).toMatchObject({ code: 0, stderr: "" });
});

test("index check says how the published index differs, and that it is missing or damaged", async () => {
  await machine.ok("update-borgusers; cp /client/mapped-a.pub /sshkeys/repos/newcomer");
  expect((await machine.run("index check")).stderr).toContain("(accounts: 1 missing in it)\n  To publish");
  await machine.ok("index rebuild; rm /sshkeys/repos/newcomer");
  expect((await machine.run("index check")).stderr).toContain("(accounts: 1 only in it)\n  To publish");
  await machine.ok("echo broken >/var/lib/borgserver/index.sqlite");
  expect(await machine.run("index check")).toMatchObject({
    code: 0,
    stderr: expect.stringContaining("the published index cannot answer: file is not a database"),
  });
  await machine.ok("rm /var/lib/borgserver/index.sqlite");
  expect((await machine.run("index check")).stderr).toContain("the published index is missing");
  await machine.ok("update-borgusers");
});
