import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine, programs } from "./machine.ts";

/** Stands in for borg where a test looks at what it is started with. */
const fake = "/client/fake";
let machine: Machine;
const entrypoint = "/usr/local/lib/borgserver/entrypoint";

beforeAll(async () => {
  machine = await Machine.start();
  await machine.write(
    "/sshkeys/repos/web",
    (await machine.makeKey("web")) + (await machine.makeKey("spare", "ecdsa")),
  );
  await machine.write("/sshkeys/repos/db", await machine.makeKey("db", "rsa"));
  await machine.ok("cat /client/web.pub >>/sshkeys/repos/db");
  await machine.makeKey("stranger");
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
  for (const [key, account] of [
    ["web", "web"],
    ["db", "db"],
  ] as const) {
    expect(await machine.borg(key, `init -e none ssh://${account}@127.0.0.1/repos/${account}`)).toMatchObject(
      { code: 0 },
    );
    expect(
      await machine.borg(
        key,
        `create ssh://${account}@127.0.0.1/repos/${account}::of-${account} /client/known_hosts`,
      ),
    ).toMatchObject({ code: 0 });
  }
});
afterAll(() => machine?.stop());

describe("index", () => {
  test("list shows accounts, roles and keys", async () => {
    const print = async (key: string, type: string) =>
      `  ${(await machine.ok(`ssh-keygen -lf /client/${key}.pub`)).split(" ")[1]} ${type} ${key}\n`;
    expect(await machine.ok("index list")).toBe(
      `db (repo)\n${await print("db", "ssh-rsa")}${await print("web", "ssh-ed25519")}` +
        `web (repo)\n${await print("web", "ssh-ed25519")}${await print("spare", "ecdsa-sha2-nistp256")}`,
    );
    const json = JSON.parse(await machine.ok("index list --json"));
    expect(json[0]).toMatchObject({
      account: "db",
      role: "repo",
      source: "/sshkeys/repos/db",
      keys: [{ line: 1 }, { line: 2 }],
    });
  });

  test("find shows what a key opens, by fingerprint, file or standard input", async () => {
    const fingerprint = (await machine.ok("ssh-keygen -lf /client/web.pub")).split(" ")[1]!;
    const answer = `${fingerprint} opens db (repo), web (repo)\n`;
    expect(await machine.ok(`index find ${fingerprint}`)).toBe(answer);
    expect(await machine.ok("index find /client/web.pub")).toBe(answer);
    expect(await machine.ok("index find - </client/web.pub")).toBe(answer);
    expect(await machine.ok("index find /client/stranger.pub")).toMatch(/^SHA256:\S+ opens no account\n$/);
    expect(await machine.run("index find /client/none")).toMatchObject({ code: 1 });
    const { code, stderr } = await machine.run("index find /client/web");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^\/client\/web: the file holds a private key/);
  });

  test("rebuild says which account has no repository directory yet", async () => {
    await machine.ok("cp /client/stranger.pub /sshkeys/repos/later");
    expect((await machine.run("index rebuild --full")).stderr).toBe(
      "borgserver: the account later has no repository directory yet\n  To make what is missing: update-borgusers\n",
    );
    await machine.ok("rm /sshkeys/repos/later");
    expect(await machine.run("index rebuild")).toMatchObject({ code: 0, stderr: "" });
  });

  test.each([
    "index",
    "index rebuild now",
    "index bogus",
    "borgserver",
    "borgserver bogus",
    "index find",
    "borgserver authorized-keys web",
    "update-borgusers --force",
  ])("%s is a mistake in usage: exit 2", async (command) => {
    const { code, stdout, stderr } = await machine.run(command);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).not.toBe("");
  });

  test.each([
    ["borgserver", "borgserver COMMAND"],
    ["index", "index COMMAND"],
    ["borgserver index", "index COMMAND"],
    ["index rebuild", "index rebuild [--full]"],
    ["index check", "index check"],
    ["index list", "index list [--json]"],
    ["index find", "index find FINGERPRINT|FILE"],
    ["update-borgusers", "update-borgusers [--dry-run]"],
    ["borgserver known-hosts", "borgserver known-hosts HOST[:PORT]"],
    ["status", "status [NAME...] [--json] [--check]"],
    ["borgserver sessions", "borgserver sessions [NAME...] [--json]"],
    ["borgserver manifests", "borgserver manifests NAME [--restore N]"],
    ["borgserver import", "borgserver import FILE|FOLDER [--dry-run]"],
  ])("%s --help says how it is typed, with an example", async (command, usage) => {
    const help = await machine.ok(`${command} --help`);
    expect(help).toMatch(/^Usage: .*\n\n[A-Z].*\n/);
    expect(help.split("\n")[0]).toBe(`Usage: ${usage}`);
    const [name = ""] = usage.split(/ [A-Z[]/);
    const example = name === "borgserver" || name === "index" ? "" : `.*${name}`;
    expect(help).toMatch(new RegExp(`\\nExample:\\n  docker exec .*borgserver ${example}.*\\n$`));
    expect(help.split("\n").filter((line) => line.length > 80 && !line.startsWith("  docker"))).toEqual([]);
  });

  test("--version is a version", async () => {
    expect(await machine.ok("borgserver --version")).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("a mistake in a command's words is said in one line", async () => {
    expect(await machine.run("index rebuild --ful")).toEqual({
      code: 2,
      stdout: "",
      stderr: "borgserver: unknown option '--ful' (Did you mean --full?). See borgserver --help.\n",
    });
  });
});

test("an output that nobody reads to its end is not a failure", async () => {
  expect(
    await machine.run("bash -c 'set -o pipefail; index list | head -n 1; index list --json | true'"),
  ).toEqual({
    code: 0,
    stdout: "db (repo)\n",
    stderr: "",
  });
  expect(await machine.run("index list >/dev/full")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^borgserver: ENOSPC/),
  });
});

test("reading needs no root; changing says what it needs", async () => {
  const asOwner = "setpriv --reuid 1000 --regid 1000 --clear-groups";
  expect(await machine.ok(`${asOwner} list --short /repos/web`)).toContain("of-web\n");
  expect(await machine.ok(`${asOwner} index check`)).toContain("no problems");
  expect(await machine.run(`${asOwner} index list`)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("Only root and the login program may read it."),
  });
  expect(await machine.run(`${asOwner} update-borgusers`)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/root/),
  });
});

describe("a borg command", () => {
  test("runs for one repository, or for all of them", async () => {
    expect(await machine.ok("list --short /repos/web")).toBe("of-web\n");
    expect(await machine.ok("list --short all")).toBe("/repos/db:\nof-db\n/repos/web:\nof-web\n");
    expect(await machine.run("check all")).toMatchObject({ code: 0 });
    expect(await machine.ok("borgserver borg info all")).toContain("Location: /repos/web");
    expect(await machine.run("list /repos/none")).toMatchObject({ code: 2 });
  });

  test("for all of them names one that is damaged or not mounted, and fails", async () => {
    await machine.ok("mv /repos/db/config /client/config; ln -s /not/mounted /repos/away");
    const { code, stdout } = await machine.run("list --short all");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "/repos/away:\n/repos/db:\n/repos/web:\nof-web\n" });
    await machine.ok("mv /client/config /repos/db/config; rm /repos/away");
  });

  test("for all of them ends with the worst exit code, not the last", async () => {
    await machine.write(fake, "#!/bin/sh\n[ $2 != /repos/db ]\n");
    await machine.ok("chmod 755 /client/fake; ln -sf /client/fake /usr/local/lib/borgserver/borg");
    try {
      expect(await machine.run("check all")).toMatchObject({ code: 1, stdout: "/repos/db:\n/repos/web:\n" });
    } finally {
      await machine.ok("/usr/local/lib/borgserver/install system");
    }
  });

  test("runs as the owner of the repositories and leaves nothing of root's behind", async () => {
    await machine.ok(
      "prune --keep-last 1 all; compact all; cd /client && create /repos/web::local known_hosts",
    );
    expect(await machine.ok("find /repos ! -user 1000 -o ! -group 1000")).toBe("");
    await machine.write(fake, '#!/bin/sh\nid -u; id -G; echo "$HOME $BORG_HOST_ID $*"\n');
    await machine.ok("chmod 755 /client/fake; ln -sf /client/fake /usr/local/lib/borgserver/borg");
    try {
      expect(await machine.ok("setpriv --groups 0,4 borgserver borg check --repair x")).toBe(
        "1000\n1000\n/var/cache/borgserver backup check --repair x\n",
      );
    } finally {
      await machine.ok("/usr/local/lib/borgserver/install system");
    }
  });

  test("is what a signal reaches, alone or among all", async () => {
    await machine.write(
      fake,
      "#!/bin/sh\ntrap 'echo cleaned $2; exit 3' TERM\necho begun; sleep 0.2 & wait; sleep 9 & wait\n",
    );
    await machine.ok(`chmod 755 ${fake}; ln -sf ${fake} /usr/local/lib/borgserver/borg`);
    const begun = (command: string) =>
      `rm -f /client/printed; ${command} >/client/printed & until grep -qs begun /client/printed; do sleep 0.1; done; kill $!; wait $! || code=$?; cat /client/printed; echo $code`;
    try {
      expect(await machine.ok(begun("list /repos/web"))).toBe("begun\ncleaned /repos/web\n3\n");
      expect(await machine.ok(begun("list all"))).toBe("/repos/db:\nbegun\ncleaned /repos/db\n143\n");
    } finally {
      await machine.ok("/usr/local/lib/borgserver/install system");
    }
  });

  test("named borg is the owner's too, and never root's", async () => {
    await machine.ok(
      "borg create /repos/web::by-name /client/known_hosts; borgserver borg delete /repos/web::by-name",
    );
    expect(await machine.ok("find /repos ! -user 1000 -o ! -group 1000")).toBe("");
  });

  test("does not hinder clients: they back up afterwards", async () => {
    expect(
      await machine.borg("web", "create ssh://web@127.0.0.1/repos/web::after /client/known_hosts"),
    ).toMatchObject({ code: 0 });
  });
});

describe("the entrypoint", () => {
  test("runs a program that exists", async () => {
    expect(await machine.ok(`${entrypoint} sh -c 'echo $0 $1' a b`)).toBe("a b\n");
    expect(await machine.ok(`${entrypoint} borg --version`)).toMatch(/^borg 1\./);
    expect(await machine.ok(`${entrypoint} index check`)).toContain("no problems");
    expect(await machine.ok(`${entrypoint} echo hi; ${entrypoint} true && ${entrypoint} /bin/pwd`)).toMatch(
      /^hi\n\//,
    );
  });

  test("takes anything else for a borg command, as the owner of the repositories", async () => {
    expect(await machine.ok(`${entrypoint} list --short /repos/web`)).toContain("of-web\n");
    expect(await machine.ok(`${entrypoint} --version`)).toMatch(/^borg 1\./);
    const { code, stderr } = await machine.run(`${entrypoint} bogus`);
    expect(code).toBe(2);
    expect(stderr).toContain("borg: error");
  });

  test("without a word says what it takes", async () => {
    for (const words of ["", "''"]) {
      const { code, stderr } = await machine.run(`${entrypoint} ${words}`);
      expect(code).toBe(2);
      expect(stderr).toMatch(/^borgserver: nothing to run\. Use "sshd"/);
    }
  });
});

describe("long work", () => {
  const many = 3000;
  beforeAll(async () => {
    await machine.ok(`python3 ${programs}/many_keys.py ${many} /sshkeys/repos/many`);
  });
  afterAll(() => machine.ok("rm /sshkeys/repos/many*; update-borgusers; rmdir /repos/many*"));

  test("shows on a terminal how far it is, and removes that line", async () => {
    // script(1) gives it a terminal.
    const shown = await machine.ok("script -qec update-borgusers /dev/null");
    const steps = [
      `reading /sshkeys/repos: 0 of `,
      "ssh-keygen reads ",
      "writing the index: 0 of ",
      "making directories: 0 of ",
    ];
    for (const step of steps) expect(shown).toContain(`\r\x1b[K${step}`);
    expect(shown).toContain("\r\x1b[Kindex: ");
  });

  test("says in a log what it did and nothing else", async () => {
    const { stdout, stderr } = await machine.run("index rebuild --full");
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^index: .*\n$/);
    expect(stdout).not.toContain("\r");
  });
});
