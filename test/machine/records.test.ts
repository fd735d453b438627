import { afterAll, beforeAll, expect, test } from "vitest";
import { Machine, programs } from "./machine.ts";

/** What is left of each session, whoever ended it (libexec/record.py). */

let machine: Machine;
let fingerprint: string;
beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web", "repos/key", "repos-appendonly/log", "admins/boss");
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
  fingerprint = (await machine.ok("ssh-keygen -lf /client/web.pub")).split(" ")[1]!;
  await machine.ok("head -c 3000000 /dev/urandom >/client/data");
});
afterAll(() => machine?.stop());

interface Line {
  [name: string]: unknown;
  kind: string;
}

const all = async (): Promise<Line[]> =>
  (await machine.ok("cat /repos/.borgserver/backup/*.jsonl 2>/dev/null || true"))
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

/** The lines that these words add, as soon as all sessions have ended. */
async function recorded(run: () => Promise<unknown>): Promise<Line[]> {
  const before = (await all()).length;
  await run();
  await machine.ok(
    'for i in $(seq 400); do [ -n "$(ls /repos/.borgserver/backup/open 2>/dev/null)" ] || exit 0; sleep 0.1; done; exit 1',
  );
  return (await all()).slice(before);
}

const borg = (words: string, name = "web") =>
  recorded(() => machine.ok(`borg ${words}`, { env: machine.client(name) }));
const web = "ssh://web@127.0.0.1/repos/web";

test("a session leaves one line that says who, from where, what, how much and how it ended", async () => {
  const [line, ...others] = await borg(`init -e none ${web}`);
  expect(others).toEqual([]);
  expect(line).toMatchObject({
    account: "web",
    role: "repo",
    repository: "/repos/web",
    address: "127.0.0.1",
    key: fingerprint,
    borg: "1.2.4",
    kind: "init",
    complete: true,
    code: 0,
    commits: 1,
    puts: 0,
    manifests: 1,
  });
  const began = Number(line!.began) / 1e6;
  expect(Math.abs(Date.now() - began)).toBeLessThan(60_000);
  expect(Number(line!.ended)).toBeGreaterThan(Number(line!.began));
  await machine.logged(
    new RegExp(
      `borgserver: session of web \\(repo\\) from 127\\.0\\.0\\.1: init; .* in, .* out, 0 objects put, 0 deleted; [0-9]+ s; borg 1\\.2\\.4, ${fingerprint.replaceAll(/[+/]/g, "\\$&")}`,
    ),
  );
});

test("each kind of session is told from the others", async () => {
  const kinds = async (words: string) => (await borg(words)).map(({ kind, complete }) => [kind, complete]);
  expect(await kinds(`create ${web}::a /client/data`)).toEqual([["create", true]]);
  expect(await kinds(`create --checkpoint-interval 1 ${web}::b /client/data /usr/share/zoneinfo`)).toEqual([
    ["create", true],
  ]);
  expect(await kinds(`list ${web}`)).toEqual([["read", true]]);
  expect(await kinds(`extract ${web}::a`)).toEqual([["read", true]]);
  expect(await kinds(`rename ${web}::a c`)).toEqual([["rename", true]]);
  expect(await kinds(`recreate --comment x ${web}::c`)).toEqual([["other", true]]);
  for (const archive of ["d", "e"])
    expect(await kinds(`create ${web}::${archive} /client/data`)).toEqual([["create", true]]);
  expect(await kinds(`prune --keep-last 2 ${web}`)).toEqual([["prune", true]]);
  expect(await kinds(`delete ${web}::e`)).toEqual([["delete", true]]);
  expect(await kinds(`compact ${web}`)).toEqual([["compact", true]]);
  expect(await kinds(`check --archives-only ${web}`)).toEqual([["check", true]]);
  expect(await kinds(`with-lock ${web} true`)).toEqual([["other", true]]);
  expect(await kinds(`break-lock ${web}`)).toEqual([["break-lock", true]]);
  expect(await borg(`check --repository-only --max-duration 1 ${web}`)).toMatchObject([
    { kind: "check", check_ok: null },
  ]);
  expect(await borg(`check --repository-only ${web}`)).toMatchObject([{ kind: "check", check_ok: true }]);
});

test("a check that finds damage says so, and a new key and a deleted repository are what they are", async () => {
  const kept = "ssh://key@127.0.0.1/repos/key";
  const env = { ...machine.client("key"), BORG_NEW_PASSPHRASE: "secret" };
  const session = (words: string) => recorded(() => machine.run(`borg ${words} ${kept}`, { env }));
  expect(await session("init -e repokey")).toMatchObject([{ kind: "init", complete: true }]);
  expect(await session("key change-passphrase")).toMatchObject([{ kind: "key", complete: true }]);
  await recorded(() => machine.ok(`borg create ${kept}::a /client/data`, { env }));
  await machine.ok("printf damage | dd of=/repos/key/data/0/1 bs=1 seek=100 conv=notrunc");
  expect(await session("check --repository-only")).toMatchObject([
    { kind: "check", check_ok: false, complete: true },
  ]);
  expect(await session("delete")).toMatchObject([{ kind: "delete", complete: true }]);
});

test("the counts are those of the repository's own files", async () => {
  await machine.ok("head -c 1000000 /dev/urandom >/client/new");
  const [line] = await borg(`create ${web}::counted /client/new`);
  const before = await objects();
  const [next] = await borg(`delete ${web}::counted`);
  const put = Number(line!.puts);
  expect(put).toBeGreaterThan(1);
  expect(Number(next!.deletes)).toBeLessThanOrEqual(put);
  expect(before - (await objects())).toBe(Number(next!.deletes));
  expect(next).toMatchObject({ deletes_before: next!.deletes, puts: 0, manifests: 1, commits: 1 });
});

/** The number of objects, as the index of the repository has it. */
const objects = async () =>
  Number(await machine.ok("od -An -t u4 -j 8 -N 4 $(ls -t /repos/web/index.* | head -1)"));

test("an admin's session is of the repository that it opened", async () => {
  const [line] = await borg("list ssh://boss@127.0.0.1/repos/web", "boss");
  expect(line).toMatchObject({ account: "boss", role: "admin", repository: "/repos/web", kind: "read" });
});

test("what was refused is counted, and no backup", async () => {
  const log = "ssh://log@127.0.0.1/repos/log";
  await borg(`init -e none ${log}`, "log");
  expect(await borg(`create ${log}::a /client/data`, "log")).toMatchObject([
    { kind: "create", complete: true },
  ]);
  const lines = await recorded(() => machine.run(`borg delete ${log}::a`, { env: machine.client("log") }));
  expect(lines).toMatchObject([{ kind: "read", refused: expect.any(Number), deletes: 0 }]);
  expect(Number(lines[0]!.refused)).toBeGreaterThan(0);
});

test("a backup that is killed after a checkpoint is no complete one", async () => {
  const lines = await recorded(async () => {
    await machine.run(
      `{ head -c 30000000 /dev/urandom; sleep 30; } | borg create --checkpoint-interval 1 ${web}::killed - & sleep 1
       until grep -q . /repos/.borgserver/backup/open/* 2>/dev/null; do sleep 0.1; done
       sleep 4; pkill -9 -x ssh; wait`,
      { env: machine.client("web") },
    );
  });
  expect(lines).toMatchObject([{ kind: "create", complete: false }]);
});

test("the line is made, once, whoever is killed at whichever time", async () => {
  for (const victim of ["borg-resident", "borg-recorder", "borg", "session"]) {
    const lines = await recorded(async () => {
      await machine.run(
        `{ head -c 3000000 /dev/urandom; sleep 3; } | borg create ${web}::${victim} - & creating=$!
         until [ -n "$(ls /repos/.borgserver/backup/open)" ]; do sleep 0.05; done
         sleep 1; pkill -9 -x ${victim === "borg" ? "-u 1000 borg" : victim}; wait $creating`,
        { env: machine.client("web") },
      );
    });
    const isWhole = victim.startsWith("borg-");
    expect({ victim, lines }).toMatchObject({
      victim,
      lines: [
        {
          kind: expect.stringMatching(isWhole ? /create/ : /create|read/),
          complete: isWhole || expect.any(Boolean),
        },
      ],
    });
  }
  expect(new Set((await all()).map(({ id }) => id)).size).toBe((await all()).length);
});

test("the process that serves sessions is killed thirty times: each backup is whole, and each has its line", async () => {
  const times = 30;
  const lines = await recorded(async () => {
    expect(
      await machine.ok(`bash ${programs}/kill_resident.sh ${times}`, { env: machine.client("web") }),
    ).toBe("");
  });
  expect(lines.filter(({ kind, complete }) => kind === "create" && complete)).toHaveLength(times);
  expect(await machine.ok("ls /repos/web")).not.toContain("lock");
  expect(await borg(`check --verify-data ${web}`)).toMatchObject([{ kind: "check", code: 0 }]);
}, 300_000);

test("where nothing can be written a session is served all the same, and the log says what is missing", async () => {
  await machine.ok("chmod 500 /repos/.borgserver/backup/open");
  try {
    await machine.ok(`borg list ${web}`, { env: machine.client("web") });
    await machine.logged(/what the session of web does cannot be recorded: .*Permission denied/);
  } finally {
    await machine.ok("chmod 700 /repos/.borgserver/backup/open");
  }
});

test("no session reaches what is recorded of it", async () => {
  expect(await machine.ok("stat -c '%a %u' /repos/.borgserver/backup /repos/.borgserver/backup/open")).toBe(
    "700 1000\n700 1000\n",
  );
  expect(
    (
      await machine.run("borg list ssh://boss@127.0.0.1/repos/.borgserver/backup", {
        env: machine.client("boss"),
      })
    ).code,
  ).toBe(2);
});
