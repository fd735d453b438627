import { afterAll, beforeAll, expect, test } from "vitest";
import { Machine } from "./machine.ts";

/** Settings files: what they change for logins and sessions. */

let machine: Machine;
beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop(
    "repos-appendonly/laptop",
    "repos/pruner",
    "repos-restore/helper",
    "repos/web",
    "admins/boss",
  );
  await machine.write("/sshkeys/settings/laptop", 'repository = "shared"\n');
  await machine.write("/sshkeys/settings/pruner", 'repository = "shared"\n');
  await machine.write("/sshkeys/settings/helper", 'repository = "shared"\n');
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
  await machine.ok("mkdir /client/data; head -c 3000000 /dev/urandom >/client/data/a");
});
afterAll(() => machine?.stop());

const at = (name: string, repository: string) => `ssh://${name}@127.0.0.1/repos/${repository}`;
const borg = (name: string, words: string) => machine.run(`borg ${words}`, { env: machine.client(name) });
const rebuild = () => machine.ok("index rebuild");

test("three accounts of three roles open one repository, each with its own rights", async () => {
  expect(await machine.ok("ls /repos")).toBe("shared\nweb\n");
  expect(await borg("laptop", `init -e none ${at("laptop", "shared")}`)).toMatchObject({ code: 0 });
  for (const archive of ["a", "b"])
    expect(await borg("laptop", `create ${at("laptop", "shared")}::${archive} /client/data`)).toMatchObject({
      code: 0,
    });
  const refused = await borg("laptop", `prune --keep-last 1 ${at("laptop", "shared")}`);
  expect(refused.stderr).toContain("this account is append-only");
  expect(await borg("helper", `list --short ${at("helper", "shared")}`)).toMatchObject({
    code: 0,
    stdout: "a\nb\n",
  });
  expect((await borg("helper", `delete ${at("helper", "shared")}::a`)).stderr).toContain(
    "this account is for restoring",
  );
  expect(await borg("pruner", `prune --keep-last 1 ${at("pruner", "shared")}`)).toMatchObject({ code: 0 });
  expect(await borg("helper", `list --short ${at("helper", "shared")}`)).toMatchObject({
    code: 0,
    stdout: "b\n",
  });
  // Its own name is another's repository, which it cannot reach.
  expect((await borg("laptop", `list ${at("laptop", "web")}`)).code).toBe(2);
  expect((await machine.ssh("laptop", "laptop@127.0.0.1 status --json")).stdout).toContain(
    '"repository": "shared"',
  );
  expect(await machine.ok("status --json shared")).toMatch(
    /"accounts": \[\s*"helper",\s*"laptop",\s*"pruner"\s*\]/,
  );
});

test("a repository that is archived by one account's settings is so for the others too", async () => {
  await machine.write("/sshkeys/settings/helper", 'repository = "shared"\narchived = true\n');
  await rebuild();
  expect(await machine.ok("index list")).toContain("pruner (repo; repository shared, archived)");
  const before = await machine.ok(
    "cd /repos/shared; find . -type f ! -name 'lock*' | sort | xargs sha256sum",
  );
  for (const [name, words] of [
    ["pruner", `delete ${at("pruner", "shared")}::b`],
    ["pruner", `create ${at("pruner", "shared")}::x /client/data`],
    ["laptop", `create ${at("laptop", "shared")}::x /client/data`],
  ] as const) {
    const { code, stderr } = await borg(name, words);
    expect({ words, code }).toEqual({ words, code: 2 });
    expect(stderr).toContain("this repository is archived");
  }
  expect(await machine.ok("cd /repos/shared; find . -type f ! -name 'lock*' | sort | xargs sha256sum")).toBe(
    before,
  );
  await machine.write("/sshkeys/settings/laptop", 'repository = "shared"\narchived = false\n');
  const { code, stderr } = await machine.run("index rebuild");
  expect(code).toBe(3);
  expect(stderr).toMatch(
    /settings\/(laptop|helper):2: archived: the settings of (laptop|helper) say otherwise of the same repository/,
  );
  await machine.write("/sshkeys/settings/laptop", 'repository = "shared"\n');
  await machine.write("/sshkeys/settings/helper", 'repository = "shared"\n');
  await rebuild();
  expect(await borg("laptop", `create ${at("laptop", "shared")}::y /client/data`)).toMatchObject({ code: 0 });
});

test("an account's quota counts what others wrote, and binds that account alone", async () => {
  const fill = (name: string, archive: string) =>
    machine.run(`head -c 6000000 /dev/urandom | borg create -C none ${at(name, "shared")}::${archive} -`, {
      env: machine.client(name),
    });
  for (const archive of ["l1", "l2"]) expect(await fill("laptop", archive)).toMatchObject({ code: 0 });
  await machine.write("/sshkeys/settings/default", 'quota = "10M"\n');
  await machine.write("/sshkeys/settings/laptop", 'repository = "shared"\nquota = "1T"\n');
  await rebuild();
  const { code, stderr } = await fill("pruner", "p");
  expect(code).toBe(2);
  expect(stderr).toContain("quota");
  expect(await fill("laptop", "l3")).toMatchObject({ code: 0 });
  // An admin is not bound by what is set for all, and so can make room.
  expect(await borg("boss", `delete ${at("boss", "shared")}::l3`)).toMatchObject({ code: 0 });
  expect((await machine.run("status --check")).stdout).toContain("shared: full");
  await machine.write("/sshkeys/settings/pruner", 'repository = "shared"\nquota = "2T"\n');
  await rebuild();
  expect(await fill("pruner", "p")).toMatchObject({ code: 0 });
  // The restoring account, which has the 10 MB still, never writes.
  expect(JSON.parse(await machine.ok("status shared --json"))[0]).toMatchObject({ quota: 1e12 });
  expect(await machine.run("status --check shared")).toMatchObject({ code: 0, stdout: "" });
  await machine.ok("rm /sshkeys/settings/default");
  for (const name of ["laptop", "pruner"])
    await machine.write(`/sshkeys/settings/${name}`, 'repository = "shared"\n');
  await rebuild();
});

test("an account that goes leaves the repository that others open", async () => {
  await machine.ok("mv /sshkeys/repos/pruner /client/; mv /sshkeys/settings/pruner /client/pruner-settings");
  expect(await machine.ok("update-borgusers")).toContain("account pruner: removed");
  expect(await borg("helper", `list --short ${at("helper", "shared")}`)).toMatchObject({ code: 0 });
  expect(await machine.ok("borg list --short all")).toContain("b");
});

test("a quota stops the account's sessions when the whole repository has grown past it", async () => {
  await machine.write("/sshkeys/settings/web", 'quota = "10M"\n');
  await rebuild();
  expect(await borg("web", `init -e none ${at("web", "web")}`)).toMatchObject({ code: 0 });
  expect(await machine.ok("index list")).toContain("web (repo; quota 10M)");
  const fill = (archive: string) =>
    machine.run(`head -c 6000000 /dev/urandom | borg create -C none ${at("web", "web")}::${archive} -`, {
      env: machine.client("web"),
    });
  expect(await fill("first")).toMatchObject({ code: 0 });
  const { code, stderr } = await fill("second");
  expect(code).toBe(2);
  expect(stderr).toContain("quota");
  // It is the account's: borg would write it into the repository too, and then it bound admins, also when it was raised.
  const more = "head -c 6000000 /dev/urandom | borg create -C none";
  const asAdmin = { env: machine.client("boss") };
  expect(await machine.run(`${more} ${at("boss", "web")}::admin -`, asAdmin)).toMatchObject({ code: 0 });
  expect(await borg("boss", `delete ${at("boss", "web")}::admin`)).toMatchObject({ code: 0 });
  expect(await borg("boss", `compact ${at("boss", "web")}`)).toMatchObject({ code: 0 });
  await machine.write("/sshkeys/settings/web", 'quota = "100M"\n');
  await rebuild();
  expect(await fill("second")).toMatchObject({ code: 0 });
});

test("an archived repository is read alone, by every role but admin", async () => {
  await machine.write("/sshkeys/settings/web", 'archived = true\nlate-after = "1s"\n');
  await rebuild();
  expect(await borg("web", `list --short ${at("web", "web")}`)).toMatchObject({
    code: 0,
    stdout: "first\nsecond\n",
  });
  for (const words of [`create ${at("web", "web")}::x /client/data`, `delete ${at("web", "web")}::first`]) {
    const { code, stderr } = await borg("web", words);
    expect({ words, code }).toEqual({ words, code: 2 });
    expect(stderr).toContain("this repository is archived");
  }
  expect(await borg("boss", `delete ${at("boss", "web")}::first`)).toMatchObject({ code: 0 });
  expect(JSON.parse(await machine.ok("status web --json"))[0]).toMatchObject({ archived: true, late: false });
  await machine.ok("rm /sshkeys/settings/web");
  await rebuild();
  expect(await borg("web", `create ${at("web", "web")}::x /client/data`)).toMatchObject({ code: 0 });
});

test("deletions are the account's own affair", async () => {
  await machine.write("/sshkeys/settings/laptop", 'repository = "shared"\ndeletions = "kept"\n');
  await rebuild();
  expect(await borg("laptop", `delete ${at("laptop", "shared")}::b`)).toMatchObject({ code: 0 });
  await machine.write("/sshkeys/settings/laptop", 'repository = "shared"\n');
  await rebuild();
});

test("a late backup is late, in words and in the exit code", async () => {
  await machine.write("/sshkeys/settings/default", 'late-after = "2s"\n');
  await rebuild();
  await machine.ok("sleep 3");
  const { code, stdout } = await machine.run("status --check");
  expect(code).toBe(5);
  expect(stdout).toMatch(/^shared: late: the last complete backup is of 20.*\nweb: late: the last complete/);
  expect((await machine.ok("status")).split("\n")[2]).toBe("  late");
  await machine.ok("rm /sshkeys/settings/default");
  await rebuild();
  expect(await machine.run("status --check")).toMatchObject({ code: 0, stdout: "" });
});

test("what is wrong in a settings file is told with its line, and the old index serves", async () => {
  await machine.write("/sshkeys/settings/web", '# web\nquota = "lots"\nwebhook = "x"\n');
  await machine.write("/sshkeys/settings/nobody", "");
  const { code, stderr } = await machine.run("index rebuild");
  expect(code).toBe(3);
  expect(stderr).toContain('/sshkeys/settings/web:2: quota: this takes a size, as in "500G" or "1.5T"');
  expect(stderr).toContain('/sshkeys/settings/web:3: "webhook" is no setting');
  expect(stderr).toContain("/sshkeys/settings/nobody: there is no account of this name");
  expect(await borg("web", `list ${at("web", "web")}`)).toMatchObject({ code: 0 });
  await machine.ok("rm /sshkeys/settings/web /sshkeys/settings/nobody");
  await rebuild();
});

test("settings that are left behind keep no key from being taken away, and are told the next time", async () => {
  await machine.write("/sshkeys/settings/web", 'quota = "100M"\n');
  await rebuild();
  await machine.ok("mv /sshkeys/repos/web /client/web-keys");
  expect(await rebuild()).toContain("account web: removed");
  expect((await machine.ssh("web", "web@127.0.0.1 borg serve")).stderr).toContain("Permission denied");
  const { code, stderr } = await machine.run("index rebuild");
  expect(code).toBe(3);
  expect(stderr).toContain("/sshkeys/settings/web: there is no account of this name");
  await machine.ok("mv /client/web-keys /sshkeys/repos/web; rm /sshkeys/settings/web");
  await rebuild();
});

test("a folder of settings that is lost takes nothing back", async () => {
  await machine.ok("mv /sshkeys/settings /client/lost");
  const { code, stderr } = await machine.run("index rebuild");
  expect(code).toBe(3);
  expect(stderr).toContain("/sshkeys/settings: the folder is missing, but its settings are in force");
  expect(await borg("laptop", `list ${at("laptop", "shared")}`)).toMatchObject({ code: 0 });
  await machine.ok("mv /client/lost /sshkeys/settings");
  await rebuild();
});
