import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { finished, Machine, programs, unfolded } from "./machine.ts";

let machine: Machine;
beforeAll(async () => {
  machine = await Machine.start();
});
afterAll(() => machine?.stop());

/** What the entrypoint does before it starts sshd. */
const prepare = (options = "", env = {}) => machine.run(`borgserver prepare ${options}`, { env });

describe("a server without a key", () => {
  test("starts, and says where keys belong", async () => {
    const told = "there are no keys yet. Put public keys into /sshkeys/repos";
    for (const [WATCH_EVERY, how] of [
      ["30s", ", or set BORG_SSHKEYS.\n"],
      ["off", " and run update-borgusers, or set BORG_SSHKEYS.\n"],
    ] as const) {
      const { code, stderr } = await prepare("", { WATCH_EVERY });
      expect({ code, told: unfolded(stderr) }).toEqual({
        code: 0,
        told: expect.stringContaining(told + how),
      });
    }
    await machine.drop("repos/web");
    expect(await prepare()).toMatchObject({ code: 0, stderr: expect.not.stringContaining("no keys yet") });
    await machine.ok("rm /sshkeys/repos/web; update-borgusers; rmdir /repos/web");
  });

  test("lists none, and no repository", async () => {
    expect(await machine.run("index list")).toEqual({
      code: 0,
      stdout: "",
      stderr: "borgserver: the index holds no accounts\n",
    });
    expect(await machine.ok("index list --json")).toBe("[]\n");
    const { code, stdout, stderr } = await machine.run("list all");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^borgserver: there is no repository under \/repos yet/);
  });
});

test("an option that sshd does not know stops the start, in sshd's own words", async () => {
  const { code, stderr } = await prepare("-o Bogus=1");
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^borgserver: sshd refuses its configuration: .*Bad configuration option: Bogus[^\n]*\n$/,
  );
});

test("an ssh that does not tell its version stops the start", async () => {
  await machine.ok("mkdir -p /client/bin; ln -sf /bin/true /client/bin/ssh");
  const { code, stderr } = await prepare("", { PATH: "/client/bin:/usr/local/bin:/usr/bin:/bin" });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^borgserver: ssh -V does not show the version of OpenSSH.*openssh-server/);
});

describe("what the trial of the wall around sessions shows is told:", () => {
  const untried = "sessions are not fully confined by the kernel: it could not be tried out";
  test.each([
    [
      "it is complete",
      `echo '{"landlock":6,"lacks":[]}'`,
      "sessions are confined by the kernel (Landlock)\n",
    ],
    [
      "it lacks something",
      `echo '{"landlock":2,"lacks":["one thing","another"]}'`,
      "sessions are not fully confined by the kernel: one thing; another\n",
    ],
    ["it was killed", "kill -9 $$", `${untried}: the trial ended with SIGKILL\n`],
    ["it failed without a word", "exit 7", `${untried}: the trial ended with 7\n`],
    ["it said why", "echo no such wall >&2; exit 1", `${untried}: no such wall\n`],
    ["it told nothing", "", `${untried}: the trial did not tell what it found\n`],
    ["it ran as the owner", `printf '{"lacks":["%s"]}' "$(id -u)"`, "kernel: 1000\n"],
  ])("%s", async (_, script, told) => {
    const borg = "/usr/local/lib/borgserver/borg";
    await machine.write(
      "/client/borg",
      `#!/bin/sh\n[ "$1" = tell-wall ] || exec ${borg}.kept "$@"\n${script}\n`,
    );
    await machine.ok(`mv ${borg} ${borg}.kept; cp /client/borg ${borg}; chmod 755 ${borg}`);
    try {
      const { code, stderr } = await prepare();
      expect(code).toBe(0);
      expect(stderr).toContain(told);
    } finally {
      await machine.ok(`mv -f ${borg}.kept ${borg}`);
    }
  });
});

describe("where sshd could not shut logins in", () => {
  const state = "/var/lib/borgserver";

  test.each([
    [
      "because no program may run there",
      `mount -t tmpfs -o noexec,mode=750 tmpfs ${state}; chgrp borgkeys ${state}`,
      `umount ${state}`,
      `Mount ${state} so that programs may run in it (mount(8), exec).`,
    ],
    [
      "because others can change it",
      `chown 1000 ${state}/door`,
      `chown 0 ${state}/door`,
      `others than root can change ${state}/door. Run: chown root ${state}/door`,
    ],
  ])("a start stops and says what to do: %s", async (_, spoil, mend, told) => {
    await machine.ok(spoil);
    try {
      const { code, stderr } = await prepare();
      expect({ code, told: unfolded(stderr) }).toEqual({
        code: 1,
        told: expect.stringContaining("no session could begin, because sshd cannot start"),
      });
      expect(unfolded(stderr)).toContain(told);
    } finally {
      await machine.ok(mend);
    }
    expect(await prepare()).toMatchObject({ code: 0 });
  });
});

describe("the lock that commands take", () => {
  const lock = "/var/lib/borgserver/lock.sqlite";

  async function whileHeld(action: (release: () => void) => Promise<void>): Promise<void> {
    const holder = machine.spawn(`exec python3 ${programs}/hold_lock.py ${lock}`);
    const ended = finished(holder);
    await new Promise((resolve) => holder.stdout!.once("data", resolve));
    const release = () => holder.stdin!.end("\n");
    await action(release).finally(release);
    await ended;
  }

  test("is waited for", async () => {
    await whileHeld(async (release) => {
      const waiting = machine.run("index rebuild");
      expect(await Promise.race([waiting, pause(2000, "still waiting")])).toBe("still waiting");
      release();
      expect(await waiting).toMatchObject({ code: 0, stderr: "" });
    });
  });

  test("is waited for a minute, and not for ever", async () => {
    await whileHeld(async () => {
      // So that the minute takes a second.
      const { code, stderr } = await machine.run("faketime -f '+0 x60' index rebuild");
      expect(code).toBe(1);
      expect(stderr).toMatch(/^borgserver: another command has been changing the server for a minute/);
    });
  });

  test("is named where it is damaged, with what to do, and that helps", async () => {
    await machine.ok(`seq 1000 >${lock}`);
    const { code, stderr } = await machine.run("index rebuild");
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^borgserver: the lock \/var\/lib\/borgserver\/lock\.sqlite cannot be taken: .*remove the file/s,
    );
    await machine.ok(`rm ${lock}`);
    expect(await machine.run("index rebuild")).toMatchObject({ code: 0 });
  });
});
