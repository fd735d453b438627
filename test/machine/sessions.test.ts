import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine, programs } from "./machine.ts";

let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web", "admins/boss");
  expect(await machine.startServer({ BORG_PASSPHRASE: "secret", TZ: "Europe/Berlin" })).toBeNull();
  await machine.pinHostKeys();
  await machine.ok("borg init -e none ssh://web@127.0.0.1/repos/web", { env: machine.client("web") });
});
afterAll(() => machine?.stop());

const oneLine =
  /^borgserver: only borg can use this account, as in: borg list ssh:\/\/web@HOST\/repos\/web\n$/;

describe("whatever is not a borg serve gets one clear line and a non-zero exit", () => {
  test.each([
    ["a shell", "-T web@127.0.0.1"],
    ["a program", "web@127.0.0.1 whoami"],
    ["a program named like borg's", "web@127.0.0.1 'borg list /repos/web'"],
    ["a shell around a borg serve", `web@127.0.0.1 'sh -c "borg serve"'`],
    ["a serve of something else", "web@127.0.0.1 'sudo -u backup other serve'"],
    ["words around one that is borg's", "web@127.0.0.1 'borg list serve'"],
    ["variables alone", "web@127.0.0.1 'A=1 B=2'"],
    [
      "a borg command that opens files of the server",
      "web@127.0.0.1 'borg create --patterns-from /etc/shadow a::b c'",
    ],
  ])("%s", async (_, words) => {
    const { code, stdout, stderr } = await machine.ssh("web", words);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(oneLine);
  });
});

test("a terminal is refused, and what was asked for with it", async () => {
  const { code, stdout, stderr } = await machine.ssh("web", "-tt web@127.0.0.1");
  expect(stderr).toContain("PTY allocation request failed");
  expect({ code, stdout }).toEqual({ code: 255, stdout: "" });
});

describe("a program that copies files is refused, and copies nothing:", () => {
  const options =
    "-i /client/web -o IdentitiesOnly=yes -o UserKnownHostsFile=/client/known_hosts -o BatchMode=yes";
  const noSubsystem = /^subsystem request failed on channel 0/m;
  test.each([
    ["sftp", `echo ls | sftp -b - ${options} web@127.0.0.1:/repos`, noSubsystem],
    ["scp from the server", `scp ${options} web@127.0.0.1:/etc/passwd /client/stolen`, noSubsystem],
    ["scp to the server", `scp ${options} /etc/hostname web@127.0.0.1:/repos/web/planted`, noSubsystem],
    ["scp by its old protocol", `scp -O ${options} web@127.0.0.1:/etc/passwd /client/stolen`, oneLine],
  ])("%s", async (_, command, refusal) => {
    const { code, stderr } = await machine.run(command);
    expect(stderr).toMatch(refusal);
    expect(code).toBeGreaterThan(0);
    await machine.ok("[ ! -e /client/stolen ] && [ ! -e /repos/web/planted ]");
  });
});

describe("no forwarding of any kind", () => {
  test("of a local port", async () => {
    const { stderr } = await machine.ssh("web", "-W 127.0.0.1:22 web@127.0.0.1");
    expect(stderr).toMatch(/administratively prohibited/);
  });

  test("of a remote port, or a socket", async () => {
    for (const forward of ["-R 4444:127.0.0.1:22", "-R /tmp/socket:127.0.0.1:22"]) {
      const { code, stderr } = await machine.ssh(
        "web",
        `-o ExitOnForwardFailure=yes ${forward} -N web@127.0.0.1`,
      );
      expect(stderr).toMatch(/remote port forwarding failed/);
      expect(code).toBe(255);
    }
  });

  test("of X11, an agent, or the client's environment", async () => {
    const request =
      "ssh -v -A -X -o SendEnv=* -i /client/web -o UserKnownHostsFile=/client/known_hosts web@127.0.0.1 BORG_X=1 borg serve";
    const { stdout, stderr } = await machine.run(
      `touch /client/.Xauthority; eval "$(ssh-agent)" >/dev/null; ssh-add -q /client/boss
       sleep 3 | ${request} >/dev/null & asking=$!; ${untilOne("session")}
       tr '\\0' '\\n' </proc/$(pgrep -x session)/environ; wait $asking; ssh-agent -k >/dev/null`,
      { env: { DISPLAY: ":9", LC_ALL: "C.UTF-8", BORG_PASSPHRASE: "leak" } },
    );
    expect(stderr).toContain("Requesting authentication agent forwarding");
    expect(stderr).toContain("Requesting X11 forwarding");
    const names = stdout
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]!);
    expect(names).toContain("SSH_CONNECTION");
    const known =
      "HOME LANG LOGNAME MAIL MOTD_SHOWN PATH SHELL SSH_CLIENT SSH_CONNECTION SSH_ORIGINAL_COMMAND TZ USER";
    expect(names.filter((name) => !known.split(" ").includes(name))).toEqual([]);
  });
});

/** Becomes, in a shell as root, what sshd makes of a login to a repository's account, with this id. */
const loggedIn = (uid: string) => `chroot --userspec=${uid}:60902 --groups= /var/lib/borgserver/door`;

/** Waits in a shell until one process of this name runs. */
const untilOne = (name: string) => `until pgrep -x ${name} >/dev/null; do sleep 0.05; done`;

test("a login's processes see nothing of the system but the session program and its socket", async () => {
  const look = await machine.ok(
    `sleep 3 | ssh -i /client/web -o UserKnownHostsFile=/client/known_hosts web@127.0.0.1 borg serve >/dev/null & asking=$!
     ${untilOne("session")}; session=$(pgrep -x session); sshd=$(ps -o ppid= -p $session | xargs)
     for pid in $session $sshd; do echo "$(cat /proc/$pid/comm) $(stat -c %u /proc/$pid/root/) $(readlink /proc/$pid/root)"; done
     ps -o uid= -p $sshd; find /proc/$session/root/ ! -type d -printf '%P %y %U %m\n' | sort; wait $asking`,
  );
  const door = "/var/lib/borgserver/door";
  expect(look.split("\n").map((line) => line.trim())).toEqual([
    `session 0 ${door}`,
    `sshd 0 ${door}`,
    (await machine.ok("getent passwd web | cut -d: -f3")).trim(),
    "run/borgserver/sessions s 0 666",
    "usr/local/lib/borgserver/session f 0 755",
    "",
  ]);
});

test("an account reaches the process that serves sessions from there alone", async () => {
  const uid = (await machine.ok("getent passwd web | cut -d: -f3")).trim();
  const { code, stderr } = await machine.run(
    `setpriv --reuid ${uid} --regid 60902 --clear-groups /usr/local/lib/borgserver/session --answers`,
  );
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: "the process that serves sessions does not answer\n",
  });
  expect(await machine.run(`${loggedIn(uid)} /usr/local/lib/borgserver/session --answers`)).toMatchObject({
    code: 0,
  });
});

test("a session leaves a record that there was a repository", async () => {
  await machine.ok("rm -f /repos/.borgserver/repositories/*");
  await machine.ok("borg list ssh://web@127.0.0.1/repos/web", { env: machine.client("web") });
  expect(await machine.ok("stat -c '%n %u' /repos/.borgserver/repositories/*")).toBe(
    "/repos/.borgserver/repositories/web 1000\n",
  );
});

describe("a request for borg serve", () => {
  test("is served by a process that has the owner's rights, its repository and its client, and nothing else", async () => {
    const look = await machine.ok(
      `sleep 4 | ssh -i /client/web -o UserKnownHostsFile=/client/known_hosts web@127.0.0.1 borg serve >/dev/null & asking=$!
       until pid=$(pgrep -x -u 1000 borg) && grep -q '^Seccomp:.2' /proc/$pid/status && [ ! -e /proc/$pid/fd/4 ]; do sleep 0.05; done
       grep -E '^(Uid|Gid|Groups|CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp):' /proc/$pid/status
       ls /proc/$pid/fd | xargs; cat /proc/$pid/oom_score_adj; grep 'core file' /proc/$pid/limits
       tr '\\0' ' ' </proc/$pid/cmdline; echo; pgrep -x session; ps -o uid= -C session; wait $asking`,
    );
    const [, serving = ""] = /^borg: web \[([0-9]+)\]/m.exec(look) ?? [];
    expect(look.replace(/[ \t]+$/gm, "")).toMatch(
      new RegExp(
        [
          "^Uid:\t1000\t1000\t1000\t1000",
          "Gid:\t1000\t1000\t1000\t1000",
          "Groups:",
          "CapPrm:\t0000000000000000",
          "CapEff:\t0000000000000000",
          "CapBnd:\t00000000000000c0",
          "NoNewPrivs:\t1",
          "Seccomp:\t2",
          "0 1 2 3",
          "500",
          "Max core file size +0 +0 +bytes",
          `borg: web \\[${serving}\\]`,
          serving,
          " *20[0-9]{8}",
          "$",
        ].join("\n"),
      ),
    );
  });

  test("is served without what the container was given", async () => {
    const environment = await machine.ok("tr '\\0' '\\n' </proc/$(pgrep -x borg-resident)/environ");
    expect(environment.replace(/=.*/g, "").trim().split("\n").sort()).toEqual(["PATH", "TITLE", "TZ"]);
  });

  test("ends with its connection, and the process that serves sessions goes on", async () => {
    await machine.ok(
      `sleep 60 | ssh -i /client/web -o UserKnownHostsFile=/client/known_hosts web@127.0.0.1 borg serve & ${untilOne("session")}
       until pid=$(pgrep -x -u 1000 borg); do sleep 0.05; done; kill -9 $(pgrep -x session)
       for i in $(seq 50); do kill -0 $pid 2>/dev/null || exit 0; sleep 0.1; done; exit 1`,
    );
    await machine.ok("borg list ssh://web@127.0.0.1/repos/web", { env: machine.client("web") });
  });

  test("waits for the process that serves sessions to be started again", async () => {
    for (let each = 0; each < 3; each++)
      await machine.ok("kill -9 $(pgrep -x borg-resident); borg list ssh://web@127.0.0.1/repos/web", {
        env: machine.client("web"),
      });
    await machine.logged(/the process that serves sessions ended; it is started again/);
  });

  test("is refused by that process for another account, and for another command", async () => {
    const ask = (user: string, uid: string, command: string) =>
      machine.run(
        `USER=${user} SSH_ORIGINAL_COMMAND='borg serve' ${loggedIn(uid)} /usr/local/lib/borgserver/session -c '${command}'`,
      );
    const [web, boss] = (await machine.ok("for name in web boss; do getent passwd $name | cut -d: -f3; done"))
      .trim()
      .split("\n") as [string, string];
    const forced = "borg serve --restrict-to-repository /repos/web";
    expect(await ask("web", web, forced)).toMatchObject({ code: 0 });
    for (const [user, uid, command, why] of [
      ["web", boss, forced, "this account is not served any more."],
      ["boss", web, "borg serve --restrict-to-path /repos", "this account is not served any more."],
      ["nobody", web, forced, "this account is not served any more."],
      ["web", "0", forced, "this account is not served any more."],
      [
        "web",
        web,
        "borg serve --restrict-to-path /",
        "what this account may do has just been changed: try again.",
      ],
      [
        "web",
        web,
        `${forced} --storage-quota 1T`,
        "what this account may do has just been changed: try again.",
      ],
    ] as const)
      expect(await ask(user, uid, command)).toMatchObject({ code: 1, stderr: `borgserver: ${why}\n` });
  });

  test("that asks for another account's is told to the operator, in no more than ten lines a minute", async () => {
    const uid = (await machine.ok("getent passwd web | cut -d: -f3")).trim();
    const line = `a process of id ${uid} asked for a session of boss, which is not its account: refused`;
    const count = () => machine.log.split(line).length - 1;
    const before = count();
    await machine.ok("kill -9 $(pgrep -x borg-resident)"); // the next one has told nothing yet
    await machine.ok(
      `for each in $(seq 60); do
         USER=boss SSH_ORIGINAL_COMMAND='borg serve' ${loggedIn(uid)} \
           /usr/local/lib/borgserver/session -c 'borg serve --restrict-to-path /repos' </dev/null 2>/dev/null && exit 1
       done; exit 0`,
    );
    // A minute may end in between.
    await expect.poll(() => count() - before, { timeout: 10_000 }).toBeOneOf([10, 20]);
  });

  test("is nothing that may be asked of that process in another form", async () => {
    const residents = () => machine.ok("pgrep -x borg-resident");
    const before = await residents();
    const uid = (await machine.ok("getent passwd web | cut -d: -f3")).trim();
    const answers = await machine.ok(`python3 ${programs}/ask_wrongly.py ${uid}`);
    const unknown = "Rthe session program asked for something that this server does not know.";
    const lines = answers.trim().split("\n");
    expect(lines.filter((line) => line !== unknown)).toEqual(
      Array(3).fill("Rthis account is not served any more."),
    );
    expect(lines).toHaveLength(12);
    expect(await residents()).toBe(before);
  });

  test("leaves no more in the log than an address, whatever its environment says", async () => {
    const uid = (await machine.ok("getent passwd web | cut -d: -f3")).trim();
    const before = machine.log.length;
    for (const connection of [
      "\u001b[2J\nborgserver: forged",
      "x".repeat(3000),
      "1.2.3",
      "",
      "fe80::1%\n",
      "fe80::1%\u001b",
    ])
      await machine.ok(
        `${loggedIn(uid)} /usr/local/lib/borgserver/session -c 'borg serve --restrict-to-repository /repos/web' </dev/null`,
        {
          env: { USER: "web", SSH_ORIGINAL_COMMAND: "borg serve", SSH_CONNECTION: `${connection} 5 ::1 22` },
        },
      );
    await machine.ok(
      'for i in $(seq 300); do [ -n "$(ls /repos/.borgserver/backup/open)" ] || exit 0; sleep 0.1; done; exit 1',
    );
    await expect.poll(() => machine.log.slice(before).split("\n").length).toBeGreaterThan(6);
    const said = machine.log.slice(before).split("\n").slice(0, -1);
    expect(said).toHaveLength(6);
    for (const line of said)
      expect(line).toMatch(/^borgserver: session of web \(repo\) from an unknown address: [ -~]*$/);
  });

  test("of an admin that is refused shows what a repository would be called", async () => {
    const { stderr } = await machine.ssh("boss", "boss@127.0.0.1 whoami");
    expect(stderr).toContain("as in: borg list ssh://boss@HOST/repos/NAME\n");
  });

  test("with other restrictions changes nothing", async () => {
    const request = "borg serve --restrict-to-path / --umask 000";
    // A real borg client, whose request is replaced on the way.
    await machine.write(
      "/client/ssh",
      `#!/bin/sh\nshift $(($# - 3))\nexec ssh -i /client/web -o UserKnownHostsFile=/client/known_hosts web@127.0.0.1 '${request}'\n`,
    );
    await machine.ok("chmod 755 /client/ssh; mkdir -p /repos/elsewhere; chown 1000:1000 /repos/elsewhere");
    const env = { ...machine.client("web"), BORG_RSH: "/client/ssh" };
    const other = await machine.run("borg init -e none ssh://web@127.0.0.1/repos/elsewhere", { env });
    expect(other.stderr).toContain("Repository path not allowed");
    const own = await machine.run("borg create ssh://web@127.0.0.1/repos/web::a /client/known_hosts", {
      env,
    });
    expect(own).toMatchObject({ code: 0 });
    expect(await machine.ok("find /repos/web -perm /077 ! -type l")).toBe("");
  });

  test("of Borg 2 is refused with the reason", async () => {
    const { code, stderr } = await machine.ssh("web", "web@127.0.0.1 'borg serve --rest'");
    expect(code).toBe(1);
    expect(stderr).toBe(
      "borgserver: this server works with Borg 1.x clients; a Borg 2 client cannot use it.\n",
    );
  });

  test("that is refused tells a borg client why every time, over a slow link too", async () => {
    const slow = {
      BORG_RSH: `${machine.client("web").BORG_RSH} -o 'ProxyCommand=python3 ${programs}/slow_link.py'`,
    };
    await machine.ok("mv /repos/web /repos/away");
    try {
      for (const [tries, env] of [
        [25, {}],
        [5, slow],
      ] as const)
        for (let each = 0; each < tries; each++) {
          const { code, stderr } = await machine.run("borg list ssh://web@127.0.0.1/repos/web", {
            env: { ...machine.client("web"), ...env },
          });
          expect(stderr).toMatch(/^(Error: )?borgserver: \/repos\/web does not exist yet; .*\n$/);
          expect(code).toBe(2);
        }
    } finally {
      await machine.ok("mv /repos/away /repos/web");
    }
  });

  test("for a repository whose directory is missing says so", async () => {
    await machine.ok("mv /repos/web /repos/away");
    try {
      const { code, stderr } = await machine.ssh("web", "web@127.0.0.1 borg serve");
      expect(code).toBe(1);
      expect(stderr).toContain("borgserver: /repos/web does not exist yet");
    } finally {
      await machine.ok("mv /repos/away /repos/web");
    }
  });
});
