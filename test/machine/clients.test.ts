import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { finished, Machine, programs } from "./machine.ts";

// Clients that try what no borg client does, with and without an accepted key.

const graceTime = 10; // seconds
const pinned = "-o UserKnownHostsFile=/client/known_hosts -o BatchMode=yes";
let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web", "repos/other");
  await machine.ok("for n in $(seq 50); do ssh-keygen -q -t ed25519 -N '' -f /client/wrong-$n; done");
  expect(await machine.startServer({}, `-o LoginGraceTime=${graceTime}`)).toBeNull();
  await machine.pinHostKeys();
});
afterAll(() => machine?.stop());

const isServed = async (key: string) =>
  (await machine.ssh(key, `${key}@127.0.0.1 borg serve </dev/null`)).code === 0;

describe("a client with fifty keys", () => {
  const offering = (keys: string[]) =>
    machine.run(
      `ssh ${pinned} -o IdentitiesOnly=yes ${keys.map((key) => `-i /client/${key}`).join(" ")} web@127.0.0.1 borg serve </dev/null`,
    );
  const wrong = Array.from({ length: 50 }, (_, n) => `wrong-${n + 1}`);

  test("is let in if the right one is among the first twenty", async () => {
    expect(await offering([...wrong.slice(0, 19), "web", ...wrong.slice(19, 49)])).toMatchObject({ code: 0 });
  });

  test.each([
    ["is the twenty-first", [...wrong.slice(0, 20), "web", ...wrong.slice(20, 49)]],
    ["is not among them", wrong],
  ])("is cut off if the right one %s, and nobody else from its address is", async (_, keys) => {
    const { code, stderr } = await offering(keys);
    expect(stderr).toContain("Too many authentication failures");
    expect(code).toBe(255);
    expect(await isServed("web")).toBe(true);
  });
});

test("sixty connections that never log in keep nobody out, and are ended", async () => {
  const holder = machine.spawn(`exec python3 ${programs}/stay_away.py`);
  const ended = finished(holder);
  await once(holder.stdout!, "data");
  for (let n = 0; n < 4; n++)
    expect(await Promise.all([isServed("web"), isServed("other")])).toEqual([true, true]);
  expect(await ended).toEqual({ code: 0, stdout: "held\nended 60\n", stderr: "" });
  expect(await isServed("web")).toBe(true);
});

describe("what changes while a client has its key's challenge and has not signed", () => {
  beforeAll(async () => {
    await machine.ok(
      "ssh-agent -a /client/agent >/dev/null; SSH_AUTH_SOCK=/client/agent ssh-add -q /client/web",
    );
  });

  /** Logs in, with a change between sshd's two questions. */
  async function logInDuring(change: string) {
    await machine.ok("rm -f /client/agent.front");
    const front = machine.spawn(`exec python3 ${programs}/agent.py '${change}'`);
    const ended = finished(front);
    await once(front.stdout!, "data");
    const login = await machine.run(
      `ssh ${pinned} -o IdentityAgent=/client/agent.front web@127.0.0.1 borg serve </dev/null`,
    );
    expect(await ended).toMatchObject({ code: 0 });
    return { login, change: await ended };
  }

  test("nothing: the login goes on", async () => {
    const { login } = await logInDuring("index rebuild");
    expect(login).toMatchObject({ code: 0 });
    await machine.logged(/session of web \(repo\) from 127\.0\.0\.1/);
  });

  test("the key was removed: the login is denied", async () => {
    const { login, change } = await logInDuring("mv /sshkeys/repos/web /client/away; index rebuild");
    expect(change.stderr).toContain("index: 1 account (1 repo), 1 key");
    expect(login).toMatchObject({ code: 255, stdout: "" });
    expect(login.stderr).toContain("Permission denied (publickey)");
    await machine.ok("mv /client/away /sshkeys/repos/web; index rebuild");
  });

  test("the role is another: the session has that one", async () => {
    const { login } = await logInDuring("mv /sshkeys/repos/web /sshkeys/repos-appendonly/web; index rebuild");
    expect(login).toMatchObject({ code: 0 });
    await machine.logged(/session of web \(appendonly\) from 127\.0\.0\.1/);
    await machine.ok("mv /sshkeys/repos-appendonly/web /sshkeys/repos/web; index rebuild");
  });
});

describe("a key certified by somebody", () => {
  test.each([
    ["an authority of the client's own", "/client/other", "/client/web"],
    ["an accepted key", "/client/web", "/client/wrong-1"],
  ])("%s: the certificate lets nobody in", async (_, authority, key) => {
    await machine.ok(`cp ${key} /client/certified; cp ${key}.pub /client/certified.pub
      ssh-keygen -q -s ${authority} -I x -n web -O clear -O permit-pty /client/certified.pub`);
    machine.log = "";
    const { code, stderr } = await machine.run(
      `ssh ${pinned} -o IdentitiesOnly=yes -i /client/certified -o PubkeyAcceptedAlgorithms=ssh-ed25519-cert-v01@openssh.com web@127.0.0.1 borg serve`,
    );
    expect(stderr).toContain("Permission denied (publickey)");
    expect(code).toBe(255);
    expect(machine.log).not.toContain("Accepted");
  });
});

test.each(["password", "keyboard-interactive", "hostbased", "gssapi-with-mic", "none"])(
  "a login by %s is not offered",
  async (method) => {
    const { code, stderr } = await machine.run(
      `ssh -o UserKnownHostsFile=/client/known_hosts -i /client/web -o PreferredAuthentications=${method} web@127.0.0.1 borg serve`,
      { env: { SSH_ASKPASS: "/bin/true", SSH_ASKPASS_REQUIRE: "force" } },
    );
    expect(stderr).toBe("web@127.0.0.1: Permission denied (publickey).\r\n");
    expect(code).toBe(255);
  },
);

test.each(["sftp", "foo"])("the subsystem %s does not exist", async (name) => {
  const { code, stdout, stderr } = await machine.ssh("web", `-s web@127.0.0.1 ${name} </dev/null`);
  expect(stderr).toContain("subsystem request failed");
  expect({ code, stdout }).toEqual({ code: 255, stdout: "" });
});

test("no connection goes through the server: to a port, to a socket, or as through a proxy", async () => {
  const { code, stderr } = await machine.ssh("web", "-o ExitOnForwardFailure=yes -R 4003 -N web@127.0.0.1");
  expect(stderr).toContain("remote port forwarding failed");
  expect(code).toBe(255);

  const said = await machine.ok(`
    ssh ${pinned} -i /client/web -N -L 4001:127.0.0.1:22 -L /client/local:/client/agent -D 4002 web@127.0.0.1 2>&1 &
    until ss -ltn | grep -q :4002; do sleep 0.1; done
    python3 ${programs}/use_forwards.py
    kill $!; wait $! || true`);
  expect(said.match(/^got .*/gm)).toEqual(["got b''", "got b''", "got b''"]);
  expect(said.match(/channel [0-9]+: open failed/g)).toHaveLength(3);
});

test("each of several sessions in one connection is the forced one", async () => {
  await machine.ok(`ssh ${pinned} -i /client/web -M -S /client/master -N -f web@127.0.0.1`);
  try {
    const runs = await Promise.all(
      ["whoami", "", "borg serve", "sh", "borg serve"].map((request) =>
        machine.run(`ssh -T -S /client/master web@127.0.0.1 ${request} </dev/null`),
      ),
    );
    expect(runs.map(({ code }) => code)).toEqual([1, 1, 0, 1, 0]);
    for (const { code, stdout, stderr } of runs)
      if (code === 1) {
        expect(stdout).toBe("");
        expect(stderr).toContain("borgserver: only borg can use this account");
      }
  } finally {
    await machine.ok("ssh -S /client/master -O exit web@127.0.0.1");
  }
});
