import { afterAll, beforeAll, expect, test } from "vitest";
import { idOf, Machine, programs } from "./machine.ts";

let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  await machine.makeKey("web");
});
afterAll(() => machine?.stop());

const library = "/var/lib/borgserver";

/** What the system knows, and the files that are its own. */
const accounts = () => machine.ok("getent passwd; cat /etc/passwd; echo; cat /etc/shadow");

test("the system's own account files are never written", async () => {
  // Odd but legal: a Latin-1 comment, NIS entries, another program's account with the repositories' owner's id.
  await machine.ok(
    `printf 'guest:x:1000:100:Ren\\351e,,,:/home/guest:/bin/sh\\n\\n+nis::::::\\n' >>/etc/passwd; printf '+nis::::::::\\n' >>/etc/shadow`,
  );
  const files = () =>
    machine.ok("sha256sum /etc/passwd /etc/shadow; stat -c '%i %Y %Z' /etc /etc/passwd /etc/shadow");
  const before = await files();
  await machine.ok("update-borgusers");
  await machine.ok("for n in a b c; do cp /client/web.pub /sshkeys/repos/$n; done; update-borgusers");
  await machine.ok("rm /sshkeys/repos/b; cp /client/web.pub /sshkeys/repos/d; index rebuild");
  expect(await machine.ok("getent passwd | grep -a ':borgserver:' | cut -d: -f1-3,6,7 | sort")).toBe(
    ["a", "borg", "c", "d"]
      .map((name) => `${name}:*:${idOf(name)}:/:/usr/local/lib/borgserver/session\n`)
      .join(""),
  );
  await machine.ok("borgserver prepare; rm /sshkeys/repos/*; update-borgusers");
  expect(await machine.ok("getent passwd | grep -a ':borgserver:' | cut -d: -f1")).toBe("borg\n");
  expect(await files()).toBe(before);
});

test("--dry-run prints the plan and changes nothing", async () => {
  await machine.ok("cp /client/web.pub /sshkeys/repos/web; cp /client/web.pub /sshkeys/admins/boss");
  const state = async () =>
    (await accounts()) + (await machine.ok("ls -la --time-style=full-iso /repos /var/lib/borgserver"));
  const before = await state();
  expect(await machine.ok("update-borgusers --dry-run")).toBe(
    "index: 2 accounts (1 repo, 1 admin), 2 keys\n" +
      "would be: account web: added\nwould be: account boss: added\nwould be: /repos/web: created\n",
  );
  expect(await state()).toBe(before);
  await machine.ok("update-borgusers");
  expect(await machine.ok("update-borgusers --dry-run")).toBe(
    "index: 2 accounts (1 repo, 1 admin), 2 keys\naccounts and repositories are in step\n",
  );
});

test("a second run changes nothing, not even the files' times", async () => {
  const times = () =>
    machine.ok("stat -L -c '%i %y' /etc/passwd.cache /etc/passwd.cache.* /repos /repos/web");
  const before = await times();
  expect(await machine.ok("update-borgusers")).toBe("index: 2 accounts (1 repo, 1 admin), 2 keys\n");
  expect(await times()).toBe(before);
});

test("a mount of the keys that got lost removes nobody", async () => {
  const before = await accounts();
  await machine.ok("mv /sshkeys /lost");
  for (const command of ["index rebuild", "update-borgusers"]) {
    const { code, stderr } = await machine.run(command);
    expect(code).toBe(3);
    expect(stderr).toContain("/sshkeys/repos: the folder is missing, but its accounts are served");
  }
  // As after a restart whose storage is not there yet.
  await machine.ok("mkdir /sshkeys");
  const start = await machine.run("borgserver prepare");
  expect(start).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("/sshkeys/repos: the folder is missing"),
  });
  await machine.ok("rmdir /sshkeys; mv /lost /sshkeys");
  expect(await accounts()).toBe(before);
  expect(await machine.ok("update-borgusers --dry-run")).toContain("in step");
});

const sqlite = `python3 ${programs}/sqlite.py`;

test.each([
  ["a damaged index", `echo broken >${library}/index.sqlite`],
  [
    "an index with a damaged page",
    `dd if=/dev/zero of=${library}/index.sqlite bs=4096 seek=1 count=20 conv=notrunc`,
  ],
  ["a missing index", `rm ${library}/current/index.sqlite`],
  ["a missing link to the index", `rm ${library}/index.sqlite`],
  ["a foreign index", `rm ${library}/index.sqlite; cp /client/foreign.sqlite ${library}/index.sqlite`],
  [
    "an index of another version",
    `cp /client/other-version.sqlite ${library}/index.sqlite; rm ${library}/current/served.json`,
  ],
  ["a damaged count beside the index", `echo '{"repo":' >${library}/current/served.json`],
  ["both damaged", `echo broken | tee ${library}/index.sqlite >${library}/current/served.json`],
  ["both missing", `rm ${library}/current/index.sqlite ${library}/current/served.json`],
])("%s and a lost mount remove nobody, and nothing is made in the mount's place", async (_, damage) => {
  await machine.ok(`cp ${library}/index.sqlite /client/other-version.sqlite
    ${sqlite} /client/other-version.sqlite 'PRAGMA user_version = 1' 'ALTER TABLE grant DROP COLUMN expires'
    ${sqlite} /client/foreign.sqlite 'CREATE TABLE IF NOT EXISTS account (source)'`);
  await machine.ok(`mkdir /kept && cp -a ${library}/. /kept && mv /sshkeys /lost && mkdir /sshkeys`);
  const before = await accounts();
  await machine.ok(damage);
  try {
    for (const command of [
      "index rebuild",
      "index rebuild --full",
      "update-borgusers",
      "borgserver prepare",
    ]) {
      const { code, stderr } = await machine.run(command);
      expect({ command, code, stderr }).toEqual({
        command,
        code: 3,
        stderr: expect.stringContaining("/sshkeys/repos: the folder is missing, but its accounts are served"),
      });
    }
    expect(await accounts()).toBe(before);
    expect(await machine.ok("ls -A /sshkeys")).toBe("");
  } finally {
    await machine.ok(`rmdir /sshkeys; mv /lost /sshkeys; cp -a /kept/. ${library}; rm -r /kept`);
  }
  expect(await machine.ok("update-borgusers --dry-run")).toContain("in step");
});

test("a rebuild that was killed at its rename leaves what a lost mount must not remove", async () => {
  const before = await accounts();
  const words =
    "-f -qq -o /dev/null -e trace=rename,renameat,renameat2 -e inject=rename,renameat,renameat2:signal=KILL:when=1";
  expect(await machine.run(`strace ${words} index rebuild`)).toMatchObject({ code: 137, stdout: "" });
  await machine.ok("mv /sshkeys /lost && mkdir /sshkeys");
  expect(await machine.run("update-borgusers")).toMatchObject({ code: 3 });
  await machine.ok(`rm ${library}/index.sqlite`);
  expect(await machine.run("update-borgusers")).toMatchObject({ code: 3 });
  await machine.ok("rmdir /sshkeys; mv /lost /sshkeys; index rebuild --full");
  expect(await accounts()).toBe(before);
});

test("an emptied role folder removes its accounts, and may be removed then", async () => {
  await machine.ok("mv /sshkeys/repos /kept && mkdir /sshkeys/repos");
  expect(await machine.ok("update-borgusers")).toContain("removed (repositories stay)");
  await machine.ok("rmdir /sshkeys/repos && update-borgusers && mv /kept /sshkeys/repos");
  expect(await machine.ok("update-borgusers")).toContain("added");
});

test("a role folder that cannot be read removes nobody", async () => {
  const before = await accounts();
  await machine.ok("mv /sshkeys/repos /lost; touch /sshkeys/repos");
  const { code, stderr } = await machine.run("update-borgusers");
  expect({ code, stderr }).toEqual({
    code: 3,
    stderr: expect.stringContaining("/sshkeys/repos: the folder cannot be read (ENOTDIR)."),
  });
  await machine.ok("rm /sshkeys/repos; mv /lost /sshkeys/repos");
  expect(await accounts()).toBe(before);
});

test("a repository that is a symlink to a directory leaves that as it is", async () => {
  await machine.ok(
    "mkdir -m 755 /client/elsewhere; ln -s /client/elsewhere /repos/linked; cp /client/web.pub /sshkeys/repos/linked",
  );
  expect(await machine.ok("update-borgusers; stat -c '%u %a' /client/elsewhere")).toMatch(/added\n0 755\n$/);
  await machine.ok("rm /sshkeys/repos/linked /repos/linked; update-borgusers");
});

test("more key files than a program may have open are read one after the other", async () => {
  await machine.ok("for n in $(seq 300); do cp /client/web.pub /sshkeys/repos/many-$n; done");
  await machine.ok("bash -c 'ulimit -n 256; index rebuild --full'; rm /sshkeys/repos/many-*; index rebuild");
});

test("two updates at once leave one consistent state", async () => {
  await machine.ok("for n in $(seq 200); do cp /client/web.pub /sshkeys/repos/many-$n; done");
  const runs = await Promise.all(
    ["update-borgusers", "update-borgusers", "index rebuild", "update-borgusers"].map((c) => machine.run(c)),
  );
  expect(runs.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  expect(await machine.ok("getent passwd | grep -c ^many-; ls -d /repos/many-* | wc -l")).toBe("200\n200\n");
  await machine.ok("rm /sshkeys/repos/many-*; update-borgusers; ! getent passwd | grep ^many-");
});

test("a directory that cannot be made is reported, and the others are made", async () => {
  await machine.ok(
    "touch /repos/blocked; ln -s loop /repos/loop; for n in blocked loop free; do cp /client/web.pub /sshkeys/repos/$n; done",
  );
  const named =
    "borgserver: /repos/blocked: this is not a directory. Move it away.\nborgserver: /repos/loop: it cannot be reached (ELOOP)\n";
  expect(await machine.run("update-borgusers --dry-run")).toMatchObject({ code: 1, stderr: named });
  const { code, stdout, stderr } = await machine.run("update-borgusers");
  expect(code).toBe(1);
  expect(stdout).toContain("/repos/free: created");
  expect(stderr).toBe(named);
  expect((await machine.run("borgserver prepare")).stderr).toContain(
    "borgserver: WARNING: /repos/blocked: this is not a directory. Move it away.\n",
  );
  await machine.ok("cd /sshkeys/repos && rm blocked loop free /repos/blocked /repos/loop; update-borgusers");
});

test("directories are made where the storage is closed to root and open to its owner", async () => {
  // As on a network file system with root_squash: root without the right to write where others alone may.
  const rights = "-dac_override,-dac_read_search";
  const squashed = `setpriv --bounding-set ${rights} --inh-caps ${rights}`;
  await machine.ok("cp /client/web.pub /sshkeys/repos/squashed");
  expect(await machine.ok(`${squashed} update-borgusers`)).toContain("/repos/squashed: created");
  expect(await machine.ok("stat -c '%u:%g %a' /repos/squashed")).toBe("1000:1000 700\n");
  await machine.ok(
    "/usr/local/lib/borgserver/borg init -e none /repos/squashed; chown -R 1000:1000 /repos/squashed",
  );
  expect(await machine.ok(`${squashed} list all`)).toBe("/repos/squashed:\n");
  await machine.ok("rm -r /sshkeys/repos/squashed /repos/squashed; update-borgusers");
});

test("an admin's repository in place of /repos itself is reported", async () => {
  await machine.ok("touch /repos/config");
  expect(await machine.run("update-borgusers")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("/repos: this is a repository itself"),
  });
  await machine.ok("rm /repos/config");
});

test("install refuses to take over an existing borg account", async () => {
  await machine.ok("cp /etc/passwd /client/passwd; echo 'borg:x:99:99::/:/bin/sh' >>/etc/passwd");
  expect(await machine.run("/usr/local/lib/borgserver/install system")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("an account named borg exists"),
  });
  await machine.ok("cat /client/passwd >/etc/passwd");
});

test("ten thousand accounts come and go", async () => {
  await machine.ok(
    "cd /sshkeys/repos; for n in $(seq 10000); do cp /client/web.pub host-$n.example.org; done",
    {},
  );
  const output = await machine.ok("update-borgusers");
  expect(output).toContain("index: 10002 accounts (10001 repo, 1 admin), 10002 keys\n");
  expect(
    await machine.ok("id -gn host-9999.example.org; stat -c '%u:%g %a' /repos/host-9999.example.org"),
  ).toBe("borg-repo\n1000:1000 700\n");
  await machine.ok(
    "rm -r /sshkeys/repos && mkdir /sshkeys/repos && cp /client/web.pub /sshkeys/repos/web && update-borgusers",
  );
  expect(await machine.ok("getent passwd | grep -ac :borgserver:")).toBe("3\n");
});
