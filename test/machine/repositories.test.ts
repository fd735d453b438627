import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { optionsWithValue } from "../../src/operator/borg-words.ts";
import { Machine, programs } from "./machine.ts";

// What lies under /repos, and what the server makes of it.

let machine: Machine;
const borg =
  "setpriv --reuid 1000 --regid 1000 --clear-groups env HOME=/client/op /usr/local/lib/borgserver/borg";

beforeAll(async () => {
  machine = await Machine.start();
  for (const name of ["web", "db"])
    await machine.write(`/sshkeys/repos/${name}`, await machine.makeKey(name));
  expect(await machine.startServer()).toBeNull();
  await machine.ok("mkdir -p /client/op && chown 1000:1000 /client/op");
  // What every test begins with: web has a backup, db has not begun.
  await machine.ok(`${borg} init -e none /repos/web && ${borg} create /repos/web::a /etc/hostname`);
  await machine.ok("update-borgusers; cp -a /repos /client/kept");
});
afterEach(async () => {
  await machine.ok(
    "umount -l /repos/* /repos 2>/dev/null; find /repos -mindepth 1 -maxdepth 1 -exec rm -rf {} +; cp -a /client/kept/. /repos; rm -rf /var/cache/borgserver/.[a-z]*",
  );
});
afterAll(() => machine?.stop());

const owner = (path: string) => machine.ok(`stat -c %u:%g '${path}'`);
/** A start's log. */
const start = async () => (await machine.run("borgserver prepare")).stderr;
const restart = async () => {
  await machine.stopServer();
  expect(await machine.startServer()).toBeNull();
};

describe("what is not a repository", () => {
  test.each([
    ["restic's", "mkdir data keys snapshots; head -c 155 /dev/urandom >config"],
    ["a web application's", "mkdir config data"],
    ["a config without borg's section", "echo '[core]' >config; mkdir data"],
    ["a FIFO", "mkfifo config; mkdir data"],
    ["a device", "mknod config c 1 5"],
    ["a symlink to a repository's", "ln -s /repos/web/config config"],
    ["a huge file", "truncate -s 1T config"],
  ])("%s is left alone and skipped", async (_, make) => {
    await machine.ok(
      `mkdir /repos/foreign && cd /repos/foreign && ${make} && mkdir lock.exclusive && touch lock.exclusive/backup.1-0 && chown -Rh 7:7 .`,
    );
    const before = await machine.ok("find /repos/foreign -printf '%p %U:%G %m %i\\n'");
    expect(await start()).not.toContain("foreign");
    expect(await machine.ok("update-borgusers")).not.toContain("foreign");
    expect(await machine.run("list --short all")).toMatchObject({ code: 0, stdout: "/repos/web:\na\n" });
    expect(await machine.ok("find /repos/foreign -printf '%p %U:%G %m %i\\n'")).toBe(before);
  });

  test("an admin's repository is one, and a start says that it got a new owner", async () => {
    await machine.ok("cp -a /repos/web /repos/archive; chown -R 7:7 /repos/archive");
    expect(await start()).toContain("borgserver: /repos/archive: new owner\n");
    expect(await owner("/repos/archive/config")).toBe("1000:1000\n");
  });

  test("one that lost its config, or cannot be read, is reported", async () => {
    await machine.ok("cp -a /repos/web /repos/lost; rm /repos/lost/config; ln -s loop /repos/loop");
    const { code, stdout, stderr } = await machine.run("list --short all");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "/repos/loop:\n/repos/lost:\n/repos/web:\na\n" });
    expect(stderr).toMatch(
      /^borgserver: \/repos\/lost: this looks like a repository, but its config is missing$/m,
    );
    expect(stderr).toMatch(/^borgserver: \/repos\/loop: it cannot be reached \(ELOOP\)$/m);
  });
});

describe("an account without a repository", () => {
  test("that never had one is reported, and is not a failure", async () => {
    const { code, stderr } = await machine.run("list --short all");
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(
        /^borgserver: \/repos\/db: there is no repository here yet: .* not mounted$/m,
      ),
    });
  });

  test.each([
    ["emptied", "rm -rf /repos/web/*"],
    ["gone", "rm -rf /repos/web"],
    ["under a mount that is empty", "mount -t tmpfs none /repos/web"],
  ])("that had one, now %s, is a failure until the operator says otherwise", async (_, lose) => {
    await machine.ok(lose);
    const { code, stderr } = await machine.run("list --short all");
    expect(code).toBe(2);
    expect(stderr).toContain("borgserver: /repos/web: the repository that was here is missing\n");
    const dryRun = await machine.run("update-borgusers --dry-run");
    expect(dryRun.stdout).not.toContain("in step");
    expect(dryRun.stderr).toContain("/repos/web: the repository that was here is missing\n");
    expect(await start()).toContain("WARNING: /repos/web: the repository that was here is missing\n");
    const update = await machine.run("update-borgusers");
    expect(update).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("/repos/web: the repository that was here is missing\n"),
    });
    // A container that is made anew knows as well.
    await machine.ok("rm -rf /run/borgserver/settings.json; borgserver prepare");
    expect((await machine.run("check all")).code).toBe(2);
    const forget = /rm \S+/.exec(stderr)?.[0];
    await machine.ok(`${forget}`);
    expect((await machine.run("list all")).stderr).not.toContain("missing");
    expect(await machine.ok("update-borgusers --dry-run")).toContain("in step");
  });
});

test("names that are not UTF-8 are reported, nothing is made for them, and a repository of such a name fails all", async () => {
  await machine.ok(
    "touch \"$(printf '/repos/stray\\377')\"; cp -a /repos/web \"$(printf '/repos/r\\351p')\"",
  );
  const before = await machine.ok("ls /repos | wc -l");
  const update = await machine.run("update-borgusers");
  expect(update.stderr).toContain("/repos/stray\\xff: the name is not UTF-8");
  expect(update.stderr).toContain("/repos/r\\xe9p: the name is not UTF-8");
  expect(await start()).toContain("/repos/r\\xe9p: the name is not UTF-8");
  expect(await machine.ok("ls /repos | wc -l")).toBe(before);
  const { code, stdout, stderr } = await machine.run("list --short all");
  expect({ code, stdout }).toEqual({ code: 2, stdout: "/repos/r\\xe9p:\n/repos/web:\na\n" });
  expect(stderr).toContain("Rename it.");
  expect(stderr).not.toContain("stray");
});

test("nested and hidden repositories are reported with what to do, those of a recycle bin are not", async () => {
  await machine.ok(
    `mkdir -p /repos/dept /repos/team/a /repos/@Recycle && for to in dept/laptop team/a/pc .hidden @Recycle/old; do cp -a /repos/web /repos/$to; done`,
  );
  const named = [
    "/repos/dept/laptop: this repository is inside /repos/dept, where no command on all repositories finds it\n  Move it to /repos/laptop.\n",
    "/repos/team/a/pc: this repository is inside /repos/team, where no command on all repositories finds it\n  Move it to /repos/pc.\n",
    "/repos/.hidden: the name starts with a dot, which no account's name does",
  ];
  const all = await machine.run("list --short all");
  const update = await machine.run("update-borgusers");
  const log = await start();
  for (const line of named) for (const text of [all.stderr, update.stderr, log]) expect(text).toContain(line);
  expect(all.code).toBe(2);
  expect(all.stderr + update.stderr).not.toContain("Recycle");
});

describe("files that a borg of root's left", () => {
  test.each(["/repos/web/index.5", "/repos/web/data", "/repos/web/lock.roster", "/repos/web/config"])(
    "%s is seen and given back with everything below, by an update and by a start",
    async (path) => {
      for (const mend of ["update-borgusers", "borgserver prepare"]) {
        await machine.ok(
          `touch ${path}; chown 0:0 ${path} /repos/web/data/0/*; ln -sf /etc/shadow /repos/web/data/0/link`,
        );
        const { stdout, stderr } = await machine.run(mend);
        expect(stdout + stderr).toMatch(/\/repos\/web: new owner of what another user left in it \(.*\)\n/);
        expect(
          await machine.ok("find /repos/web ! -user 1000 -o ! -group 1000; rm /repos/web/data/0/link"),
        ).toBe("");
      }
      expect(await machine.ok("stat -c %u /etc/shadow")).toBe("0\n");
    },
  );

  test("as borg itself leaves them: the client works again", async () => {
    await machine.ok(
      "HOME=/client/root /usr/local/lib/borgserver/borg create /repos/web::root /etc/hostname",
      {
        env: { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes" },
      },
    );
    expect((await machine.run("list /repos/web")).code).not.toBe(0);
    await machine.ok("update-borgusers");
    expect(await machine.ok("list --short /repos/web")).toBe("a\nroot\n");
  });
});

describe("storage that keeps its own owners", () => {
  test("and works gives no warning and no failure", async () => {
    await machine.ok(
      "mkdir -p /client/squashed && cp -a /client/kept/. /client/squashed && chown -R 99:99 /client/squashed && chmod -R a+rwX /client/squashed && bindfs --force-user=99 --force-group=99 --perms=a+rwX --chown-ignore --chgrp-ignore --chmod-ignore -o allow_other,nonempty /client/squashed /repos",
    );
    await machine.drop("repos/fresh");
    try {
      expect(await start()).not.toContain("WARNING");
      expect(await machine.run("update-borgusers")).toMatchObject({ code: 0, stderr: "" });
      expect(await machine.ok("update-borgusers --dry-run")).toContain("in step");
      expect(await machine.ok("ls -d /repos/fresh; list --short /repos/web")).toBe("/repos/fresh\na\n");
      expect(await machine.ok("find /repos -name '.borgserver-*'")).toBe("");
    } finally {
      await machine.ok(
        "umount /repos; rm /sshkeys/repos/fresh; update-borgusers; rm -rf /repos/fresh /client/squashed",
      );
    }
  });

  test("and refuses a change of owner, but works, gives none either", async () => {
    await machine.ok(
      "mkdir -p /client/squashed && cp -a /client/kept/. /client/squashed && bindfs --force-user=99 --force-group=99 --perms=a+rwX --chown-deny --chgrp-deny -o allow_other,nonempty /client/squashed /repos",
    );
    try {
      expect(await start()).not.toContain("WARNING");
      expect(await machine.run("update-borgusers")).toMatchObject({ code: 0, stderr: "" });
    } finally {
      await machine.ok("umount /repos; rm -rf /client/squashed");
    }
  });
});

test.each([
  ["a symlink", "rm -rf /repos/db && ln -s web /repos/db"],
  ["a mount", "mount --bind /repos/web /repos/db"],
])(
  "two accounts with the same directory, by %s, are reported, and everybody is still served",
  async (_, make) => {
    await machine.ok(make);
    const named = /\/repos\/web: it is the same directory as \/repos\/db,/;
    expect(await machine.run("update-borgusers")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(named),
    });
    expect(await machine.run("index rebuild")).toMatchObject({ code: 0 });
    const { code, stderr } = await machine.run("borgserver prepare");
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(named) });
  },
);

test("what is not a regular file or directory in a repository is reported by an update, a start, and all", async () => {
  await machine.ok(
    "cd /repos/web && ln -s /repos/db/data data/1 && ln -s /etc/passwd data/0/99 && mkfifo README.fifo && mkdir d && mknod d/null c 1 3",
  );
  for (const command of [
    "update-borgusers",
    "update-borgusers --dry-run",
    "borgserver prepare",
    "list --short all",
  ]) {
    const { stderr } = await machine.run(command);
    const line = stderr.split("\n").find((line) => line.includes("borg never makes"));
    expect(line).toMatch(
      /\/repos\/web: .*: (data\/1 \(symlink\)|data\/0\/99 \(symlink\)|README.fifo \(FIFO\)|d\/null \(device\)).* and 1 more$/,
    );
  }
});

test("where there is much to look at, a start does not wait for it, and reports it later", async () => {
  await machine.ok(
    "mkdir /repos/web/data/7 && cd /repos/web/data/7 && seq 300000 | xargs touch && ln -s /etc/passwd last && chown -Rh 1000:1000 .",
  );
  await restart();
  await machine.logged(/WARNING: \/repos\/web: .*: data\/7\/last \(symlink\)/);
  // Nothing is left of it.
  await machine.ok("sleep 0.5; ! pgrep -f '[b]orgserver look'");
});

test("a start takes as long with any locks, and changes none that it cannot read", async () => {
  await machine.ok("cp -a /repos/web /repos/odd");
  const seconds = async () =>
    Number(
      await machine.ok(
        "s=$(date +%s%N); borgserver prepare 2>/dev/null; echo $((($(date +%s%N)-s)/1000000))",
      ),
    );
  await seconds();
  const before = await seconds();
  const odd = [
    `truncate -s 1T /repos/odd/comm; echo '{"exclusive": [["backup", "../repos/odd", 0]]}' >lock.roster`,
    `python3 -c 'import json; json.dump({"exclusive": [["backup", "../repos/odd/x", 0]] * 20000}, open("lock.roster", "w"))'`,
    `python3 -c 'import json; json.dump({"exclusive": [["backup", n + 1, 0] for n in range(3000)]}, open("lock.roster", "w"))'`,
    "truncate -s 3G lock.roster",
    "mkdir lock.roster; mkfifo lock.exclusive",
    "mkfifo lock.roster; ln -s / lock.exclusive",
    "ln -s /dev/zero lock.roster; mkdir -p lock.exclusive/backup.1-0",
    `mkdir lock.exclusive && cd lock.exclusive && seq -f backup.x%.0f 20000 | xargs touch`,
  ];
  for (const make of odd) {
    await machine.ok(`cd /repos/odd && rm -rf lock.* comm && ${make} && chown -Rh 1000:1000 /repos/odd`);
    const state = "cd /repos/odd; find . -name 'lock*' -printf '%p %y %s %T@\\n'";
    const was = await machine.ok(state);
    expect({ make, ratio: (await seconds()) / before }).toEqual({
      make,
      ratio: expect.toSatisfy((ratio) => ratio < 2),
    });
    if (!make.includes("3000")) expect(await machine.ok(state)).toBe(was);
  }
}, 120_000);

test("locks of other hosts stay, and a start reports them with their age and the command", async () => {
  await machine.ok(
    `for n in 1 2 3 4 5 6 7; do cp -a /repos/web /repos/r$n; mkdir /repos/r$n/lock.exclusive; touch "/repos/r$n/lock.exclusive/old@5.17-0"; touch -d '3 days ago' /repos/r$n/lock.exclusive; done; chown -R 1000:1000 /repos`,
  );
  const log = await start();
  expect(log).toContain("/repos/r1 (of old@5, 3 days old), ");
  expect(log).toMatch(
    /and 2 more\n {2}If nothing there uses the repository any more: break-lock \/repos\/r1\n/,
  );
  expect(await machine.ok("ls /repos/r7/lock.exclusive")).toBe("old@5.17-0\n");
  await machine.ok("break-lock /repos/r1; [ ! -e /repos/r1/lock.exclusive ]");
});

test("a borg of another container with a holder's number is not its holder; one of this container is", async () => {
  await machine.ok("cp /bin/sleep /client/borg; mkdir -p /repos/web/lock.exclusive");
  const lock = (pid: string) =>
    machine.ok(
      `touch /repos/web/lock.exclusive/backup.${pid.trim()}-0; chown -R 1000:1000 /repos/web/lock.exclusive`,
    );
  // unshare(1): other mounts, as another container's.
  const other = await machine.ok("unshare --mount /client/borg 60 >/dev/null 2>&1 & echo $!");
  await machine.ok(`until grep -q borg /proc/${other.trim()}/comm; do sleep 0.1; done`);
  await lock(other);
  await start();
  expect(await machine.ok("ls /repos/web")).not.toContain("lock.exclusive");
  const own = await machine.ok("/client/borg 60 >/dev/null 2>&1 & echo $!");
  await machine.ok("mkdir -p /repos/web/lock.exclusive");
  await lock(own);
  await start();
  expect(await machine.ok("ls /repos/web/lock.exclusive")).toBe(`backup.${own.trim()}-0\n`);
  await machine.ok(`kill ${other.trim()} ${own.trim()}`);
});

describe("a command on all repositories", () => {
  const name = "/repos/x\\033[2J\\033]0;t\\007\\n\\342\\200\\256y";
  test("escapes names on both streams, and passes the rest on at once", async () => {
    await machine.ok(`cp -a /repos/web "$(printf '${name}')"; chown -R 7:7 "$(printf '${name}')"`);
    const shown = "/repos/x\\x1b[2J\\x1b]0;t\\x07\\x0a\\u{202e}y";
    for (const command of [
      "update-borgusers --dry-run",
      "update-borgusers",
      "check --info all",
      "info all",
      "list --short all",
    ]) {
      const { stdout, stderr } = await machine.run(command);
      expect(stdout + stderr).toContain("/repos/x\\x1b[2J");
      expect(stdout + stderr).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
      if (command === "list --short all") expect(stdout).toBe(`/repos/web:\na\n${shown}:\na\n`);
    }
  });

  test("shows a prompt without a line end at once, and takes the answer", async () => {
    await machine.ok("cp -a /repos/web /client/kept-web");
    const child = machine.spawn("BORG_DELETE_I_KNOW_WHAT_I_AM_DOING= delete all");
    let shown = "";
    for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (part) => (shown += part));
    const ended = new Promise((resolve) => child.on("close", resolve));
    while (!shown.includes("Type 'YES'")) await new Promise((resolve) => setTimeout(resolve, 50));
    child.stdin!.end("NO\n");
    await ended;
    expect(await machine.ok("ls /repos/web")).toContain("config");
  });

  test("prints only JSON on standard output", async () => {
    await machine.ok("cp -a /repos/web /repos/web2");
    const { stdout, stderr } = await machine.run("list --json all");
    const documents = await machine.ok(`python3 ${programs}/count_json.py`, { input: stdout });
    expect(documents).toBe("2\n");
    expect(stderr).toContain("/repos/web2:\n");
  });

  test("takes the word only in place of the repository", async () => {
    await machine.ok("rename /repos/web::a all");
    expect(await machine.ok("list --short all")).toBe("/repos/web:\nall\n");
    await machine.ok("create --comment all all::all /etc/hostname 2>/dev/null || rename all::all b");
    expect(await machine.ok("list --short all")).toBe("/repos/web:\nb\n");
  });

  test("knows the options of the installed borg that take a value", async () => {
    const options = await machine.ok(`python3 ${programs}/borg_options.py`);
    expect(
      options
        .trim()
        .split(" ")
        .filter((option) => !optionsWithValue.includes(option)),
    ).toEqual([]);
  });
});

test("a repository that moved is opened without a question", async () => {
  await machine.ok("list /repos/web >/dev/null; mv /repos/web /repos/moved");
  expect(await machine.run("list --short /repos/moved </dev/null")).toMatchObject({ code: 0, stdout: "a\n" });
});

test("an update where no server was started re-owns nothing", async () => {
  await machine.stopServer();
  await machine.ok("mv /run/borgserver/settings.json /client/settings; chown -R 3001:3002 /repos");
  await machine.drop("repos/beside");
  const { code, stdout, stderr } = await machine.run("update-borgusers");
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringContaining("/repos/web: it belongs to 3001:3002, not 1000:1000"),
  });
  expect(stdout).not.toContain("created");
  expect(await machine.ok("find /repos ! -user 3001")).toBe("");
  await machine.ok("rm /sshkeys/repos/beside; chown -R 1000:1000 /repos");
  await restart();
});
