import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { finished, Machine, programs } from "./machine.ts";

// What the guard in borg serve (libexec/guard.py) keeps clients from, real ones and one that makes calls of its own.

const host = "127.0.0.1";
const at = (account: string) => `ssh://${account}@${host}/repos/${account}`;

let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web", "repos-appendonly/log", "admins/boss");
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
  await machine.ok("mkdir /client/files && head -c 300000 /dev/urandom >/client/files/a");
  for (const account of ["web", "log"]) {
    await succeeds(account, `init -e repokey ${at(account)}`);
    await succeeds(account, `create ${at(account)}::a files`);
  }
});
afterAll(() => machine?.stop());

async function succeeds(key: string, command: string): Promise<string> {
  const { code, stdout, stderr } = await machine.borg(key, command);
  if (code !== 0) throw new Error(`exit ${code} from: borg ${command}\n${stderr}`);
  return stdout;
}

type Call = [method: string, named: Record<string, unknown>];
type Answer = { result: unknown } | { error: string; text: string };
const bytes = (hex: string) => ({ hex });
const id = (digit: string) => bytes(digit.repeat(64));
const manifest = id("0");

const command = (account: string) => `/usr/bin/python3 ${programs}/calls.py ${sshOf(account)} borg serve`;
const sshOf = (account: string) =>
  `ssh -i /client/${account} -o IdentitiesOnly=yes -o UserKnownHostsFile=/client/known_hosts -o BatchMode=yes ${account}@${host}`;
const answersIn = (stdout: string): Answer[] =>
  stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

/** What a session of these calls is answered. */
async function answers(account: string, calls: Call[]): Promise<Answer[]> {
  const { stdout } = await machine.run(command(account), { input: JSON.stringify(calls) });
  const all = answersIn(stdout);
  expect(all).toHaveLength(calls.length);
  return all;
}

/** The same, of what follows the opening, which has to succeed. */
async function answersWith(
  account: string,
  how: Record<string, unknown>,
  calls: Call[],
): Promise<(string | null)[]> {
  const open: Call = ["open", { path: `/repos/${account}`, ...how }];
  const [opened, ...rest] = await answers(account, [open, ...calls]);
  expect(opened).toHaveProperty("result");
  return rest.map((answer) => ("error" in answer ? answer.text.trim().split("\n").at(-1)! : null));
}

/** A session that has made these calls, and goes on when it is told to. */
async function during(account: string, before: Call[], after: Call[]) {
  await machine.ok("rm -f /client/go");
  const session = machine.spawn(command(account));
  const ended = finished(session);
  session.stdin!.end(JSON.stringify([...before, ["wait", { for: "/client/go" }], ...after]));
  let printed = "";
  while (!printed.includes("waiting")) printed += (await once(session.stdout!, "data"))[0];
  return {
    goOn: async () => {
      await machine.ok("touch /client/go");
      return answersIn((await ended).stdout);
    },
  };
}

const exclusive = { exclusive: true, lock: true, lock_wait: 5 };
const stateOf = (account: string) =>
  machine.ok(`cd /repos/${account} && find . -type f ! -name 'lock*' -exec sha256sum {} + | sort -k 2`);

describe("in every role, a session without the exclusive lock", () => {
  const writing: Call[] = [
    ["put", { id: id("7"), data: bytes("61") }],
    ["delete", { id: manifest }],
    ["commit", {}],
    ["commit", { compact: false }],
    ["check", { repair: false }],
    ["check", { repair: true }],
    ["get_free_nonce", {}],
    ["commit_nonce_reservation", { next_unreserved: 0, start_nonce: null }],
    ["destroy", {}],
  ];
  const unlocked = /does not hold the repository's exclusive lock, without which nothing is written/;

  test.each([
    ["web", "without a lock", { lock: false }],
    ["web", "with a shared lock", { lock: true, exclusive: false }],
    ["log", "without a lock", { lock: false }],
    ["log", "with a shared lock", { lock: true, exclusive: false }],
  ])("%s, %s: writes nothing", async (account, _, how) => {
    const before = await stateOf(account);
    for (const refusal of await answersWith(account, how, writing)) expect(refusal).toMatch(unlocked);
    expect(await stateOf(account)).toBe(before);
  });

  test("begins no repository", async () => {
    const before = await machine.ok("ls -A /repos");
    const path = "/repos/begun";
    for (const how of [{}, { exclusive: true, lock: false }, { exclusive: false }])
      expect(await answers("boss", [["open", { path, create: true, ...how }]])).toMatchObject([
        { error: "Error", text: expect.stringMatching(unlocked) },
      ]);
    expect(await machine.ok("ls -A /repos")).toBe(before);
  });

  test("leaves alone what another backs up at that moment", async () => {
    const put: Call = ["put", { id: id("8"), data: bytes("62") }];
    const path = "/repos/web";
    const backup = await during(
      "web",
      [["open", { path, ...exclusive }], put],
      [["commit", { compact: false }]],
    );
    expect(
      await answersWith("web", { lock: false }, [["get", { id: manifest }], ...writing.slice(0, 6)]),
    ).toEqual([null, ...Array(6).fill(expect.stringMatching(unlocked))]);
    const [key] = await answers("web", [
      ["open", { path, lock: false, lock_wait: 1 }],
      ["save_key", { keydata: bytes("61") }],
    ]).then((all) => all.slice(1));
    expect(key).toMatchObject({ error: "LockTimeout" });
    expect((await backup.goOn()).at(-1)).toEqual({ result: null });
    expect(await answersWith("web", { lock: false }, [["get", { id: id("8") }]])).toEqual([null]);
    expect(
      await answersWith("web", exclusive, [
        ["delete", { id: id("8") }],
        ["commit", { compact: false }],
      ]),
    ).toEqual([null, null]);
  });

  test("reads an index that is damaged, and leaves it as it is", async () => {
    await machine.ok("cd /repos/web && cp -p index.* /client/ && for f in index.*; do echo x >>$f; done");
    const before = await stateOf("web");
    expect(await answersWith("web", { lock: false }, [["list", {}]])).toEqual([
      expect.stringMatching(/try again/),
    ]);
    expect(await stateOf("web")).toBe(before);
    await machine.ok("cd /repos/web && cp -p /client/index.* .");
  });

  test("is one whose lock was broken, too", async () => {
    const path = "/repos/web";
    const put = (digit: string): Call => ["put", { id: id(digit), data: bytes("62") }];
    const backup = await during(
      "web",
      [["open", { path, ...exclusive }], put("8")],
      [put("9"), ["commit", {}]],
    );
    await machine.ok("break-lock /repos/web");
    expect((await backup.goOn()).slice(-2)).toMatchObject([
      { text: expect.stringMatching(unlocked) },
      { text: expect.stringMatching(unlocked) },
    ]);
    await succeeds("web", `create ${at("web")}::after files`);
    await succeeds("web", `check ${at("web")}`);
  });
});

test.each(["web", "log", "boss"])("a session of %s opens one repository, once", async (account) => {
  const path = account === "boss" ? "/repos/web" : `/repos/${account}`;
  const open: Call = ["open", { path, ...exclusive }];
  const once = { error: "Error", text: "Error: a session opens one repository, once." };
  const [first, ...others] = await answers(account, [open, open, ["open", { path: "/nowhere" }]]);
  expect(first).toHaveProperty("result");
  expect(others).toEqual([once, once]);
});

test("a client of the repo role changes, exports and imports its key, under the locks that it takes", async () => {
  const env = { ...machine.client("web"), BORG_NEW_PASSPHRASE: "other" };
  await machine.ok(`cd /client && borg key change-passphrase ${at("web")}`, { env });
  await machine.ok(
    `cd /client && borg key export ${at("web")} key && borg key import ${at("web")} key && borg list ${at("web")}`,
    { env: { ...env, BORG_PASSPHRASE: "other" } },
  );
  const back = { ...env, BORG_PASSPHRASE: "other", BORG_NEW_PASSPHRASE: "secret" };
  await machine.ok(`cd /client && borg key change-passphrase ${at("web")}`, { env: back });
  expect(await machine.ok("ls /repos/web")).not.toContain("lock");
});

describe("an append-only session", () => {
  const path = "/repos/log";
  const put = (digit: string, text: string): Call => ["put", { id: id(digit), data: bytes(text) }];
  const remove = (digit: string): Call => ["delete", { id: id(digit) }];
  const list = (text: string): Call => ["put", { id: manifest, data: bytes(text) }];
  const commit: Call = ["commit", { compact: false }];
  const refusal = (what: string) => `Error: this account is append-only: it cannot ${what}.`;
  const kept = refusal("delete what was backed up");
  const objects = async (): Promise<number> => {
    const [, answer] = await answers("log", [
      ["open", { path, lock_wait: 5 }],
      ["__len__", {}],
    ]);
    return (answer as { result: number }).result;
  };

  test("deletes what it has not committed, a checkpoint's own archive after its commit, and nothing else", async () => {
    const before = await objects();
    expect(
      await answersWith("log", exclusive, [
        ...[
          put("1", "aa"),
          put("2", "aa"),
          remove("2"),
          put("2", "bb"),
          put("3", "cc"),
          list("aa"),
          remove("0"),
          commit,
        ],
        ...[
          remove("1"),
          remove("2"),
          remove("0"),
          remove("3"),
          put("4", "dd"),
          remove("4"),
          remove("3"),
          commit,
        ],
        ...[
          put("5", "ee"),
          list("aa"),
          put("6", "ff"),
          commit,
          remove("6"),
          remove("1"),
          commit,
          remove("5"),
        ],
      ]),
    ).toEqual([
      ...[...Array(6).fill(null), kept, null],
      ...[kept, kept, kept, null, null, null, expect.stringContaining("not found"), null],
      ...[null, null, null, null, kept, kept, null, kept],
    ]);
    expect(await objects()).toBe(before + 4); // 1, 2, 5 and 6
  });

  test("cannot pass what was there off as its own", async () => {
    expect(
      await answersWith("log", exclusive, [
        ...[put("1", "ff"), list("aa"), commit, remove("1")],
        ...[put("7", "aa"), ["rollback", {}], remove("1"), list("aa"), commit, remove("1")],
        ["get", { id: id("1") }],
      ] as Call[]),
    ).toEqual([null, null, null, kept, null, null, kept, null, null, kept, null]);
    const [, one] = await answers("log", [
      ["open", { path }],
      ["get", { id: id("1") }],
    ]);
    expect(one).toEqual({ result: { hex: "aa" } });
  });

  test("compacts nothing: what an old client always asks for is left out, what a newer one asks for is refused", async () => {
    const segments = await machine.ok(`cd ${path}/data/0 && sha256sum *`);
    expect(
      await answersWith("log", exclusive, [
        ...[list("ab"), ["commit", {}], list("ac"), ["commit", { save_space: true }], list("ad"), commit],
        ["commit", { compact: true }],
        ["commit", { compact: 1, threshold: 0, cleanup_commits: true }],
      ] as Call[]),
    ).toEqual([...Array(6).fill(null), ...Array(2).fill(refusal("compact the repository"))]);
    const after = await machine.ok(`cd ${path}/data/0 && sha256sum *`);
    expect(after.split("\n")).toEqual(expect.arrayContaining(segments.trim().split("\n")));
  });

  test("destroys nothing, repairs nothing, and leaves the key and the nonce", async () => {
    const before = await stateOf("log");
    const [, nonce] = await answers("log", [
      ["open", { path, ...exclusive }],
      ["get_free_nonce", {}],
    ]);
    const start_nonce = (nonce as { result: number }).result;
    expect(start_nonce).toBeGreaterThan(1);
    const falls = (next_unreserved: number): Call => [
      "commit_nonce_reservation",
      { next_unreserved, start_nonce },
    ];
    expect(
      await answersWith("log", exclusive, [
        ["destroy", {}],
        ["check", { repair: true }],
        ["save_key", { keydata: bytes("") }],
        falls(0),
        falls(start_nonce - 1),
      ]),
    ).toEqual(
      [
        "delete the repository",
        "repair the repository",
        "change the repository's key",
        ...Array(2).fill("set the repository's nonce back"),
      ].map(refusal),
    );
    for (const how of [{ lock: false }, {}])
      expect(await answersWith("log", how, [["save_key", { keydata: bytes("") }]])).toEqual([
        refusal("change the repository's key"),
      ]);
    expect(await stateOf("log")).toBe(before);
    expect(await answersWith("log", exclusive, [falls(start_nonce), falls(start_nonce + 1)])).toEqual([
      null,
      null,
    ]);
  });

  test("keeps a whole index, also after a check that broke off", async () => {
    const before = await objects();
    const [, check, ...rest] = await answers("log", [
      ["open", { path, ...exclusive }],
      ["check", { max_duration: bytes("78") }],
      ...[put("1", "ff"), list("ae"), commit],
    ]);
    expect(check).toMatchObject({ error: "TypeError" });
    expect(rest).toEqual(Array(3).fill({ result: null }));
    expect(await objects()).toBe(before);
    const [, one] = await answers("log", [
      ["open", { path }],
      ["get", { id: id("1") }],
    ]);
    expect(one).toEqual({ result: { hex: "aa" } });
  });

  test("breaks a lock that nobody of this server holds, and no other", async () => {
    const broken = () => answersWith("log", { lock: false }, [["break_lock", {}]]);
    const alive = [refusal("break a lock that is in use, or another server's")];
    const roster = (host: string, pid: number) =>
      machine.ok(
        `cd ${path} && echo '{"exclusive": [["${host}", ${pid}, 0]]}' >lock.roster && mkdir lock.exclusive && touch lock.exclusive/${host}.${pid}-0 && chown -R 1000:1000 lock*`,
      );
    expect(await broken()).toEqual([null]);
    await roster("backup", 999999);
    expect(await broken()).toEqual([null]);
    expect(await machine.ok(`ls ${path}`)).not.toContain("lock");
    await roster("other", 999999);
    expect(await broken()).toEqual(alive);
    await machine.ok(`rm -r ${path}/lock.*`);
    for (const how of [exclusive, { lock_wait: 5 }]) {
      const session = await during("log", [["open", { path, ...how }]], [["list", {}]]);
      const held = await machine.ok(`cd ${path} && cat lock.roster; ls lock.exclusive || true`);
      expect(await broken()).toEqual(alive);
      expect(await machine.ok(`cd ${path} && cat lock.roster; ls lock.exclusive || true`)).toBe(held);
      await session.goOn();
    }
  });

  test("finishes an init that broke off, and begins one that is running no second time", async () => {
    await machine.ok(
      "cp /client/log.pub /sshkeys/repos-appendonly/new && cp /client/log /client/new && update-borgusers",
    );
    const create: Call = ["open", { path: "/repos/new", create: true, ...exclusive, lock_wait: 1 }];
    const key = (text: string): Call => ["save_key", { keydata: bytes(text) }];
    expect(await answers("new", [create, ["destroy", {}]])).toEqual([expect.anything(), { result: null }]);
    await answers("new", [create]);
    expect(await answersWith("new", {}, [key("61"), key("62")])).toEqual([
      null,
      refusal("change the repository's key"),
    ]);
    const running = await during("new", [create, key("61")], [list("aa"), commit, ["destroy", {}]]);
    expect(await answers("new", [create])).toMatchObject([{ error: "LockTimeout" }]);
    expect((await running.goOn()).slice(-3)).toMatchObject([
      { result: null },
      { result: null },
      { text: refusal("delete the repository") },
    ]);
    expect(await answers("new", [create])).toMatchObject([{ error: "AlreadyExists" }]);
    await machine.ok("rm -rf /repos/new/*");
    await answers("new", [create, key("61"), list("aa")]);
    await succeeds("new", `init -e repokey ${at("new")}`);
    await succeeds("new", `create ${at("new")}::a files`);
  });
});

test("a key that may only restore reads, beside whoever writes, and writes nothing", async () => {
  await succeeds("web", `create ${at("web")}::b files`);
  await machine.ok(
    "mv /sshkeys/repos/web /client/web.away && cp /client/web.pub /sshkeys/repos-restore/web && update-borgusers",
  );
  const only = "Error: this account is for restoring: it can list and extract, and change nothing.";
  const path = "/repos/web";
  const before = await stateOf("web");

  for (const command of [
    `list ${at("web")}`,
    `info ${at("web")}::a`,
    `list ${at("web")}::a`,
    `export-tar ${at("web")}::a tar`,
    `extract ${at("web")}::a`,
    `diff ${at("web")}::a b`,
  ])
    await succeeds("web", command);
  await machine.ok("[ -s /client/tar ]");
  for (const command of [
    `create ${at("web")}::more files`,
    `delete ${at("web")}::a`,
    `delete ${at("web")}`,
    `prune --keep-last 1 ${at("web")}`,
    `compact ${at("web")}`,
    `check ${at("web")}`,
    `rename ${at("web")}::a b`,
    `recreate ${at("web")}::a`,
    `with-lock ${at("web")} true`,
    `break-lock ${at("web")}`,
    `init -e none ${at("web")}`,
    `key change-passphrase ${at("web")}`,
    `config ${at("web")} additional_free_space 1G`,
  ]) {
    const { code, stderr } = await machine.run(`cd /client && borg ${command}`, {
      env: { ...machine.client("web"), BORG_NEW_PASSPHRASE: "x" },
    });
    expect({ command, code, stderr: stderr.trim() }).toEqual({
      command,
      code: 2,
      stderr: expect.stringMatching(
        /can list and extract, and change nothing|does not support|not supported|cannot be used|local/,
      ),
    });
  }
  expect(
    await answersWith("web", { lock: true }, [
      ["put", { id: id("7"), data: bytes("61") }],
      ["save_key", { keydata: bytes("61") }],
      ["get_free_nonce", {}],
      ["break_lock", {}],
      ["commit", {}],
      ["destroy", {}],
    ]),
  ).toEqual(Array(6).fill(only));
  expect(await stateOf("web")).toBe(before);

  // While another compacts, or has since the index was read.
  const list: Call = ["list", {}];
  const reader = await during(
    "web",
    [["open", { path }], list],
    [["get", { id: manifest }], list, ["get", { id: manifest }]],
  );
  expect(await machine.ok(`ls ${path}`)).not.toContain("lock");
  await machine.ok("prune --keep-last 1 /repos/web && compact --threshold 0 /repos/web", {
    env: { BORG_PASSPHRASE: "secret" },
  });
  expect((await reader.goOn()).slice(-3)).toMatchObject([
    { error: "Error", text: expect.stringMatching(/try again/) },
    { result: expect.anything() },
    { result: expect.anything() },
  ]);
  await succeeds("web", `list ${at("web")}`);
  await machine.ok(
    "rm /sshkeys/repos-restore/web && mv /client/web.away /sshkeys/repos/web && update-borgusers",
  );
});

test("a list of archives that names fewer can be had back as it was, before a repair deletes the others", async () => {
  await machine.ok(
    "cp /client/log.pub /sshkeys/repos-appendonly/lists && cp /client/log /client/lists && update-borgusers",
  );
  const path = "/repos/lists";
  const operator = { env: { BORG_PASSPHRASE: "secret", BORG_CHECK_I_KNOW_WHAT_I_AM_DOING: "YES" } };
  await succeeds("lists", `init -e repokey ${at("lists")}`);
  await succeeds("lists", `create ${at("lists")}::a files`);
  const [, first] = await answers("lists", [
    ["open", { path }],
    ["get", { id: manifest }],
  ]);
  await machine.ok("head -c 100000 /dev/urandom >/client/files/b");
  await succeeds("lists", `create ${at("lists")}::b files`);
  const before = await machine.ok("ls -lR --time-style=full-iso /repos/.borgserver/manifests");
  await succeeds("lists", `list ${at("lists")}`);
  expect(await machine.ok("ls -lR --time-style=full-iso /repos/.borgserver/manifests")).not.toBe(before);
  expect(
    await answersWith("lists", exclusive, [
      ["put", { id: manifest, data: (first as { result: unknown }).result }],
      ["commit", { compact: false }],
    ]),
  ).toEqual([null, null]);
  expect(await machine.ok("list --short /repos/lists", operator)).toBe("a\n");

  // What a repair makes of it, on a copy.
  await machine.ok("cp -a /repos/lists /repos/copied");
  expect((await machine.run("check --repair /repos/copied", operator)).stderr).toMatch(
    /orphaned objects found/,
  );
  expect(await machine.ok("list --short /repos/copied", operator)).toBe("a\n");

  const listed = await machine.ok("borgserver manifests lists");
  expect(listed).toMatch(/^1 {2}20[0-9TZ:.-]+ {2}transaction [0-9]+ {2}[0-9]+ bytes\n2 {2}/);
  expect((await machine.run("borgserver manifests lists --restore 99")).code).toBe(2);
  expect((await machine.run("borgserver manifests web")).code).toBe(1);
  await machine.ok("borgserver manifests lists --restore 1");
  await machine.ok("rm -rf /var/cache/borgserver/*");
  expect(await machine.ok("list --short /repos/lists", operator)).toBe("a\nb\n");
  await machine.ok("check --verify-data /repos/lists", operator);
  await machine.ok("rm -rf /repos/copied /client/borg-lists");
  await succeeds("lists", `create ${at("lists")}::c files`);
});

test.each([
  ["a FIFO", "mkfifo config"],
  ["a symlink to another repository's", "ln -s /repos/web/config config"],
  ["a device", "mknod config c 1 5"], // /dev/zero, which has no end
])("manifests are kept of no repository whose config is %s, and it is not waited for", async (_, replace) => {
  const folder = "/repos/.borgserver/manifests/log";
  await machine.ok(`rm -rf ${folder} && cd /repos/log && mv config /client/config && ${replace}`);
  try {
    const keep = "setpriv --reuid 1000 --regid 1000 --clear-groups borgserver keep-manifest log";
    const { code } = await machine.run(`timeout 20 sh -c 'ulimit -v 100000000; ${keep}'`);
    expect({ code, kept: (await machine.run(`ls ${folder}`)).stdout }).toEqual({ code: 1, kept: "" });
  } finally {
    await machine.ok("cd /repos/log && rm config && mv /client/config config");
  }
});

test("where deletions are kept, append-only is borg's own: what is deleted can be had back until a compaction", async () => {
  await machine.stopServer();
  expect(await machine.startServer({ APPENDONLY_DELETIONS: "kept" })).toBeNull();
  await machine.ok(
    "cp /client/log.pub /sshkeys/repos-appendonly/kept && cp /client/log /client/kept && update-borgusers",
  );
  await succeeds("kept", `init -e none ${at("kept")}`);
  for (const name of ["a", "b"]) await succeeds("kept", `create ${at("kept")}::${name} files`);
  const segments = (await machine.ok("cd /repos/kept/data && sha256sum */*")).trimEnd().split("\n");
  await succeeds("kept", `delete ${at("kept")}::a`);
  await succeeds("kept", `compact ${at("kept")}`);
  const after = await machine.ok("cd /repos/kept/data && sha256sum */*");
  expect(after.split("\n")).toEqual(expect.arrayContaining(segments));
  const { code, stderr } = await machine.borg("kept", `check --repair ${at("kept")}`);
  expect(stderr).toContain("this account is append-only: it cannot repair the repository.");
  expect(code).toBe(2);

  // The roll-back of borg's manual (append-only mode): remove what came after the last good transaction.
  const lastGood = Math.max(...segments.map((line) => Number(line.split("/").at(-1))));
  await machine.ok(
    `cd /repos/kept && rm -f hints.* index.* integrity.* && for s in data/0/*; do [ "$(basename $s)" -le ${lastGood} ] || rm $s; done; rm -rf /client/borg-kept`,
  );
  expect(await succeeds("kept", `list --short ${at("kept")}`)).toBe("a\nb\n");
  await machine.stopServer();
  expect(await machine.startServer()).toBeNull();
});

describe("with a borg in which the guard does not hold", () => {
  beforeAll(async () => {
    await machine.stopServer();
    await machine.ok(
      "sed -i 's/^        RepositoryServer(/        __import__(\"borg.remote\").remote.RepositoryServer(/' /usr/lib/python3/dist-packages/borg/archiver.py",
    );
  });

  test("a start is refused for the accounts that need it, and for no other", async () => {
    const refused = await machine.startServer();
    expect(refused).toMatchObject({ code: 3 });
    expect(refused!.stderr).toContain(
      "/sshkeys/repos-appendonly: what this role promises cannot be kept with the borg that is installed: in the role repo, open was not refused\n",
    );
    await machine.ok("mkdir /client/away && mv /sshkeys/repos-appendonly/* /client/away/");
    expect(await machine.startServer()).toBeNull();
    expect(machine.log).toContain("WARNING: the guard in borg serve does not hold with this borg");
    await machine.ok("cp /client/away/log /sshkeys/repos-restore/");
    const { code, stderr } = await machine.run("update-borgusers");
    expect(code).toBe(3);
    expect(stderr).toContain("/sshkeys/repos-restore: what this role promises cannot be kept");
    await machine.ok("rm /sshkeys/repos-restore/log && mv /client/away/* /sshkeys/repos-appendonly/");
    await machine.stopServer();
    expect(await machine.startServer({ APPENDONLY_DELETIONS: "kept" })).toBeNull();
    // What settings files promise rests on it as well.
    await machine.write("/sshkeys/settings/log", 'deletions = "refused"\n');
    expect((await machine.run("update-borgusers")).stderr).toContain(
      "/sshkeys/repos-appendonly: what this role promises cannot be kept",
    );
    await machine.write("/sshkeys/settings/log", "archived = true\n");
    const archived = await machine.run("update-borgusers");
    expect(archived.code).toBe(3);
    expect(archived.stderr).toMatch(
      /^\/sshkeys\/settings: that archived repositories do not change cannot be kept/,
    );
    await machine.ok("rm /sshkeys/settings/log && update-borgusers");
  });
});
