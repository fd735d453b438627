import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { idOf, Machine, unfolded } from "./machine.ts";

let machine: Machine;

beforeEach(async () => {
  machine = await Machine.start();
});
afterEach(() => machine?.stop());

const at = (account: string, path = `/repos/${account}`) => `ssh://${account}@127.0.0.1${path}`;
const owners = () => machine.ok("find /repos -printf '%U:%G\\n' | sort -u");

test("BORG_SSHKEYS alone serves one person, without a key folder", async () => {
  await machine.ok("rm -r /sshkeys");
  const keys = [await machine.makeKey("laptop"), await machine.makeKey("desk")].map((key) => key.trim());
  expect(await machine.startServer({ BORG_SSHKEYS: keys.join(", ") })).toBeNull();
  const versions = await machine.ok("/usr/bin/borg --version; ssh -V 2>&1 | cut -d' ' -f1");
  expect(machine.log.split("\n").slice(0, 3)).toEqual([
    `borgserver: ${versions.trim().replace("\n", ", ")}`,
    "borgserver: serving 1 account (1 admin), 2 keys; repositories belong to 1000:1000",
    "borgserver: sessions are confined by the kernel (Landlock)",
  ]);
  await machine.pinHostKeys();
  expect(await machine.borg("laptop", `init -e none ${at("borg", "/repos/photos")}`)).toMatchObject({
    code: 0,
  });
  expect(
    await machine.borg("desk", "create ssh://borg@127.0.0.1/./photos::a /client/desk.pub"),
  ).toMatchObject({ code: 0 });
  expect(await owners()).toBe("1000:1000\n");

  // A shell that lost the container's environment must not lose the account.
  await machine.ok("index rebuild && update-borgusers");
  expect(await machine.borg("desk", `list ${at("borg", "/repos/photos")}`)).toMatchObject({ code: 0 });
});

test("PUID and PGID own what is on disk; a change between two starts re-owns it once", async () => {
  await machine.drop("repos/web", "admins/boss");
  expect(await machine.startServer({ PUID: "3001", PGID: "3002" })).toBeNull();
  await machine.pinHostKeys();
  expect(await machine.borg("web", `init -e none ${at("web")}`)).toMatchObject({ code: 0 });
  expect(await machine.borg("boss", `init -e none ${at("boss", "/repos/new")}`)).toMatchObject({ code: 0 });
  expect(await owners()).toBe("3001:3002\n");
  expect(await machine.ok("id -u web; id -gn web; id -u borg")).toBe(
    `${idOf("web", 3001)}\nborg-repo\n${idOf("borg", 3001)}\n`,
  );
  await machine.ok("list --short /repos/web"); // leaves a cache of that owner
  await machine.ok("ln -s /etc/shadow /repos/web/link; chown -h 3001:3002 /repos/web/link");
  const shadow = await machine.ok("stat -c '%u:%g %a' /etc/shadow");
  await machine.stopServer();

  expect(await machine.startServer({ PUID: "4001", PGID: "4002" })).toBeNull();
  expect(await machine.ok("stat -c '%u:%g %a' /etc/shadow; rm /repos/web/link")).toBe(shadow);
  await machine.ok("list --short /repos/web");
  expect(await owners()).toBe("4001:4002\n"); // also of what belongs to no account
  expect(await machine.borg("web", `create ${at("web")}::a /client/web.pub`)).toMatchObject({ code: 0 });
  await machine.stopServer();

  // Once: what lies deeper is not looked at again while the top directory has its owner.
  await machine.ok("chown 5001 /repos/web/README");
  expect(await machine.startServer({ PUID: "4001", PGID: "4002" })).toBeNull();
  expect(await machine.ok("stat -c %u /repos/web/README")).toBe("5001\n");
});

test("extra arguments reach the role they are for", async () => {
  await machine.drop("repos/web", "admins/boss");
  const settings = {
    REPO_SERVE_EXTRA_ARGS: "--storage-quota 10M --lock-wait=5",
    APPENDONLY_SERVE_EXTRA_ARGS: "--critical",
  };
  expect(await machine.startServer(settings)).toBeNull();
  await machine.pinHostKeys();
  await machine.ok("head -c 15000000 /dev/urandom >/client/large");

  expect(await machine.borg("boss", `init -e none ${at("boss", "/repos/web")}`)).toMatchObject({ code: 0 });
  const refused = await machine.borg("web", `create ${at("web")}::a large`);
  expect(refused.stderr).toContain("storage quota");
  expect(refused.code).toBeGreaterThan(0);
  expect(await machine.borg("boss", `create ${at("boss", "/repos/web")}::a large`)).toMatchObject({
    code: 0,
  });
});

describe("a setting that is wrong stops the start with exit 4", () => {
  test("and all of them are reported at once", async () => {
    const refusal = await machine.startServer({
      PUID: "0",
      PGID: "admin",
      BORG_SANDBOX: "maybe",
      SSH_LOG_LEVEL: "LOUD",
      BORG_SSHKEYS: "ssh-ed25519 AAAA",
      REPO_SERVE_EXTRA_ARGS: "--restrict-to-path / --help",
      APPENDONLY_SERVE_EXTRA_ARGS: "--restrict-to-r=/ -vh --h",
      ADMIN_SERVE_EXTRA_ARGS: '--umask "077"; $(id)',
    });
    expect(refusal?.code).toBe(4);
    const lines = unfolded(refusal!.stderr).trim().split("\n");
    expect(lines.map((line) => line.split(":")[0])).toEqual([
      "BORG_SANDBOX",
      "PUID",
      "PGID",
      "REPO_SERVE_EXTRA_ARGS",
      "REPO_SERVE_EXTRA_ARGS",
      "APPENDONLY_SERVE_EXTRA_ARGS",
      "APPENDONLY_SERVE_EXTRA_ARGS",
      "APPENDONLY_SERVE_EXTRA_ARGS",
      "ADMIN_SERVE_EXTRA_ARGS",
      "ADMIN_SERVE_EXTRA_ARGS",
      "SSH_LOG_LEVEL",
      "BORG_SSHKEYS",
      "borgserver",
    ]);
    expect(lines.at(-1)).toBe("borgserver: 12 problems, nothing was changed");
    expect(await machine.ok("ls /var/lib/borgserver")).not.toContain("index");
  });

  test.each([
    [
      "an argument that borg serve does not know",
      { REPO_SERVE_EXTRA_ARGS: "--fast" },
      "REPO_SERVE_EXTRA_ARGS: borg serve does not accept it: borg: error: unrecognized arguments: --fast",
    ],
    [
      "a value that borg serve does not take",
      { ADMIN_SERVE_EXTRA_ARGS: "--storage-quota 1M" },
      "quota is too small",
    ],
    ["an id of sshd", { PUID: "SSHD" }, "is the id of sshd, which the server relies on"],
    ["an id of the login program", { PUID: "BORGKEYS" }, "is the id of borgkeys, which the server relies on"],
    ["a time zone that is none", { TZ: "CET-1CEST" }, 'TZ: "CET-1CEST" is not the name of a time zone'],
    ["a time zone that borg would not find", { TZ: "europe/berlin" }, 'Write "Europe/Berlin".'],
    [
      "a umask that opens repositories",
      { ADMIN_SERVE_EXTRA_ARGS: "--umask 077 --umas=022" },
      "ADMIN_SERVE_EXTRA_ARGS: --umas 022 is not allowed: what sessions write must be usable by its owner, and by nobody else",
    ],
    ["an id out of range", { PGID: "4294967295" }, 'PGID: "4294967295" is not a numeric id'],
  ])("%s", async (_, settings, message) => {
    const ids = Object.fromEntries(
      (await machine.ok("id -u sshd; id -u borgkeys"))
        .split("\n")
        .map((id, at) => [["SSHD", "BORGKEYS"][at], id]),
    );
    const env = Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [name, ids[value] ?? value]),
    );
    const refusal = await machine.startServer(env);
    expect(refusal?.code).toBe(4);
    expect(refusal?.stderr).toContain(message);
  });
});

test("confinement that is required and lacking stops the start; where it is not, the start says what is lacking", async () => {
  await machine.ok("rm /usr/lib/python3/dist-packages/seccomp*.so");
  const lacking = "system calls are not filtered (seccomp, python3-seccomp)";
  const refusal = await machine.startServer({ BORG_SANDBOX: "require" });
  expect(refusal).toMatchObject({ code: 4 });
  expect(refusal!.stderr).toContain(
    `BORG_SANDBOX: sessions cannot be fully confined by the kernel here: ${lacking}\n`,
  );
  expect(await machine.startServer()).toBeNull();
  expect(machine.log).toContain(`sessions are not fully confined by the kernel: ${lacking}\n`);
});

test("a running server keeps the settings of its start; a wrong one in a command's environment is refused", async () => {
  await machine.drop("repos/web");
  expect(await machine.startServer({ PUID: "3001", PGID: "3002" })).toBeNull();
  await machine.ok("update-borgusers", { env: { PUID: "7777" } });
  expect(await machine.ok("id -u web; stat -c %u:%g /repos/web")).toBe(`${idOf("web", 3001)}\n3001:3002\n`);
  expect(await machine.run("index rebuild", { env: { PUID: "zero" } })).toMatchObject({
    code: 4,
    stdout: "",
  });
});

test("the stored settings are whole, or reported as damaged and not used at all", async () => {
  await machine.drop("repos/web");
  const settings = { PUID: "1234", REPO_SERVE_EXTRA_ARGS: "--storage-quota 5G", TZ: "Europe/Berlin" };
  expect(await machine.startServer(settings)).toBeNull();
  const kept = JSON.parse(await machine.ok("cat /run/borgserver/settings.json"));
  const { uid: _, ...without } = kept;
  const damaged = [
    ...["", "{}", "null", "[]", "5", '"x"', "{", "\0\0\0\0", JSON.stringify(kept).slice(0, -1)],
    ...[
      without,
      { ...kept, uid: "1234" },
      { ...kept, uid: 0 },
      { ...kept, gid: 1.5 },
      { ...kept, uid: null },
      { ...kept, borgKeys: null },
      { ...kept, borgKeys: "no key" },
      { ...kept, extraArguments: [] },
      { ...kept, extraArguments: { ...kept.extraArguments, repo: "--storage-quota 5G" } },
      { ...kept, extraArguments: { ...kept.extraArguments, admin: ["--restrict-to-path=/"] } },
      { ...kept, extraArguments: { ...kept.extraArguments, admin: ["a b"] } },
      { ...kept, walled: 1 },
      { ...kept, walled: "true" },
      { ...kept, unguarded: false },
      { ...kept, deletions: "asked" },
      { ...kept, sandbox: "maybe" },
      { ...kept, logLevel: "LOUD" },
      { ...kept, timeZone: "Mars/Olympus" },
      { ...kept, timeZone: 1 },
      [kept],
    ].map((content) => JSON.stringify(content)),
  ];
  const state = () =>
    machine.ok("sha256sum /var/lib/borgserver/index.sqlite /etc/passwd; stat -c %u /repos/web");
  const before = await state();
  for (const content of damaged) {
    await machine.ok("cat >/run/borgserver/settings.json", { input: content });
    for (const command of ["index rebuild", "update-borgusers", "list /repos/web"])
      expect({ content, command, ...(await machine.run(command)) }).toEqual({
        content,
        command,
        code: 4,
        stdout: "",
        stderr: expect.stringMatching(
          /^\/run\/borgserver\/settings\.json: the settings that the server's start stored are damaged\n {2}Restart the container.*\nborgserver: 1 problem, nothing was changed\n$/,
        ),
      });
  }
  expect(await state()).toBe(before);
  await machine.stopServer();
  expect(await machine.startServer(settings)).toBeNull();
  expect(await machine.ok("update-borgusers --dry-run")).toContain("in step");
});

test("settings outlive the index: built anew, it restricts as before", async () => {
  await machine.drop("repos/web");
  const settings = {
    REPO_SERVE_EXTRA_ARGS: "--append-only",
    BORG_SSHKEYS: await machine.makeKey("me"),
    PUID: "1234",
  };
  expect(await machine.startServer(settings)).toBeNull();
  await machine.ok("rm /var/lib/borgserver/index.sqlite && index rebuild");
  const [fingerprint] = /SHA256:\S+/.exec(await machine.ok("ssh-keygen -lf /client/web.pub"))!;
  expect(await machine.ok(`borgserver authorized-keys web ${fingerprint}`)).toContain(' --append-only"');
  expect(await machine.ok("index list")).toContain("borg (admin)");
  expect(await machine.ok("update-borgusers --dry-run")).toContain("in step");
});

test("a change of owner that was interrupted is taken up, even if the setting goes back", async () => {
  await machine.drop("repos/web");
  expect(await machine.startServer({ PUID: "3001", PGID: "3002" })).toBeNull();
  await machine.stopServer();
  await machine.ok("cd /repos/web && mkdir d && touch d/a d/b && chown -R 3001:3002 .");
  // As far as a killed run had come: the mark on the top directory, and some of the content.
  await machine.ok("chown 4001:0 /repos/web && chown 4001:4002 /repos/web/d/a");
  expect(await machine.startServer({ PUID: "3001", PGID: "3002" })).toBeNull();
  expect(await owners()).toBe("3001:3002\n");
});

test("a start and a rebuild at once never bring a removed key back", async () => {
  const key = await machine.makeKey("web");
  await machine.makeKey("other");
  const [fingerprint] = /SHA256:\S+/.exec(await machine.ok("ssh-keygen -lf /client/web.pub"))!;
  for (const delay of [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) {
    await machine.write("/sshkeys/repos/web", key);
    await machine.ok(
      `borgserver prepare & sleep ${delay}; cp /client/other.pub /sshkeys/repos/web; index rebuild; wait`,
    );
    expect(await machine.ok(`borgserver authorized-keys web ${fingerprint}`)).toBe("");
  }
});

test("a borg that was killed is reported as killed, with the likely reason", async () => {
  await machine.ok(
    "printf '#!/bin/sh\\nkill -9 $$\\n' >/client/killed; chmod 755 /client/killed; ln -sf /client/killed /usr/local/lib/borgserver/borg",
  );
  const refusal = await machine.startServer();
  expect(refusal?.code).toBe(1);
  expect(refusal?.stderr).toMatch(
    /^borgserver: borg was ended by SIGKILL when it was tried out\n {2}.*memory/,
  );
});

test.each([
  ["does not start", "ln -sf /bin/false /usr/local/lib/borgserver/borg"],
  ["only root can run", "/usr/local/lib/borgserver/install system; chmod 700 /usr/local/lib/borgserver/borg"],
  [
    "fails its own test",
    "sed -i 's/^SELFTEST_COUNT = .*/SELFTEST_COUNT = 1/' /usr/lib/python3/dist-packages/borg/selftest.py",
  ],
])("a borg that %s stops the start", async (_, damage) => {
  await machine.ok(damage);
  const refusal = await machine.startServer();
  expect(refusal?.code).toBe(1);
  expect(refusal?.stderr).toMatch(
    /^borgserver: borg does not start or fails its self-test: .*This borg cannot be trusted with backups/s,
  );
});

test.each([
  ["another user", "setpriv --reuid 1000 --regid 1000 --clear-groups", "has to be started as root"],
  [
    "too few capabilities",
    "setpriv --bounding-set -chown,-sys_chroot",
    "lacks capabilities: CHOWN, SYS_CHROOT. Start the container with --cap-add CHOWN --cap-add SYS_CHROOT.",
  ],
])("a start with %s says what it needs", async (_, command, needed) => {
  const { code, stderr } = await machine.run(`${command} borgserver prepare`);
  const message = unfolded(stderr);
  expect({ code, lines: message.split("\n").length }).toEqual({ code: 1, lines: 2 });
  expect(message).toContain(needed);
});

test("a umask does not keep accounts from what they must reach", async () => {
  await machine.drop("repos/web");
  await machine.ok("rm -rf /run/borgserver; umask 077; borgserver prepare");
  expect(await machine.ok("stat -c '%a %n' /run/borgserver /run/borgserver/settings.json /repos")).toBe(
    "711 /run/borgserver\n644 /run/borgserver/settings.json\n755 /repos\n",
  );
});
