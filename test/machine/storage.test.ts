import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine, programs, unfolded } from "./machine.ts";

// Storage that is full or read-only; times of files that are wrong; an index of another version.

const index = "/var/lib/borgserver/index.sqlite";
let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  for (const key of ["web", "new"]) await machine.makeKey(key);
  // File systems of their own, so that one alone can be full.
  for (const folder of ["/sshkeys", "/var/lib/borgserver", "/repos", "/etc"])
    await machine.ok(
      `mkdir -p ${folder} /client/was; cp -a ${folder}/. /client/was; mount -t tmpfs -o size=16m tmpfs ${folder}
       cp -a /client/was/. ${folder}; rm -r /client/was`,
    );
  await machine.ok("cp /client/web.pub /sshkeys/repos/web");
  expect(await machine.startServer()).toBeNull();
  await machine.ok("until [ -S /run/borgserver/sessions ]; do sleep 0.1; done");
  await machine.pinHostKeys();
});
afterAll(() => machine?.stop());

const mayLogIn = async (key: string) =>
  (await machine.ssh(key, `${key}@127.0.0.1 borg serve </dev/null`)).code === 0;

/** All that commands write; what sessions record of themselves, and the keeper of them, is not theirs. */
const state = () =>
  machine.ok(
    `cat /etc/passwd /etc/shadow; sha256sum ${index}
     find /etc/passwd* /etc/shadow* /var/lib/borgserver /repos -path /repos/.borgserver -prune -o -name 'ledger.*' -o -printf '%p %U:%G %m\\n' | sort`,
  );

/** Runs the next update, when all is well again. */
async function isRepaired(): Promise<void> {
  await machine.ok("update-borgusers");
  expect(await machine.ok("stat -c '%u:%g %a' /repos/new")).toBe("1000:1000 700\n");
  expect(await mayLogIn("new")).toBe(true);
  await machine.ok("rm /sshkeys/repos/new; update-borgusers; rmdir /repos/new");
}

const faults: [string, (folder: string) => string, (folder: string) => string, RegExp][] = [
  [
    "full",
    (folder) =>
      `mount -o remount,$(df --output=iused,used ${folder} | awk 'NR == 2 { print "nr_inodes=" $1 ",size=" ($2 > 4 ? $2 : 4) "k" }') ${folder}`,
    (folder) => `mount -o remount,nr_inodes=100k,size=16m ${folder}`,
    /full|ENOSPC|unable to open/,
  ],
  [
    "read-only",
    // The keeper has its ledger open.
    (folder) => `mount --bind ${folder} ${folder}; mount -o remount,bind,ro ${folder}`,
    (folder) => `umount ${folder}`,
    /readonly|EROFS|unable to open/,
  ],
];
describe.each(faults)("storage that is %s", (fault, spoil, mend, reason) => {
  test("where the index is: commands say so and change nothing, logins go on", async () => {
    await machine.ok("cp /client/new.pub /sshkeys/repos/new");
    const before = await state();
    await machine.ok(spoil("/var/lib/borgserver"));
    try {
      for (const command of ["index rebuild", "update-borgusers"]) {
        const { code, stdout, stderr } = await machine.run(command);
        expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
        expect(unfolded(stderr)).toMatch(/^borgserver: .*\/var\/lib\/borgserver\/.*\n$/);
        expect(stderr).toMatch(reason);
      }
      // What serves sessions has the room for its socket that the last one leaves.
      if (fault === "full") await machine.ok("kill -9 $(pgrep -x borg-resident)");
      expect(await mayLogIn("web")).toBe(true);
      expect(await mayLogIn("new")).toBe(false);
    } finally {
      await machine.ok(mend("/var/lib/borgserver"));
    }
    expect(await state()).toBe(before);
    await isRepaired();
  });

  test("where the system's own accounts are: all commands work, and a start", async () => {
    await machine.ok("cp /client/new.pub /sshkeys/repos/new");
    const etc = () => machine.ok("cat /etc/passwd /etc/shadow; ls -A /etc");
    const before = await etc();
    await machine.ok(spoil("/etc"));
    try {
      expect(await machine.ok("index rebuild")).toContain("account new: added");
      expect(await machine.ok("update-borgusers")).toContain("/repos/new: created");
      expect(await mayLogIn("new")).toBe(true);
      await machine.stopServer();
      expect(await machine.startServer()).toBeNull();
      expect(await mayLogIn("web")).toBe(true);
    } finally {
      await machine.ok(mend("/etc"));
    }
    expect(await etc()).toBe(before);
    await isRepaired();
  });

  test("where the repositories are: a new client is told so, the others go on", async () => {
    await machine.ok(`cp /client/new.pub /sshkeys/repos/new; ${spoil("/repos")}`);
    try {
      const { code, stdout, stderr } = await machine.run("update-borgusers");
      expect(stderr).toMatch(/^borgserver: \/repos\/new: could not be created: .*\n$/);
      expect(stderr).toMatch(reason);
      expect(stdout).toContain("account new: added");
      expect(stdout).not.toContain("created");
      expect(code).toBe(1);
      const refused = await machine.ssh("new", "new@127.0.0.1 borg serve");
      expect(refused.stderr).toContain("borgserver: /repos/new does not exist yet");
      expect(refused.code).toBe(1);
      expect(await mayLogIn("web")).toBe(true);
    } finally {
      await machine.ok(mend("/repos"));
    }
    await isRepaired();
  });

  test("where the keys are: all commands work, and a start", async () => {
    await machine.ok(`cp /client/new.pub /sshkeys/repos/new; ${spoil("/sshkeys")}`);
    try {
      expect(await machine.ok("index rebuild")).toContain("account new: added");
      expect(await machine.ok("update-borgusers")).toContain("/repos/new: created");
      await machine.stopServer();
      expect(await machine.startServer()).toBeNull();
      expect(await mayLogIn("web")).toBe(true);
    } finally {
      await machine.ok(mend("/sshkeys"));
    }
    await isRepaired();
  });
});

describe("whatever the clock says", () => {
  test.each(["1970-01-02", "-2 hours", "2 hours", "2100-01-01"])(
    "%s: a changed key is seen",
    async (time) => {
      await machine.ok(
        `cp /client/new.pub /sshkeys/repos/web; touch -d '${time}' /sshkeys/repos/web; index rebuild`,
      );
      expect((await machine.ssh("new", "web@127.0.0.1 borg serve")).code).toBe(0);
      await machine.ok(
        `cat /client/web.pub >/sshkeys/repos/web; touch -d '${time}' /sshkeys/repos/web; index rebuild`,
      );
      expect((await machine.ssh("new", "web@127.0.0.1 borg serve")).code).toBe(255);
      expect(await mayLogIn("web")).toBe(true);
    },
  );

  test("a key file with the name, size and times of another is not taken for it", async () => {
    await machine.ok("cp -p /sshkeys/repos/web /client/old");
    await machine.ok(
      "cp /client/new.pub /client/swap; touch -r /sshkeys/repos/web /client/swap; mv /client/swap /sshkeys/repos/web",
    );
    expect(await machine.ok("stat -c '%s %y' /sshkeys/repos/web")).toBe(
      await machine.ok("stat -c '%s %y' /client/old"),
    );
    await machine.ok("index rebuild");
    expect((await machine.ssh("new", "web@127.0.0.1 borg serve")).code).toBe(0);
    await machine.ok("cp -p /client/old /sshkeys/repos/web; index rebuild");
    expect(await mayLogIn("web")).toBe(true);
  });

  test("a clock that is set forwards and back between commands hides no change", async () => {
    // Only what commands take for now is false: libfaketime leaves the files their times with NO_FAKE_STAT.
    const at = (time: string, command: string) =>
      machine.ok(`NO_FAKE_STAT=1 faketime '${time}' sh -c '${command}'`);
    expect(await at("2001-01-01", "date +%Y")).toBe("2001\n");
    await at("2040-01-01", "cp /client/new.pub /sshkeys/repos/new; update-borgusers");
    expect(await mayLogIn("new")).toBe(true);
    for (const time of ["2001-01-01", "2040-01-01", "2001-01-01"]) {
      await at(time, "cat /client/web.pub >/sshkeys/repos/new; index rebuild");
      expect(await mayLogIn("new")).toBe(false);
      await at(time, "cat /client/new.pub >/sshkeys/repos/new; index rebuild");
      expect(await mayLogIn("new")).toBe(true);
    }
    await at("2001-01-01", "rm /sshkeys/repos/new; update-borgusers");
    expect(await mayLogIn("new")).toBe(false);
    expect(await machine.run("id new")).toMatchObject({ code: 1 });
    await machine.ok("rmdir /repos/new");
  });
});

describe.each([0, 999])("an index of schema version %i", (version) => {
  const damage = `python3 ${programs}/sqlite.py ${index} 'PRAGMA user_version = ${version}'`;

  test("denies logins with the reason, until it is rebuilt", async () => {
    machine.log = "";
    await machine.ok(damage);
    expect(await mayLogIn("web")).toBe(false);
    await machine.logged(new RegExp(`login of web denied: .* version ${version}, .* index rebuild --full\n`));
    await machine.ok("index rebuild");
    expect(await mayLogIn("web")).toBe(true);
  });

  test("is replaced by a start", async () => {
    await machine.stopServer();
    await machine.ok(damage);
    expect(await machine.startServer()).toBeNull();
    expect(await mayLogIn("web")).toBe(true);
  });
});
