import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine, programs } from "./machine.ts";

/** Stands in for borg where a test looks at what it is started with. */
const fake = "/client/fake";
let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  await machine.write("/sshkeys/repos/web", await machine.makeKey("web"));
  await machine.write("/sshkeys/admins/boss", await machine.makeKey("boss"));
  expect(await machine.startServer()).toBeNull();
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
    await machine.write(fake, "#!/bin/sh\ntr '\\0' '\\n' </proc/$$/environ\n");
    await machine.ok(
      "chmod 755 /client/fake; ln -sf /client/fake /usr/local/lib/borgserver/borg; touch /client/.Xauthority",
    );
    const request =
      "ssh -v -A -X -o SendEnv=* -i /client/web -o UserKnownHostsFile=/client/known_hosts web@127.0.0.1 BORG_X=1 borg serve";
    try {
      const { stdout, stderr } = await machine.run(
        `eval "$(ssh-agent)" >/dev/null; ssh-add -q /client/boss; ${request}; ssh-agent -k >/dev/null`,
        {
          env: { DISPLAY: ":9", LC_ALL: "C.UTF-8", BORG_PASSPHRASE: "leak" },
        },
      );
      expect(stderr).toContain("Requesting authentication agent forwarding");
      expect(stderr).toContain("Requesting X11 forwarding");
      const names = stdout
        .trim()
        .split("\n")
        .map((line) => line.split("=")[0]!);
      const known = [
        "BORG_HOST_ID",
        "BORG_SELFTEST",
        "BORGSERVER_GUARD",
        "HOME",
        "LANG",
        "LOGNAME",
        "MAIL",
        "MOTD_SHOWN",
        "PATH",
        "PWD",
        "SHELL",
        "SSH_CLIENT",
        "SSH_CONNECTION",
        "TZ",
        "USER",
      ];
      expect(names.filter((name) => !known.includes(name))).toEqual([]);
      expect(stdout).toContain("BORG_HOST_ID=backup\n");
      expect(stdout).toContain("BORG_SELFTEST=disabled\n");
    } finally {
      await machine.ok("/usr/local/lib/borgserver/install system");
    }
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
  /** What borg serve is started with when a client asks for this. */
  async function served(request: string, script = 'echo "$@"'): Promise<string> {
    await machine.write(fake, `#!/bin/sh\n${script}\n`);
    await machine.ok("chmod 755 /client/fake; ln -sf /client/fake /usr/local/lib/borgserver/borg");
    try {
      return (await machine.ssh("web", `web@127.0.0.1 '${request}'`)).stdout.trim();
    } finally {
      await machine.ok("/usr/local/lib/borgserver/install system");
    }
  }
  const forced = "serve --restrict-to-repository /repos/web";

  test("keeps how much the client wants to have logged, and nothing else", async () => {
    expect(await served("borg serve --umask=077 --info")).toBe(`${forced} --info`);
    expect(await served("borg serve --debug --debug-topic=repo")).toBe(
      `${forced} --debug --debug-topic=repo`,
    );
    expect(await served("borg serve --restrict-to-path / --umask 000 --storage-quota=1T --append-only")).toBe(
      forced,
    );
    await machine.ok("touch /repos/web/--info");
    expect(await served("borg serve --debug-topic=$(id) --debug-topic=a;b *")).toBe(forced);
    await machine.ok("rm /repos/web/--info");
  });

  test("gains no rights by any program it starts, also where the kernel confines nothing", async () => {
    expect(await served("borg serve", "grep NoNewPrivs /proc/self/status")).toMatch(/^NoNewPrivs:\s1$/);
  });

  test("is confined fully, or fails, unless the forced command says otherwise", async () => {
    const { code, stderr } = await machine.run(
      "SSH_ORIGINAL_COMMAND='borg serve' USER=web /usr/local/lib/borgserver/session /repos/web borg serve",
    );
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^setpriv: /) });
  });

  test("leaves no other process than borg: its parent is sshd", async () => {
    expect(await served("borg serve", "cat /proc/$PPID/comm")).toMatch(/^sshd/);
  });

  test("may name borg as the client's --remote-path does", async () => {
    expect(await served("/usr/local/bin/borg1 serve")).toBe(forced);
    expect(await served("BORG_HOST_ID=evil borg-1.4 serve --error")).toBe(`${forced} --error`);
  });

  test.each(["sudo borg", "nice -n 19 borg", "env X=1 /opt/borg-1.2/bin/borg", "docker exec -i b borg"])(
    "may come behind %s, of which nothing runs",
    async (wrapper) => {
      expect(await served(`${wrapper} serve --umask=077 --info`)).toBe(`${forced} --info`);
    },
  );

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
          expect(stderr).toMatch(
            /^(Remote: Could not chdir .*\n)?(Error: )?borgserver: \/repos\/web does not exist yet; .*\n$/,
          );
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
