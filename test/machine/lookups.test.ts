import { afterAll, beforeAll, expect, test } from "vitest";
import { finished, idOf, Machine, programs, unfolded } from "./machine.ts";

// What the system knows of the accounts: the real module of libnss-cache, asked as getent, id and sshd ask it.

let machine: Machine;
beforeAll(async () => {
  machine = await Machine.start();
  await machine.makeKey("web");
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
});
afterAll(() => machine?.stop());

const state = "/var/lib/borgserver";
const serve = async (...names: string[]) => {
  await machine.ok("rm -rf /sshkeys/repos /sshkeys/admins; mkdir /sshkeys/repos /sshkeys/admins");
  await machine.ok(`cd /sshkeys/repos; xargs -r -n 1 cp /client/web.pub`, { input: names.join("\n") });
  return machine.ok("update-borgusers");
};
const passwd = (names: string) => machine.run(`getent passwd ${names}`);
const shell = "/usr/local/lib/borgserver/session";
const line = (name: string) => `${name}:*:${idOf(name)}:60902:borgserver:/:${shell}\n`;
const borg = `borg:*:${idOf("borg")}:60904:borgserver:/:${shell}\n`;
const mayLogIn = async (account: string) =>
  (await machine.ssh("web", `${account}@127.0.0.1 borg serve </dev/null`)).code === 0;

/** The files that a lookup opens, but for those of the system. */
const opened = async (name: string) =>
  (
    await machine.ok(
      `strace -qq -e trace=openat -o /client/calls getent passwd ${name} >/dev/null || [ $? = 2 ]; grep -o '/etc/passwd.cache[a-z.]*' /client/calls`,
    )
  )
    .trimEnd()
    .split("\n");

test("root's programs know the accounts, an account's do not", async () => {
  await serve("web");
  expect(await passwd("web")).toMatchObject({ code: 0, stdout: line("web") });
  expect(await machine.ok("id -u web; id -gn web; id -gn borg")).toBe(
    `${idOf("web")}\nborg-repo\nborg-admin\n`,
  );
  expect(await machine.ok("getent passwd | grep :borgserver: | sort")).toBe(borg + line("web"));
  for (const id of ["1000", `${idOf("web")}`, "60901"])
    expect(
      await machine.run(
        `setpriv --reuid ${id} --regid ${id} --clear-groups sh -c 'getent passwd web; cat /etc/passwd.cache ${state}/current/passwd.cache*'`,
      ),
    ).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("Permission denied") });
  expect(
    await machine.ok(
      `stat -L -c '%U:%G %a %Y' /etc/passwd.cache /etc/passwd.cache.ixname /etc/passwd.cache.ixuid`,
    ),
  ).toBe("root:root 600 0\n".repeat(3));
});

test("names that begin or end with one another, and long ones, are told apart", async () => {
  const names = [
    "web01",
    "web0",
    "web",
    "w",
    "ceo-web01",
    "o-web01",
    "WEB-01",
    "web01.",
    "x".repeat(255),
    `y${"x".repeat(254)}`,
    "z".repeat(105),
  ];
  await serve(...names);
  for (const name of names) {
    expect(await passwd(name)).toMatchObject({ code: 0, stdout: line(name) });
    expect(await opened(name)).toEqual(["/etc/passwd.cache.ixname", "/etc/passwd.cache"]);
  }
  for (const name of ["we", "web012", "eb01", "WEB01", "x".repeat(254), ".free"]) {
    expect(await passwd(name)).toMatchObject({ code: 2, stdout: "" });
    expect(await opened(name)).toEqual(["/etc/passwd.cache.ixname"]);
  }
  for (const name of ["web01", "x".repeat(255)]) expect(await mayLogIn(name)).toBe(true);
  expect(await mayLogIn("x".repeat(254))).toBe(false);
  expect((await machine.ok("getent passwd | grep :borgserver: | cut -d: -f1")).split("\n").sort()).toEqual(
    ["", "borg", ...names].sort(),
  );
});

test("without a key file there is one account, and no id is looked for line by line", async () => {
  await serve();
  expect(await machine.ok("getent passwd | grep :borgserver:")).toBe(borg);
  expect(await opened("web")).toEqual(["/etc/passwd.cache.ixname"]);
  expect(await opened("4000000")).toEqual(["/etc/passwd.cache.ixuid"]);
  expect(await opened("4294967294")).toEqual(["/etc/passwd.cache.ixuid"]);
});

test("an id is looked up for one account alone, and for no other line by line", async () => {
  await serve("web");
  expect(await passwd(`${idOf("borg")}`)).toMatchObject({ stdout: borg });
  expect(await opened(`${idOf("borg")}`)).toEqual(["/etc/passwd.cache.ixuid", "/etc/passwd.cache"]);
  for (const id of ["4711", idOf("web")]) expect(await opened(`${id}`)).toEqual(["/etc/passwd.cache.ixuid"]);
});

test("whoever owns the repositories is no account", async () => {
  await machine.stopServer();
  for (const PUID of ["4711", `${idOf("web")}`, "4294967294"]) {
    expect(await machine.startServer({ PUID })).toBeNull();
    expect((await passwd("web")).stdout).toBe(
      line("web").replace(`${idOf("web")}`, `${idOf("web", Number(PUID))}`),
    );
    expect(await mayLogIn("web")).toBe(true);
    await machine.stopServer();
  }
  expect(await machine.startServer()).toBeNull();
});

test("an index that somebody made older than its lines costs time and nothing else, until the next publication", async () => {
  await serve("web");
  for (const command of ["index rebuild", "update-borgusers", "index rebuild --full"]) {
    await machine.ok(`touch ${state}/current/passwd.cache`);
    expect(await passwd("web")).toMatchObject({ code: 0, stdout: line("web") });
    expect((await opened("web")).length).toBeGreaterThan(1);
    await machine.ok(command);
    expect(await opened("web")).toEqual(["/etc/passwd.cache.ixname", "/etc/passwd.cache"]);
  }
});

test.each([
  ["lines that are cut", `truncate -s 300 ${state}/current/passwd.cache`],
  ["lines that are missing", `rm ${state}/current/passwd.cache`],
  ["an index that is missing", `rm ${state}/current/passwd.cache.ixname`],
  ["an index of nothing", `: >${state}/current/passwd.cache.ixname`],
  ["everything missing", `rm -r ${state}/generation-* ${state}/current`],
])("%s: the next publication mends it", async (_, damage) => {
  await serve("web", "web01");
  for (const command of ["index rebuild", "update-borgusers"]) {
    await machine.ok(damage);
    await machine.ok(command);
    expect(await passwd("web01")).toMatchObject({ stdout: line("web01") });
    expect(await opened("web01")).toEqual(["/etc/passwd.cache.ixname", "/etc/passwd.cache"]);
    expect(await mayLogIn("web")).toBe(true);
  }
});

test("keys that change leave the accounts' files as they are", async () => {
  await serve("web", "db");
  const files = () =>
    machine.ok(`stat -L -c '%i %s' /etc/passwd.cache /etc/passwd.cache.ixname /etc/passwd.cache.ixuid`);
  const before = await files();
  await machine.makeKey("other");
  await machine.ok("cp /client/other.pub /sshkeys/repos/db; index rebuild");
  expect(await files()).toBe(before);
  await machine.ok("index rebuild --full");
  expect(await files()).not.toBe(before);
});

test("no home and no group that the system is told gives a right", async () => {
  // As a record would be that is another account's, an admin's.
  await serve("web", "db");
  const forged = `${state}/current/passwd.cache`;
  await machine.ok(
    `sed -i 's|^web:.*|web:*:${idOf("web")}:60904:borgserver:/repos:${shell}|' ${forged}; getent passwd web | grep -q 60904`,
  );
  expect(await machine.borg("web", "init -e none ssh://web@127.0.0.1/repos/web")).toMatchObject({ code: 0 });
  expect(await machine.borg("web", "info ssh://web@127.0.0.1/./")).toMatchObject({ code: 0 });
  for (const path of ["repos/db", "./db", "./../db", "~/db"])
    expect(await machine.borg("web", `init -e none ssh://web@127.0.0.1/${path}`)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/not allowed|not valid/),
    });
  await machine.ok("index rebuild");
  expect(await passwd("web")).toMatchObject({ stdout: line("web") });
});

test("an account whose directory is missing is told by index rebuild, and its session says so", async () => {
  await serve("web");
  await machine.ok("cp /client/web.pub /sshkeys/repos/later; cp /client/web.pub /sshkeys/admins/boss");
  const told = async () => unfolded((await machine.run("index rebuild")).stderr);
  const hint = "To make what is missing: update-borgusers\n";
  expect(await told()).toBe(`borgserver: the account later has no repository directory yet. ${hint}`);
  const refusal = "/repos/later does not exist yet; the server's operator makes it with update-borgusers.";
  expect(await machine.borg("web", "list ssh://later@127.0.0.1/repos/later")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`borgserver: ${refusal}`),
  });
  await machine.ok("cp /client/web.pub /sshkeys/repos/last");
  expect(await told()).toBe(
    `borgserver: 2 accounts, such as last, have no repository directory yet. ${hint}`,
  );
  expect(await machine.ok("update-borgusers")).not.toContain("account la");
  expect(await told()).toBe("");
  expect(await mayLogIn("later")).toBe(true);
});

// A minute on a quiet machine.
test("through a thousand publications no lookup is wrong, and none reads line by line", {
  timeout: 900_000,
}, async () => {
  const many = Array.from({ length: 300 }, (_, at) => `a-host${at}`);
  await serve(...many, "web01", "o-web01", "move", "leave-web01");
  await machine.ok("cp /client/web.pub /sshkeys/admins/ceo-web01; index rebuild");
  const always = [
    `web01=60902:${idOf("web01")}`,
    `o-web01=60902:${idOf("o-web01")}`,
    `ceo-web01=60904:${idOf("ceo-web01")}`,
    `move=60902:${idOf("move")}|60904:${idOf("move")}`,
  ];
  const some = [
    `leave-web01=60902:${idOf("leave-web01")}?`,
    `x-ceo-web01=60904:${idOf("x-ceo-web01")}?`,
    "absent-web01=?",
  ];
  const lookUp = (pid: string, words: string[]) =>
    finished(
      machine.spawn(
        `python3 ${programs}/look_up.py /client/end '${words.join("' '")}' & echo $! >/client/${pid}; wait $!`,
      ),
    );
  const readers = [lookUp("steady", [...always, ...some]), lookUp("stopped", always)];
  // The second one is stopped in the middle of many a lookup, and goes on when there are other publications.
  const stopping = machine.run(
    `until read -r pid </client/stopped; do sleep 0.1; done
     while [ ! -e /client/end ]; do kill -STOP $pid; sleep 0.4; kill -CONT $pid; sleep 0.02; done`,
  );
  await machine.ok(`python3 ${programs}/publish.py /client/end 1000`);
  await stopping;
  for (const { code, stdout, stderr } of await Promise.all(readers)) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ wrong: 0, examples: [], linear: 0 });
    expect(found.straddling).toBeGreaterThan(20);
    expect(found.hits).toBeGreaterThan(1000);
  }
});
