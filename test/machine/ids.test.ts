import { afterAll, beforeAll, expect, test } from "vitest";
import { idOf, Machine, programs, unfolded } from "./machine.ts";

let machine: Machine;
beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web");
});
afterAll(() => machine?.stop());

test("the server's own accounts and groups have fixed ids, and a second installation changes nothing", async () => {
  const ids =
    "getent passwd sshd borgkeys borgteller | cut -d: -f1,3,4; getent group sshd borgkeys borg-repo borg-appendonly borg-admin borg-restore borgteller | cut -d: -f1,3";
  const expected =
    "sshd:60900:60900\nborgkeys:60901:60901\nborgteller:60906:60906\nsshd:60900\nborgkeys:60901\nborg-repo:60902\nborg-appendonly:60903\nborg-admin:60904\nborg-restore:60905\nborgteller:60906\n";
  expect(await machine.ok(ids)).toBe(expected);
  await machine.ok("usermod --uid 777 borgkeys; groupmod --gid 776 borg-repo");
  await machine.ok(`${process.cwd()}/libexec/install system`);
  expect(await machine.ok(ids)).toBe(expected);
});

test.each([
  ["1", "1"],
  ["99", "100"],
  ["998", "996"],
  ["999", "65534"],
  ["65534", "65534"],
  ["65535", "65535"],
  ["2147483647", "2147483647"],
  ["2147483648", "2147483648"],
  ["3000000000", "5"],
  ["4294967294", "4294967294"],
])("repositories may belong to %s:%s: start, backup, and operators' commands", async (PUID, PGID) => {
  expect(await machine.startServer({ PUID, PGID })).toBeNull();
  try {
    await machine.pinHostKeys();
    await machine.ok("rm -rf /repos/web/* /client/borg-web");
    expect(await machine.borg("web", "init -e none ssh://web@127.0.0.1/repos/web")).toMatchObject({
      code: 0,
    });
    expect(
      await machine.borg("web", "create ssh://web@127.0.0.1/repos/web::a /client/web.pub"),
    ).toMatchObject({
      code: 0,
    });
    expect(await machine.ok("list --short all")).toBe("/repos/web:\na\n");
    expect(
      await machine.ok(
        "check /repos/web; id -u web; find /repos /var/cache/borgserver -printf '%U:%G\\n' | sort -u",
      ),
    ).toBe(`${idOf("web", Number(PUID))}\n${PUID}:${PGID}\n`);
    expect(await machine.ok("update-borgusers --dry-run")).toContain("in step");
    expect(await machine.run("/usr/local/lib/borgserver/health")).toMatchObject({ code: 0 });
  } finally {
    await machine.stopServer();
  }
});

test.each([
  ["PUID", "60900", "sshd"],
  ["PUID", "60901", "borgkeys"],
  ["PGID", "60900", "sshd"],
  ["PGID", "60901", "borgkeys"],
  ["PGID", "60902", "borg-repo"],
  ["PGID", "60904", "borg-admin"],
  ["PGID", "60905", "borg-restore"],
  ["PUID", "60906", "borgteller"],
])("%s=%s is the id of %s", async (name, id, owner) => {
  const refusal = await machine.startServer({ [name]: id });
  expect(refusal).toMatchObject({
    code: 4,
    stderr: expect.stringContaining(`${name}: ${id} is the id of ${owner}, which the server relies on`),
  });
});

/** Runs a command as the root of a user namespace with these ids of the machine alone, each as it is. */
const within = (ids: string, command: string) =>
  machine.run(`python3 ${programs}/in_user_namespace.py ${ids} '${command}'`);

test("a container that lacks an id says which, and by which setting it was asked for", async () => {
  expect(await within("0+1000", "borgserver prepare")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^borgserver: this container has no id 60900, which is sshd's \(.* has 0 to 999\)\n {2}Give it/,
    ),
  });
  expect(await within("0+1001,60900+4619", "borgserver prepare")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^borgserver: this container lacks ids from 61184 to 65519, which accounts log in as \(.* has 0 to 1000, 60900 to 65518\)\n {2}Give it/,
    ),
  });
  const refusal = await within("0+2,60900+10,61184+4336", "PUID=1 PGID=1000 borgserver prepare");
  expect(refusal.code).toBe(4);
  expect(refusal.stderr).toMatch(
    /^PGID: this container has no id 1000: its user namespace has 0 to 1, 60900 to 60909, 61184 to 65519$/m,
  );
  expect(refusal.stderr).not.toContain("PUID");
});

test("in a container with as many ids as engines give by default, accounts log in as some of those", async () => {
  expect(await machine.startServer()).toBeNull();
  try {
    const { code, stdout, stderr } = await within(
      "0+65536",
      "index rebuild >/dev/null && id -u web && index rebuild",
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [id, ...said] = stdout.trimEnd().split("\n");
    expect(Number(id)).toBeGreaterThanOrEqual(61184);
    expect(Number(id)).toBeLessThan(65520);
    expect(said).toEqual(["index: 1 account (1 repo), 1 key"]);
    await machine.ok("index rebuild");
    expect(await machine.ok("id -u web")).toBe(`${idOf("web")}\n`);
  } finally {
    await machine.stopServer();
  }
});

test("a key file, a folder or a lock of an id that the container lacks is reported as that", async () => {
  await machine.ok("chown 3000 /sshkeys/repos/web && chmod 600 /sshkeys/repos/web; mkdir -p /sshkeys/host");
  const few = "0+3000,60900+10";
  const said =
    /belongs to an id that this container does not have \(user namespace\)\n {2}On the host, give it to 0, which is root in here\./;
  const file = await within(few, "index check");
  expect(file).toMatchObject({ code: 3, stderr: expect.stringMatching(said) });
  expect(file.stderr).toContain("/sshkeys/repos/web: ");
  await machine.ok("chown 0 /sshkeys/repos/web; chown 3000 /sshkeys/repos; chmod 700 /sshkeys/repos");
  const folder = await within(few, "index check");
  expect(folder).toMatchObject({ code: 3, stderr: expect.stringMatching(said) });
  expect(folder.stderr).toContain("/sshkeys/repos: ");
  await machine.ok(
    "chown 0 /sshkeys/repos; chmod 755 /sshkeys/repos; chown 3000 /var/lib/borgserver/lock.sqlite; chmod 600 /var/lib/borgserver/lock.sqlite",
  );
  const lock = await within(few, "index rebuild");
  expect(lock).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/lock\.sqlite cannot be taken: it, or its folder, belongs to an id/),
  });
  expect(lock.stderr).not.toContain("remove the file");
  await machine.ok("chown 0 /var/lib/borgserver/lock.sqlite");
});

test("an /etc that is empty, or of another image, is reported with what to do", async () => {
  await machine.ok("cp -a /etc/passwd /etc/group /client/");
  await machine.ok("rm /etc/passwd");
  const empty = await machine.run("borgserver prepare");
  await machine.ok("cp -a /client/passwd /etc/passwd; sed -i /^borg-repo:/d /etc/group");
  const old = await machine.run("borgserver prepare");
  await machine.ok("cp -a /client/group /etc/group; sed -i /^borgkeys:/d /etc/passwd");
  const older = await machine.run("borgserver prepare");
  await machine.ok("cp -a /client/passwd /etc/passwd");
  for (const [{ code, stderr }, said] of [
    [empty, "there is no /etc/passwd, and so no account. If /etc is a volume, remove it"],
    [old, "the group borg-repo does not exist. If /etc is a volume, remove it"],
    [older, "the account borgkeys does not exist. If /etc is a volume, remove it"],
  ] as const)
    expect({ code, message: unfolded(stderr) }).toEqual({ code: 1, message: expect.stringContaining(said) });
});
