import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { finished, Machine, programs } from "./machine.ts";

const index = "/var/lib/borgserver/index.sqlite";
let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web");
  await machine.makeKey("stranger");
  expect(await machine.startServer({ SSH_LOG_LEVEL: "VERBOSE" })).toBeNull();
  await machine.pinHostKeys();
  await machine.ok(`cp -p ${index} /client/index`);
});
afterAll(() => machine?.stop());

const login = (key: string, account = "web") =>
  machine.ssh(key, `${account}@127.0.0.1 borg serve </dev/null`);
/** Calls the program as sshd does. */
const ask = (account: string, fingerprint: string) =>
  machine.run(
    `cd / && setpriv --reuid borgkeys --regid borgkeys --clear-groups \
     env -i PATH=/usr/bin:/bin USER=borgkeys LOGNAME=borgkeys HOME=/nonexistent \
     /usr/local/bin/borgserver authorized-keys '${account}' '${fingerprint}'`,
  );
const fingerprint = async (key: string) =>
  (await machine.ok(`ssh-keygen -lf /client/${key}.pub`)).split(" ")[1]!;

describe("what sshd asks", () => {
  beforeAll(async () => {
    // A recorder in the program's place, which then becomes the program.
    await machine.ok("mv /usr/local/bin/borgserver /usr/local/bin/borgserver.real && mkdir -m 1777 /calls");
    await machine.write(
      "/usr/local/bin/borgserver",
      `#!/bin/bash
{ echo "$*"; id -un; pwd; tr '\\0' '\\n' </proc/$$/environ | cut -d= -f1 | sort | tr '\\n' ' '; } >/calls/$$
exec -a /usr/local/bin/borgserver /usr/local/bin/borgserver.real "$@"
`,
    );
    await machine.ok("chmod 755 /usr/local/bin/borgserver");
  });
  afterAll(() => machine.ok("mv -f /usr/local/bin/borgserver.real /usr/local/bin/borgserver"));

  test("it asks twice about an accepted key, as borgkeys, in /, with five variables", async () => {
    expect(await login("web")).toMatchObject({ code: 0 });
    const call = `authorized-keys web ${await fingerprint("web")}\nborgkeys\n/\n`;
    const calls = (await machine.ok("for c in /calls/*; do cat $c; echo; done; rm /calls/*")).trimEnd();
    const expected = /^(.*\nborgkeys\n\/\n)((?:LANG )?HOME (?:LANG )?LOGNAME PATH USER) ?$/;
    const [first, second, ...more] = calls.split(/\n(?=authorized-keys)/);
    expect(more).toEqual([]);
    for (const each of [first!, second!]) {
      expect(expected.exec(each)?.[1]).toBe(call);
    }
  });

  test("it asks once about each rejected key, and not at all about accounts that do not exist", async () => {
    expect((await login("stranger")).stderr).toContain("Permission denied (publickey)");
    expect(await machine.ok("cat /calls/* | grep -c authorized-keys; rm /calls/*")).toBe("1\n");
    expect((await login("web", "nobody-here")).stderr).toContain("Permission denied (publickey)");
    expect(await machine.ok("ls /calls")).toBe("");
  });

  test("an account of the system is not asked about, whatever key it offers", async () => {
    for (const account of ["root", "borgkeys", "sshd", "borg"]) {
      expect((await login("web", account)).stderr).toContain("Permission denied (publickey)");
    }
  });
});

test("sshd's configuration says all that logins rest on", async () => {
  const lines = (await machine.ok("/usr/sbin/sshd -T -f /run/borgserver/sshd_config")).split("\n");
  expect(lines).toEqual(
    expect.arrayContaining([
      "authorizedkeysfile none",
      "authorizedkeyscommand /usr/local/bin/borgserver authorized-keys %u %f",
      "authorizedkeyscommanduser borgkeys",
      ...["borg-repo", "borg-appendonly", "borg-restore", "borg-admin"].map(
        (group) => `allowgroups ${group}`,
      ),
      "authenticationmethods publickey",
      "passwordauthentication no",
      "kbdinteractiveauthentication no",
      "hostbasedauthentication no",
      "permitrootlogin no",
      "usepam no",
      "requiredrsasize 2048",
      "disableforwarding yes",
      "permittty no",
      "permituserrc no",
      "permituserenvironment no",
      "clientaliveinterval 10",
      "clientalivecountmax 15", // of this OpenSSH, which asks at every other interval
      "unusedconnectiontimeout 600",
      "maxstartups 900:30:1000",
      "persourcemaxstartups 500",
      "persourcenetblocksize 32:64",
      "logingracetime 120",
      "maxauthtries 20",
      "fingerprinthash SHA256",
      "usedns no",
      "pidfile none",
    ]),
  );
});

describe("the answer", () => {
  test("is one line for the account and its key", async () => {
    const [type, blob] = (await machine.ok("cat /client/web.pub")).split(" ");
    expect(await ask("web", await fingerprint("web"))).toEqual({
      code: 0,
      stderr: "",
      stdout: `restrict,command="borg serve --restrict-to-repository /repos/web" ${type} ${blob}\n`,
    });
  });

  test.each([
    ["another key", "web", "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
    ["another account", "wen", ""],
    ["a wildcard", "%", "%"],
    ["nothing", "", ""],
    ["SQL", "web' OR '1'='1".replaceAll("'", `'"'"'`), "x"],
    ["options", "--help", "--version"],
  ])("is silence and exit 0 for %s", async (_, account, key) => {
    expect(await ask(account, key)).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("comes from an account that can read the index and no private key", async () => {
    const asBorgkeys = "setpriv --reuid borgkeys --regid borgkeys --clear-groups";
    await machine.ok(`${asBorgkeys} cat ${index} >/dev/null`);
    for (const path of [
      "/sshkeys/host/ssh_host_ed25519_key",
      "/run/borgserver/host-keys/ssh_host_ed25519_key",
      "/etc/shadow",
      "/repos/web/x",
    ]) {
      expect((await machine.run(`${asBorgkeys} cat ${path}`)).stderr).toContain("Permission denied");
    }
    expect((await machine.run(`${asBorgkeys} sh -c 'echo >>${index}'`)).code).not.toBe(0);
  });
});

test("an answer that has to wait for a while, but not for the processor, is late and not lost", async () => {
  // The pipe is full, and is read four seconds later.
  const asked = `setpriv --reuid borgkeys --regid borgkeys --clear-groups borgserver authorized-keys web '${await fingerprint("web")}'`;
  const answer = await machine.ok(`{ head -c 65536 /dev/zero; ${asked}; } | { sleep 4; cat; } | tr -d '\\0'`);
  expect(answer).toMatch(/^restrict,/);
});

test("an answer that cannot be written denies the login, and says so", async () => {
  const asked = `setpriv --reuid borgkeys --regid borgkeys --clear-groups borgserver authorized-keys web '${await fingerprint("web")}'`;
  const { code, stderr } = await machine.run(`${asked} >/dev/full`);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^borgserver: login of web denied: the answer could not be written: ENOSPC[^\n]*\n$/,
  );
});

describe("a fault of the index denies the login, with one line in the log, and never hangs", () => {
  const sqlite = `python3 ${programs}/sqlite.py ${index}`;

  test.each([
    ["missing", `rm ${index}`, /unable to open/],
    ["truncated", `truncate -s 5000 ${index}`, /malformed|disk image/],
    ["empty", `truncate -s 0 ${index}`, /not a borgserver index/],
    ["garbage", `head -c 40000 /dev/urandom >${index}`, /not a database/],
    ["of another schema version", `${sqlite} 'PRAGMA user_version = 999'`, /version 999/],
    [
      "another program's database",
      `rm ${index}; ${sqlite} 'CREATE TABLE t (a)'; chmod 644 ${index}`,
      /not a borgserver index/,
    ],
    ["unreadable", `chmod 600 ${index}`, /unable to open/],
    ["a folder", `rm ${index}; mkdir ${index}`, /disk I\/O error/],
    ["a FIFO", `rm ${index}; mkfifo -m 644 ${index}`, /not a regular file/],
  ])("%s", async (_, damage, reason) => {
    await machine.ok(damage);
    try {
      const answer = await ask("web", await fingerprint("web"));
      expect(answer).toMatchObject({ code: 1, stdout: "" });
      expect(answer.stderr).toMatch(
        /^borgserver: login of web denied: the index .* To build it anew: index rebuild --full\n$/,
      );
      expect(answer.stderr).toMatch(reason);

      machine.log = "";
      expect((await login("web")).stderr).toContain("Permission denied (publickey)");
      await machine.logged(reason);
      expect(machine.log.match(/borgserver: /g)).toHaveLength(1);

      await machine.ok(`[ ! -d ${index} ] || rmdir ${index}; index rebuild`);
      expect(await login("web")).toMatchObject({ code: 0 });
    } finally {
      await machine.ok(`rm -rf ${index}; cp -p /client/index ${index}`);
    }
  });

  test.each([
    ["a write-ahead log", "wal"],
    ["a journal", "journal"],
  ])("%s that another program left beside it is gone after a rebuild", async (_, kind) => {
    await machine.ok(`python3 ${programs}/leave_journal.py ${index} ${kind}`);
    expect(await machine.ok(`ls $(realpath ${index})-*`)).toMatch(/-(wal|journal)\n/);
    await machine.ok("index rebuild --full");
    expect(await machine.run(`ls ${index}-* $(realpath ${index})-*`)).toMatchObject({ stdout: "" });
    expect(await login("web")).toMatchObject({ code: 0 });
  });

  test("a folder of the index that the login program may not enter is opened to it by a rebuild", async () => {
    await machine.ok("chown root:root /var/lib/borgserver; chmod 700 /var/lib/borgserver");
    expect((await login("web")).stderr).toContain("Permission denied (publickey)");
    await machine.ok("index rebuild");
    expect(await login("web")).toMatchObject({ code: 0 });
  });

  test("locked by another program", async () => {
    const holder = machine.spawn(`exec python3 ${programs}/hold_lock.py ${index}`);
    const ended = finished(holder);
    await new Promise((resolve) => holder.stdout!.once("data", resolve));
    const answer = await ask("web", await fingerprint("web"));
    expect(answer).toMatchObject({ code: 1, stdout: "" });
    expect(answer.stderr).toContain("database is locked");
    expect((await login("web")).stderr).toContain("Permission denied (publickey)");
    holder.stdin!.end("\n");
    await ended;
    expect(await login("web")).toMatchObject({ code: 0 });
  });

  test("when even the log is stuck, the program ends itself", async () => {
    // A full pipe that nobody reads in stderr's place: the line about the missing index cannot be written.
    await machine.ok(`rm ${index}`);
    try {
      await machine.write(
        "/client/stuck.sh",
        `mkfifo /client/stuck; exec 3<>/client/stuck; dd if=/dev/zero of=/client/stuck bs=64K count=1 oflag=nonblock 2>/dev/null
         timeout 90 borgserver authorized-keys web x 2>&3; echo $?`,
      );
      const { stdout } = await machine.run("bash /client/stuck.sh");
      expect(stdout).toBe(`${128 + 14}\n`); // SIGALRM; 124 would be timeout's own
    } finally {
      await machine.ok(`cp -p /client/index ${index}`);
    }
  });

  test("an index that keeps the processor busy without end", async () => {
    await machine.ok(`python3 ${programs}/endless_index.py ${index}`);
    try {
      const { stdout } = await machine.run(
        `bash -c 'TIMEFORMAT="%U %S"; { time borgserver authorized-keys web x 2>/dev/null; } 2>&1; echo $?'`,
      );
      const [, user, system, code] = /^(\S+) (\S+)\n(\d+)\n$/m.exec(stdout) ?? [];
      expect(code).toBe(`${128 + 27}`); // SIGPROF
      expect(Number(user) + Number(system)).toBeGreaterThan(1);
    } finally {
      await machine.ok(`rm -f ${index}; cp -p /client/index ${index}`);
    }
  });
});
