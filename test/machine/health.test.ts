import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine, programs } from "./machine.ts";

let machine: Machine;
const health = () => machine.run("/usr/local/lib/borgserver/health");
const well = { code: 0, stdout: "", stderr: "" };

beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web");
  await machine.ok("ssh-keygen -q -t ed25519 -N '' -f /client/other_host_key; mkdir -p /run/sshd");
  expect(await machine.startServer()).toBeNull();
});
afterAll(() => machine?.stop());

/** Starts the server anew, with options for sshd. */
async function restart(options: string): Promise<void> {
  await machine.stopServer();
  expect(await machine.startServer({}, options)).toBeNull();
}

/** A process in the machine that goes on until its input ends, after it has said something. */
async function running(command: string): Promise<{ end(): Promise<void> }> {
  const child = machine.spawn(command);
  await new Promise((resolve) => child.stdout!.once("data", resolve));
  return {
    async end() {
      child.stdin!.end();
      await new Promise((resolve) => child.on("exit", resolve));
    },
  };
}

/** Clients that say nothing, so many from each of some addresses. */
const idlers = (count: number, addresses = 1) =>
  running(
    `exec python3 ${programs}/idle.py 22 ${Array.from({ length: addresses }, (_, at) => `127.0.1.${at + 1} ${count}`).join(" ")}`,
  );

test("is good, writes nothing into the log, and opens no connection", async () => {
  await machine.logged(/Server listening on ::/); // the last line of a start
  const { log } = machine;
  for (let time = 0; time < 3; time++) expect(await health()).toEqual(well);
  await machine.ok("sleep 0.5");
  expect(machine.log).toBe(log);
  expect(
    await machine.ok("ss -Htan state time-wait state established '( sport = :22 or dport = :22 )'"),
  ).toBe("");
});

describe.each([["-p 2222"], ["-o ListenAddress=127.0.0.2"], ["-o ListenAddress=[::1]:2200"]])(
  "sshd %s",
  (options) => {
    test("is looked at where it listens", async () => {
      await restart(options);
      expect(await health()).toEqual(well);
    });

    test("is not mistaken for another one that listens as well", async () => {
      const other = await running(
        "/usr/sbin/sshd -D -e -f /dev/null -h /client/other_host_key -o ListenAddress=127.0.0.1:22 -o PidFile=none 2>&1 & other=$!; sleep 0.5; echo there; cat; kill $other",
      );
      try {
        await machine.ok("kill -STOP $(cat /run/borgserver/sshd.pid)");
        expect(await health()).toEqual({ code: 1, stdout: "sshd does not accept connections\n", stderr: "" });
        await machine.ok("kill -CONT $(cat /run/borgserver/sshd.pid)");
        expect(await health()).toEqual(well);
        await machine.stopServer();
        expect(await health()).toEqual({ code: 1, stdout: "sshd does not listen\n", stderr: "" });
      } finally {
        await other.end();
      }
    });
  },
);

describe("is bad", () => {
  test("where sshd was stopped by a signal, even if nobody waits yet", async () => {
    await restart("");
    await machine.ok("kill -STOP $(cat /run/borgserver/sshd.pid)");
    expect(await health()).toMatchObject({ code: 1, stdout: "sshd does not accept connections\n" });
    await machine.ok("kill -CONT $(cat /run/borgserver/sshd.pid)");
    expect(await health()).toEqual(well);
  });

  test("where clients that have not logged in take the places, and good when they have left", async () => {
    const few = await idlers(400);
    expect(await health()).toEqual(well);
    const many = await idlers(450, 2);
    expect(await health()).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^sshd turns connections away: 9[0-9][0-9] of the 1000 places /),
    });
    await few.end();
    await many.end();
    await machine.ok("sleep 1");
    expect(await health()).toEqual(well);
  });
});

describe("where no session could begin", () => {
  const session = "/var/lib/borgserver/door/usr/local/lib/borgserver/session";

  test("health says it: the process that serves sessions hangs", async () => {
    await machine.ok("pkill -STOP -x borg-resident");
    try {
      const told = "the process that serves sessions does not answer\n";
      expect(await health()).toEqual({ code: 1, stdout: told, stderr: "" });
    } finally {
      await machine.ok("pkill -CONT -x borg-resident");
    }
    expect(await health()).toEqual(well);
  });

  test.each([
    ["says so itself", "echo 'nothing serves sessions' >&2; exit 1", "nothing serves sessions\n"],
    ["fails without a word", "exit 3", "no session can begin: its program ended with 3\n"],
    ["is killed", "kill -9 $$", "no session can begin: its program ended with SIGKILL\n"],
  ])("health says it: the accounts' shell %s", async (_, script, told) => {
    await machine.write("/client/session", `#!/bin/sh\n[ "$*" = --answers ] || exit 0\n${script}\n`);
    await machine.ok(`mv ${session} ${session}.kept; cp /client/session ${session}; chmod 755 ${session}`);
    try {
      expect(await health()).toEqual({ code: 1, stdout: told, stderr: "" });
    } finally {
      await machine.ok(`mv -f ${session}.kept ${session}`);
    }
    expect(await health()).toEqual(well);
  });
});

describe("a login program that others than root can change", () => {
  test.each([
    ["chmod 777 /usr/local/bin/borgserver", "chmod go-w /usr/local/bin/borgserver"],
    [
      "chgrp staff /usr/local/bin/borgserver; chmod 775 /usr/local/bin/borgserver",
      "chmod g-w /usr/local/bin/borgserver",
    ],
    ["chown 1000 /usr/local/bin", "chown root /usr/local/bin"],
    ["chmod 1777 /usr/local", "chmod go-w /usr/local"],
    [
      "mkdir /aside; chmod 777 /aside; mv /usr/local/bin/borgserver /aside; ln -s /aside/borgserver /usr/local/bin",
      "chmod go-w /aside",
    ],
  ])("%s: is told by health and the next start, with what to do", async (damage, mend) => {
    await machine.ok(damage);
    try {
      expect(await health()).toMatchObject({ code: 1, stdout: expect.stringContaining(`Run: ${mend}\n`) });
      await machine.stopServer();
      expect(await machine.startServer()).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`Run: ${mend}\n`),
      });
      await machine.ok(mend);
      expect(await machine.startServer()).toBeNull();
      expect(await health()).toEqual(well);
      await machine.pinHostKeys();
      expect(await machine.ssh("web", "web@127.0.0.1 borg serve </dev/null")).toMatchObject({ code: 0 });
    } finally {
      await machine.ok(
        `rm -f /usr/local/bin/borgserver; rm -rf /aside; chown root:root /usr/local/bin; chmod 755 /usr/local /usr/local/bin; ${process.cwd()}/libexec/install >/dev/null`,
      );
      await machine.stopServer();
      expect(await machine.startServer()).toBeNull();
    }
  });

  test("a group with root as its only member may write it, as this sshd allows", async () => {
    await machine.ok("chgrp root /usr/local/bin/borgserver; chmod 775 /usr/local/bin/borgserver");
    expect(await health()).toEqual(well);
    expect(await machine.ssh("web", "web@127.0.0.1 borg serve </dev/null")).toMatchObject({ code: 0 });
    await machine.ok("chmod 755 /usr/local/bin/borgserver");
  });
});
