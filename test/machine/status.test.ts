import { afterAll, beforeAll, expect, test } from "vitest";
import { Machine, programs } from "./machine.ts";

/** What the server knows of what it keeps, of encrypted repositories without their passphrase. */

let machine: Machine;
beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web", "repos/other", "repos-appendonly/log", "repos-restore/help", "admins/boss");
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
  await machine.ok("mkdir /client/data; head -c 3000000 /dev/urandom >/client/data/a");
});
afterAll(() => machine?.stop());

const web = "ssh://web@127.0.0.1/repos/web";
const borg = (words: string) => machine.ok(`borg ${words}`, { env: machine.client("web") });

const soon = { timeout: 30_000, interval: 200 };

interface Shown {
  [name: string]: unknown;
  last_backup: string | null;
}

async function status(name = "web"): Promise<Shown> {
  return JSON.parse(await machine.ok(`status ${name} --json`))[0];
}

/** The status as soon as the keeper has taken up so many sessions of a repository. */
async function statusAfter(count: number, name = "web"): Promise<Shown> {
  // The keeper is started again after a minute at most.
  for (let tries = 0; tries < 450; tries++) {
    const sessions = JSON.parse(await machine.ok(`borgserver sessions ${name} --json --limit 100000`));
    const shown = await status(name);
    if (sessions.length === count && (shown.last_commit !== null || sessions[0].kind === "delete"))
      return shown;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`there are no ${count} sessions:\n${await machine.ok("borgserver sessions")}`);
}

const kinds = async (name = "web") =>
  JSON.parse(await machine.ok(`borgserver sessions ${name} --json --limit 100000`))
    .reverse()
    .map(({ kind, complete }: { kind: string; complete: boolean }) =>
      complete ? kind : `${kind}, broken off`,
    );

test("before a first backup nothing is known, and nothing is guessed", async () => {
  expect(await status()).toEqual({
    ...{ repository: "web", accounts: ["web"], last_backup: null, last_commit: null, last_kind: null },
    ...{ size: null, reclaimable: null, objects: null, quota: null, last_check: null, last_check_ok: null },
    ...{ last_compact: null, lock: null, unfinished: false, late: false, archived: false, problem: null },
  });
});

test("each session is of its kind, and only complete creates are backups", async () => {
  const expected: string[] = [];
  let backup: string | null = null;
  const pass = () => machine.ok("sleep 1.1"); // times are shown in seconds
  const step = async (kind: string, run: () => Promise<unknown>, isBackup = false) => {
    await pass();
    await run();
    expected.push(kind);
    const shown = await statusAfter(expected.length);
    expect({ kind, kinds: await kinds() }).toEqual({ kind, kinds: expected });
    if (isBackup) {
      expect({ kind, changed: shown.last_backup !== backup }).toEqual({ kind, changed: true });
      backup = shown.last_backup;
    }
    expect({ kind, last_backup: shown.last_backup }).toEqual({ kind, last_backup: backup });
  };
  const killed = (words: string) => async () => {
    await machine.run(
      `{ head -c 30000000 /dev/urandom; sleep 30; } | borg create ${words} ${web}::killed-{now:%s} - & sleep 1
       until [ -n "$(ls /repos/.borgserver/*/open)" ]; do sleep 0.1; done
       sleep 4; pkill -9 -x ssh; wait`,
      { env: machine.client("web") },
    );
    await machine.ok(
      'for i in $(seq 100); do [ -n "$(ls /repos/.borgserver/*/open)" ] || exit 0; sleep 0.1; done',
    );
  };
  // borg reads some megabytes ahead before it makes a chunk.
  await machine.ok("head -c 20000000 /dev/urandom >/client/large");
  await step("init", () => borg(`init -e repokey ${web}`));
  await step("create", () => borg(`create ${web}::a /client/data`), true);
  await step(
    "create",
    () => borg(`create --checkpoint-interval 1 ${web}::b /client/data /usr/share/zoneinfo`),
    true,
  );
  await step("create", () => borg(`create ${web}::c /client/data`), true);
  await step("create, broken off", killed("--checkpoint-interval 1"));
  // It puts, commits and deletes what a whole one does, but for one call.
  const unchanged = (name: string, more: string) =>
    `{ cat /client/large; sleep 2; cat /client/large; ${more} } | borg create --checkpoint-interval 1 ${web}::${name} -`;
  await step("create", () => machine.ok(unchanged("u", ""), { env: machine.client("web") }), true);
  await step("create, broken off", async () => {
    await machine.run(`${unchanged("v", "sleep 30;")} & sleep 6; pkill -9 -x ssh; wait`, {
      env: machine.client("web"),
    });
    expect(
      await machine.ok("BORG_PASSPHRASE=secret borg list --short /repos/web --consider-checkpoints"),
    ).toContain("v.checkpoint");
  });
  await step("rename", () => borg(`rename ${web}::a d`));
  await step("other", () => borg(`recreate --comment x ${web}::d`));
  await step("read", () => borg(`export-tar ${web}::d /client/d.tar`));
  await step("create", () => borg(`import-tar ${web}::e /client/d.tar`), true);
  await step("prune", () => borg(`prune --keep-last 1 ${web}`));
  await step("delete", () => borg(`delete ${web}::e`));
  await step("compact", () => borg(`compact ${web}`));
  await step("check", () => borg(`check --repository-only ${web}`));
  await step("read", () => borg(`list ${web}`));
  await step("break-lock", () => borg(`break-lock ${web}`));
  await step("key", () =>
    machine.ok(`borg key change-passphrase ${web}`, {
      env: { ...machine.client("web"), BORG_NEW_PASSPHRASE: "secret" },
    }),
  );
  const shown = await status();
  expect(shown).toMatchObject({ last_kind: "compact", last_check_ok: true, unfinished: false });
  expect(shown.last_check).not.toBeNull();
  expect(shown.last_compact).not.toBeNull();
}, 240_000);

test("size, what a compaction would free, and objects are those of the repository", async () => {
  const count = (await kinds()).length;
  await borg(`create ${web}::sized /client/data`);
  await borg(`delete ${web}::sized`);
  await statusAfter(count + 2);
  // The repository is read a moment after its sessions are known.
  await expect.poll(async () => Number((await status()).reclaimable), soon).toBeGreaterThan(3_000_000);
  const before = await status();
  await borg(`compact ${web}`);
  await statusAfter(count + 3);
  await expect.poll(async () => Number((await status()).reclaimable), soon).toBeLessThan(10_000);
  const after = await status();
  expect(Number(before.size) - Number(after.size)).toBeGreaterThan(3_000_000);
  expect(Number(after.objects)).toBe(Number(before.objects));
});

test("an operator's commands are known too, but for those that only read", async () => {
  const before = (await kinds()).length;
  await machine.ok("borg list /repos/web; borg check --repository-only /repos/web; borg compact /repos/web");
  await statusAfter(before + 2);
  expect((await kinds()).slice(before)).toEqual(["check", "compact"]);
  expect(await machine.ok("borgserver sessions web")).toMatch(/ {2}an operator on web {2}compact {2}/);
  await machine.logged(/an operator's command on \/repos\/web: check; /);
});

test("what no recorded session explains is unknown", async () => {
  const other = "ssh://other@127.0.0.1/repos/other";
  await machine.ok(`borg init -e none ${other}; borg create ${other}::a /client/data`, {
    env: machine.client("other"),
  });
  const known = await statusAfter(2, "other");
  expect(known).toMatchObject({ last_kind: "create" });
  await machine.ok(
    "BORG_HOST_ID=x BORG_BASE_DIR=/tmp/elsewhere BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes setpriv --reuid 1000 --regid 1000 --clear-groups /usr/bin/borg create /repos/other::mine /etc/hostname",
  );
  await machine.ok(`borg list ${other}`, { env: machine.client("other") });
  await statusAfter(3, "other");
  await expect.poll(() => status("other"), soon).toMatchObject({ last_kind: "unknown" });
  expect((await status("other")).last_backup).toBe(known.last_backup);
});

test("a session that goes on holds the lock, and is named", async () => {
  const creating = machine.run(`{ head -c 1000000 /dev/urandom; sleep 6; } | borg create ${web}::held -`, {
    env: machine.client("web"),
  });
  await machine.ok(
    "for i in $(seq 100); do [ -e /repos/web/lock.exclusive ] && exit 0; sleep 0.1; done; exit 1",
  );
  expect(await status()).toMatchObject({
    lock: { kind: "exclusive", account: "web", since: expect.any(String) },
  });
  expect(await machine.ok("status")).toMatch(/locked by web since 20/);
  await creating;
  expect(await status()).toMatchObject({ lock: null });
});

test("a client sees its own repository and nothing of others, in every role", async () => {
  const own = async (name: string, words = "status --json") =>
    machine.ssh(name, `${name}@127.0.0.1 ${words}`);
  for (const name of ["web", "log", "help"]) {
    const { code, stdout } = await own(name);
    expect({ name, code }).toEqual({ name, code: 0 });
    expect(JSON.parse(stdout).map(({ repository }: { repository: string }) => repository)).toEqual([name]);
    expect((await own(name, "status")).stdout).toMatch(new RegExp(`^REPOSITORY .*\n${name} `));
  }
  expect(JSON.parse((await own("boss")).stdout).map(({ repository }: Shown) => repository)).toContain("web");
  for (const words of ["status other", "'status;id'", "status --check", "own-status other"]) {
    const { code, stderr, stdout } = await own("web", words);
    expect({ words, code, stdout }).toEqual({ words, code: 1, stdout: "" });
    expect(stderr).toContain("only borg can use this account");
  }
});

test("the table has a line for each, and names that are none are told", async () => {
  const table = await machine.ok("status");
  for (const line of table.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
  expect(table.split("\n").map((line) => line.split(" ")[0])).toEqual(
    expect.arrayContaining(["REPOSITORY", "web", "other", "log", "help"]),
  );
  const { code, stderr } = await machine.run("status nobody");
  expect(code).toBe(2);
  expect(stderr).toBe('borgserver: there is no repository "nobody". To see all: status\n');
});

test("check is silent where nothing is wrong, and has a line and exit code 5 where something is", async () => {
  expect(await machine.run("status --check")).toMatchObject({ code: 0, stdout: "" });
  await machine.ok(
    "printf damage | dd of=$(ls -S -d /repos/web/data/0/* | head -1) bs=1 seek=100 conv=notrunc",
  );
  const count = (await kinds()).length;
  expect(
    (await machine.run(`borg check --repository-only ${web}`, { env: machine.client("web") })).code,
  ).toBe(1);
  await statusAfter(count + 1);
  expect(await machine.run("status --check")).toMatchObject({
    code: 5,
    stdout: "web: damaged: its last check found errors\n",
  });
});

test("the keeper and the process that serves sessions are killed again and again: no record is lost, none is there twice", async () => {
  const times = Number(process.env.KILL_TIMES ?? 60); // 4 at a time
  await machine.makeKey("many");
  for (const each of [1, 2, 3, 4]) {
    await machine.ok(`cp /client/many.pub /sshkeys/repos/w${each}`);
  }
  await machine.ok("update-borgusers");
  for (const each of [1, 2, 3, 4])
    await machine.ok(`borg init -e none ssh://w${each}@127.0.0.1/repos/w${each}`, {
      env: { ...machine.client("many"), BORG_BASE_DIR: `/client/borg-w${each}` },
    });
  expect(await machine.ok(`bash ${programs}/kill_both.sh ${times}`, { env: machine.client("many") })).toBe(
    "",
  );
  for (const each of [1, 2, 3, 4]) {
    // The keeper is started again after a minute at most.
    const creates = async () => (await kinds(`w${each}`)).filter((kind: string) => kind === "create").length;
    await expect.poll(creates, { timeout: 90_000, interval: 500 }).toBe(times / 4);
  }
  await machine.logged(/the keeper ended; it is started again/);
}, 1_800_000);
