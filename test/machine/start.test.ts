import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { finished, Machine, programs } from "./machine.ts";

let machine: Machine;
beforeAll(async () => {
  machine = await Machine.start();
});
afterAll(() => machine?.stop());

/** What the entrypoint does before it starts sshd. */
const prepare = (options = "", env = {}) => machine.run(`borgserver prepare ${options}`, { env });

describe("a server without a key", () => {
  test("starts, and says where keys belong", async () => {
    const told = "there are no keys yet\n  Put public keys into /sshkeys/repos";
    expect(await prepare()).toMatchObject({ code: 0, stderr: expect.stringContaining(told) });
    await machine.write("/sshkeys/repos/web", await machine.makeKey("web"));
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

describe("a trial session that shows no confinement is told:", () => {
  test.each([
    ["it wrote elsewhere", 'shift 2; exec "$@"', "the kernel let a confined session write elsewhere"],
    ["it was killed", "kill -9 $$", "the trial session ended with SIGKILL"],
    ["it failed without a word", "exit 7", "the trial session ended with 7"],
    ["it said why", "echo no such wall >&2; exit 1", "no such wall"],
  ])("%s", async (_, script, reason) => {
    const session = "/usr/local/lib/borgserver/session";
    await machine.write("/client/session", `#!/bin/sh\n${script}\n`);
    await machine.ok(`cp ${session} /client/kept; cat /client/session >${session}`);
    try {
      const { code, stderr } = await prepare();
      expect(code).toBe(0);
      expect(stderr).toContain(`sessions are not confined by the kernel (${reason})`);
    } finally {
      await machine.ok(`cat /client/kept >${session}`);
    }
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
