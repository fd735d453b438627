import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine, programs } from "./machine.ts";

let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web");
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
});
afterAll(() => machine?.stop());

/** Starts the server anew, with options for sshd. */
async function restart(options: string): Promise<void> {
  await machine.stopServer();
  expect(await machine.startServer({}, options)).toBeNull();
}

const login = () => machine.ssh("web", "web@127.0.0.1 borg serve </dev/null");

describe("what is offered to clients", () => {
  test("is without SHA-1, short groups, short tags, NIST's curves for the key exchange, CBC", async () => {
    const offered = JSON.parse(await machine.ok(`python3 ${programs}/offers.py`)) as Record<string, string[]>;
    expect(offered.kex![0]).toMatch(/^(mlkem768|sntrup761)x25519-/);
    expect(offered.kex).toContain("curve25519-sha256");
    expect(offered.kex!.join()).not.toMatch(/sha1|nistp|group1-|group14|exchange/);
    expect([...offered.hostKeys!].sort()).toEqual(["rsa-sha2-256", "rsa-sha2-512", "ssh-ed25519"]);
    for (const ciphers of [offered.ciphersIn!, offered.ciphersOut!]) {
      expect(ciphers.join()).not.toMatch(/cbc|3des|arcfour/);
      expect(ciphers).toContain("aes256-gcm@openssh.com");
    }
    for (const macs of [offered.macsIn, offered.macsOut])
      expect([...macs!].sort()).toEqual([
        "hmac-sha2-256",
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "umac-128-etm@openssh.com",
      ]);
  });

  test("is enough for dropbear's client", async () => {
    await machine.ok("dropbearconvert openssh dropbear /client/web /client/web.dropbear");
    const { code, stderr } = await machine.run(
      "dbclient -y -i /client/web.dropbear web@127.0.0.1 borg serve </dev/null",
    );
    expect({ code, stderr }).toMatchObject({ code: 0 });
  });

  test("is enough for PuTTY's client", async () => {
    await machine.ok("puttygen /client/web -O private -o /client/web.ppk");
    const fingerprint = (
      await machine.ok("ssh-keygen -lf /sshkeys/host/ssh_host_ed25519_key.pub | cut -d ' ' -f 2")
    ).trim();
    const { code, stderr } = await machine.run(
      `plink -batch -ssh -i /client/web.ppk -hostkey ${fingerprint} web@127.0.0.1 borg serve </dev/null`,
    );
    expect({ code, stderr }).toMatchObject({ code: 0 });
  });
});

describe("clients that never log in", () => {
  /** Opens connections that say nothing, COUNT from each ADDRESS; what became of them, and how to end them. */
  async function idlers(words: string): Promise<{ said: string; end(): Promise<void> }> {
    const child = machine.spawn(`exec python3 ${programs}/idle.py 22 ${words}`);
    const said = await new Promise<string>((resolve) =>
      child.stdout!.once("data", (data) => resolve(`${data}`)),
    );
    return {
      said: said.trim(),
      async end() {
        child.stdin!.end();
        await new Promise((resolve) => child.on("exit", resolve));
      },
    };
  }

  test("of one address take half of the places at most, and others are let in", async () => {
    const { said, end } = await idlers("127.0.0.2 600");
    expect(said).toBe("answered 500 refused 100");
    expect(await login()).toMatchObject({ code: 0 });
    await end();
  });

  test("of one IPv6 network of 64 bits count as one address", async () => {
    await machine.ok("for n in 1 2; do ip -6 address add fd00::$n/64 dev lo nodad; done");
    const { said, end } = await idlers("fd00::1 300 fd00::2 300");
    expect(said).toBe("answered 500 refused 100");
    expect(await login()).toMatchObject({ code: 0 });
    await end();
  });

  test("are sent away after the time that a login may take", async () => {
    await restart("-o LoginGraceTime=2");
    const words =
      'import socket; c = socket.create_connection(("127.0.0.1", 22)); print(len(c.makefile().read()))';
    const { code, stdout } = await machine.run(`timeout 60 python3 -c '${words}'`);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^[1-9]/) });
  });
});

describe("a connection without a session", () => {
  const master =
    "-M -S /client/master -f -N -o ControlPersist=yes -o ServerAliveInterval=1 web@127.0.0.1 2>/dev/null";

  test("ends by itself", async () => {
    await restart("-o UnusedConnectionTimeout=3");
    await machine.ssh("web", master);
    await machine.logged(/terminating inactive connection/);
    await machine.ok("until ! [ -e /client/master ]; do sleep 0.1; done");
  });

  test("goes on while it is used, and a session on it is not bound by that time", async () => {
    await machine.ssh("web", master);
    const session = machine.spawn("ssh -S /client/master web@127.0.0.1 borg serve");
    await machine.ok("sleep 8; [ -e /client/master ]");
    session.stdin!.end();
    await new Promise((resolve) => session.on("exit", resolve));
    expect(session.exitCode).toBe(0);
    for (let use = 0; use < 3; use++) {
      await machine.ok("sleep 2; ssh -S /client/master web@127.0.0.1 borg serve </dev/null");
    }
  });
});
