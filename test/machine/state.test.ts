import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine, programs } from "./machine.ts";

// What reads repositories' own files (libexec/state.py), asked as the keeper asks it, about repositories that borg left
// and about crafted ones (test/programs/craft.py).

let machine: Machine;
beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web", "repos/hung", "repos-appendonly/log");
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
  await machine.ok("mkdir /client/data; head -c 3000000 /dev/urandom >/client/data/a");
});
afterAll(() => machine?.stop());

interface State {
  repository: string;
  commit: number | null;
  unchanged?: true;
  last_commit?: number;
  size?: number | null;
  reclaimable?: number | null;
  objects?: number;
  lock: { kind: string; host: string; pid: number; since: number } | null;
  unfinished: boolean;
  problem: string | null;
}

const reader = "exec /usr/local/lib/borgserver/borg read-state";

/** @param command a shell command that starts the reader */
async function readAll(
  repositories: readonly string[],
  known: number | null = null,
  command = reader,
): Promise<State[]> {
  const input = repositories.map((repository) => `${JSON.stringify({ repository, known })}\n`).join("");
  const { code, stdout, stderr } = await machine.run(command, { input });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const states = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as State);
  expect(states.map(({ repository }) => repository)).toEqual(repositories);
  return states;
}

const read = async (repository: string, known: number | null = null) =>
  (await readAll([repository], known))[0]!;

/** Runs borg as a client of the account that the repository is of. */
const borg = (words: string, account = "web") =>
  machine.ok(`borg ${words.replace("REPO", `ssh://${account}@127.0.0.1/repos/${account}`)}`, {
    env: machine.client(account),
  });

/** What borg itself knows of a repository, having loaded all of it. */
async function borgs(name: string): Promise<Partial<State>> {
  const program = `
import json
from borg.logger import setup_logging
from borg.repository import Repository
setup_logging(level="critical")
with Repository("/repos/${name}", exclusive=True) as repository:
    commit = repository.get_transaction_id()
    repository.prepare_txn(commit)
    print(json.dumps({"commit": commit, "objects": len(repository.index), "size": repository.storage_quota_use,
        "reclaimable": sum(repository.compact.values())}))
    repository.rollback()
`;
  const owner = "setpriv --reuid 1000 --regid 1000 --clear-groups";
  return JSON.parse(await machine.ok(`cd / && ${owner} /usr/bin/python3 -`, { input: program }));
}

/** Expects that the reader says of a repository what borg does. */
async function expectBorgs(name: string): Promise<State> {
  const state = await read(name);
  expect(state).toEqual({
    ...(await borgs(name)),
    ...{ repository: name, lock: null, unfinished: false, problem: null, last_commit: expect.any(Number) },
  });
  const written = await machine.ok(`stat -c %.9Y /repos/${name}/index.${state.commit}`);
  expect(state.last_commit! / 1e9).toBeCloseTo(Number(written), 3);
  return state;
}

describe("of a repository that borg left", () => {
  test("nothing is known before it is one, and that is no problem", async () => {
    expect(await read("web")).toEqual({
      ...{ repository: "web", commit: null, lock: null, unfinished: false, problem: null },
    });
  });

  test("all is as borg knows it, after each kind of change", async () => {
    await borg("init -e repokey REPO");
    await expectBorgs("web");
    await borg("create REPO::a /client/data");
    const created = await expectBorgs("web");
    expect(created.size).toBeGreaterThan(3_000_000);
    await borg("create REPO::b /etc/hostname");
    await borg("delete REPO::a");
    const deleted = await expectBorgs("web");
    expect(deleted.reclaimable).toBeGreaterThan(3_000_000);
    await borg("create REPO::c /etc/hostname");
    await borg("prune --keep-last 1 REPO");
    await expectBorgs("web");
    await borg("compact REPO");
    const compacted = await expectBorgs("web");
    expect(compacted.size).toBeLessThan(1_000_000);
    expect(compacted.commit).toBeGreaterThan(deleted.commit!);
  });

  test("that was only ever appended to, too", async () => {
    await borg("init -e none REPO", "log");
    await borg("create REPO::a /client/data", "log");
    await borg("create REPO::b /client/data", "log");
    await machine.ok("test -s /repos/log/transactions");
    await expectBorgs("log");
  });

  test("only lock and listing are looked at where the commit is the one that is known", async () => {
    const { commit } = await read("web");
    const unchanged = { repository: "web", commit, unchanged: true, lock: null, unfinished: false };
    expect(await read("web", commit)).toEqual({ ...unchanged, problem: null });
    const calls = await machine.ok(
      `strace -f -e trace=openat,open,read,pread64 -o /client/calls ${reader.replace("exec ", "")} && cat /client/calls`,
      { input: `${JSON.stringify({ repository: "web", known: commit })}\n` },
    );
    const opened = [...calls.slice(calls.indexOf('"/repos/web"')).matchAll(/open.*?"(.*?)"/g)];
    expect(opened.map((call) => call[1])).toEqual(["data", "0"]);
  });

  test("a running session's exclusive lock is told, and that session is not unfinished", async () => {
    const { commit } = await read("web");
    const running = machine.run(
      `{ head -c 20000000 /dev/urandom; until [ -e /client/enough ]; do sleep 0.05; done; } | borg create ssh://web@127.0.0.1/repos/web::running -`,
      { env: machine.client("web") },
    );
    await machine.ok("until [ -e /repos/web/lock.exclusive ]; do sleep 0.05; done; sleep 1");
    const now = 1e9 * Number(await machine.ok("date +%s.%N"));
    const { lock, ...state } = await read("web", commit);
    const pid = Number(await machine.ok("pgrep -f '^borg: web'"));
    await machine.ok("touch /client/enough");
    expect((await running).code).toBe(0);
    expect(state).toEqual({
      ...{ repository: "web", commit, unchanged: true, unfinished: false, problem: null },
    });
    expect(lock).toMatchObject({ kind: "exclusive", pid, host: expect.stringMatching(/^backup/) });
    expect(now - lock!.since).toBeGreaterThan(0);
    expect(now - lock!.since).toBeLessThan(30e9);
    await expectBorgs("web");
  });

  test("a shared lock is told", async () => {
    const reading = machine.run(
      `borg extract --stdout ssh://web@127.0.0.1/repos/web::running | { head -c 100 >/dev/null; until [ -e /client/read ]; do sleep 0.05; done; cat >/dev/null; }`,
      { env: machine.client("web") },
    );
    await machine.ok("until grep -q backup /repos/web/lock.roster; do sleep 0.05; done");
    const { lock } = await read("web");
    const pid = Number(await machine.ok("pgrep -f '^borg: web'"));
    await machine.ok("touch /client/read");
    await reading;
    expect(lock).toMatchObject({ kind: "shared", pid, host: expect.stringMatching(/^backup/) });
    expect((await read("web")).lock).toBeNull();
  });

  test("a session that broke off is told, until the next one that writes", async () => {
    await machine.run(
      `{ head -c 30000000 /dev/urandom; sleep 8; } | borg create ssh://web@127.0.0.1/repos/web::killed - &
       until [ -e /repos/web/lock.exclusive ]; do sleep 0.05; done; sleep 3; pkill -9 -x ssh; wait`,
      { env: machine.client("web") },
    );
    await machine.ok("while [ -e /repos/web/lock.exclusive ]; do sleep 0.05; done");
    const broken = await read("web");
    expect(broken).toMatchObject({ unfinished: true, lock: null, problem: null });
    expect(await read("web", broken.commit)).toMatchObject({ unfinished: true, unchanged: true });
    await borg("list REPO");
    expect(await read("web")).toMatchObject({ unfinished: true });
    await borg("create REPO::whole /etc/hostname");
    await expectBorgs("web");
  });

  test("while it is written to, each answer is one that was true, and none a problem", async () => {
    const writing = machine.run(
      `for i in $(seq 8); do borg create ssh://log@127.0.0.1/repos/log::n$i /etc/hostname; done`,
      { env: machine.client("log") },
    );
    let ended = false;
    writing.then(() => {
      ended = true;
    });
    const seen = new Set<number | null>();
    let count = 0;
    while (!ended) {
      const states = await readAll(Array<string>(2000).fill("log"));
      for (const { commit, problem, objects } of states) {
        expect({ problem, objects }).toEqual({ problem: null, objects: expect.any(Number) });
        seen.add(commit);
        count++;
      }
    }
    console.info(`${count} answers while ${seen.size} commits were seen`);
    expect(seen.size).toBeGreaterThan(3);
  }, 120_000);
});

describe("crafted", () => {
  /** What is wrong with each kind of craft.py's; null where it is only strange. */
  const problems: Record<string, string | null> = {};
  const all = (kinds: string[], problem: string | null) => {
    for (const kind of kinds) problems[kind] = problem;
  };
  for (const kind of ["fifo", "link", "socket", "folder"]) {
    for (const file of ["index.N", "hints.N", "lock.roster"])
      problems[`${kind} ${file.replace(".N", "")}`] = `${file} is not a regular file`;
  }
  for (const kind of ["fifo", "link", "socket", "closed"]) {
    for (const folder of ["lock.exclusive", "data", "data/0"])
      problems[`${kind} ${folder.replace("/", "-")}`] = `${folder} is not a directory`;
  }
  for (const file of ["index.N", "hints.N", "lock.roster"])
    problems[`closed ${file.replace(".N", "")}`] = `it cannot be read (${file}: Permission denied)`;
  all(["hints missing"], "hints.N is missing");
  all(
    [
      ...["hints empty", "hints cut off", "hints of a gigabyte", "hints of a gigabyte of segments"],
      ...["hints of other words", "bomb of arrays", "bomb of maps", "bomb of depth", "bomb of text"],
      ...["bomb of bytes", "size is text", "size is negative", "size is truth", "size is more than there is"],
      ...["compact is a list", "compact adds up to too much"],
    ],
    "its hints are not borg's",
  );
  all(["index cut off"], "its index is cut off");
  all(
    [
      ...["index of another magic", "index of more objects than it has places", "index of other keys"],
      ...[
        "index of less than no objects",
        "index of less than no places",
        "index of more places than it has",
      ],
    ],
    "its index is not one of borg's",
  );
  all(["index behind all others is no file"], "index.999999999999999999 is not a regular file");
  all(
    ["entries in the folder", "entries in data", "entries in a folder of data", "entries in a lock"],
    "there are more files in it than borg makes",
  );
  all(["no repository"], "it is not a repository");
  all(["directory is a link", "directory is a file"], "it is not a directory");
  all(["directory is missing"], "its directory is missing");
  all(["directory is closed"], "it cannot be read (/repos/directory is closed: Permission denied)");
  all(
    [
      ...["index of no size behind it", "names with line breaks", "lock of a name with a line break"],
      ...[
        "lock of a long name",
        "roster is no JSON",
        "roster is deep",
        "roster is large",
        "roster of a list",
      ],
      ...["roster of nobody", "roster of no text", "roster of no number", "roster of a large number"],
      ...["hints of an old borg", "hints of ten million segments", "words of bytes", "words of old text"],
      ...["words of text", "a gigabyte of deleted objects"],
    ].map((kind) => `fine: ${kind}`),
    null,
  );

  let kinds: string[];
  let sound: State;
  let states: Map<string, State>;

  beforeAll(async () => {
    await machine.ok(
      `cp -a /repos/web /sound && /usr/bin/python3 ${programs}/craft.py /sound /repos >/client/kinds`,
    );
    kinds = (await machine.ok("cat /client/kinds")).trim().split("\n");
    sound = await read("web");
    const names = kinds.flatMap((kind) => [kind, `${kind}.neighbour`]);
    // With few descriptors, so that one that is not closed is felt.
    const told = await readAll(names, null, `ulimit -n 32; ${reader}`);
    states = new Map(told.map((state) => [state.repository, state]));
  }, 120_000);

  test("each kind is expected here", () => {
    expect(kinds.toSorted()).toEqual(Object.keys(problems).toSorted());
  });

  test("each has its own problem", () => {
    const said = Object.fromEntries(kinds.map((kind) => [kind, states.get(kind)!.problem]));
    const number = (problem: string | null) => problem?.replace(".N", `.${sound.commit}`) ?? null;
    expect(said).toEqual(
      Object.fromEntries(Object.entries(problems).map(([kind, problem]) => [kind, number(problem)])),
    );
  });

  test("their neighbours read as ever", () => {
    const { repository: _, last_commit: __, ...same } = sound;
    for (const kind of kinds)
      expect(states.get(`${kind}.neighbour`)).toMatchObject({ ...same, last_commit: expect.any(Number) });
  });

  test("what is only strange is read", () => {
    const of = (kind: string) => states.get(`fine: ${kind}`)!;
    const { commit, objects, size, reclaimable } = sound;
    for (const kind of ["index of no size behind it", "names with line breaks", "roster is deep"])
      expect(of(kind)).toMatchObject({ commit, objects, size, reclaimable, lock: null });
    for (const kind of [
      "words of bytes",
      "words of old text",
      "words of text",
      "a gigabyte of deleted objects",
    ])
      expect(of(kind)).toMatchObject({ commit, objects, size: 4242, reclaimable: 42 });
    expect(of("hints of an old borg")).toMatchObject({ commit, objects, size: null, reclaimable: null });
    expect(of("lock of a name with a line break").lock).toMatchObject({
      kind: "exclusive",
      host: "",
      pid: 0,
    });
    expect(of("lock of a long name").lock).toMatchObject({ host: "a".repeat(240), pid: 123 });
  });

  test("none takes much memory", async () => {
    const kilobytes = async (names: string[]) =>
      Number(
        await machine.ok(
          `/usr/bin/python3 ${programs}/peak_memory.py /usr/local/lib/borgserver/borg read-state`,
          { input: names.map((repository) => `${JSON.stringify({ repository, known: null })}\n`).join("") },
        ),
      );
    const [least, most] = [await kilobytes(["web"]), await kilobytes(kinds)];
    console.info(`memory for a sound repository ${least} kB, for ${kinds.length} crafted ones ${most} kB`);
    expect(most - least).toBeLessThan(10_000);
  });

  test("random damage of 3,000 never ends the reader", { timeout: 60_000 }, async () => {
    const count = 3000;
    await machine.ok(
      `mkdir /many && /usr/bin/python3 ${programs}/craft.py /sound /many ${count} && mv /many/* /repos`,
    );
    const damaged = await readAll(Array.from({ length: count }, (_, number) => `${number}`));
    const bad = damaged.filter(({ problem }) => problem !== null);
    console.info(`${bad.length} of ${count} with random damage have a problem`);
    expect(bad.length).toBeGreaterThan(count / 4);
    expect(bad.length).toBeLessThan(count);
    expect(new Set(bad.map(({ problem }) => problem))).toEqual(
      new Set(["its index is cut off", "its index is not one of borg's", "its hints are not borg's"]),
    );
  });

  test("names that are none of a repository are refused", async () => {
    const names = ["", ".", "..", "../etc", "web/data", "/repos/web", "web\0"];
    for (const { problem } of await readAll(names))
      expect(problem).toBe("this is not the name of a repository");
    expect((await readAll(["\ud800"]))[0]!.problem).toBe("this is not the name of a repository");
  });
});

test("10,000 repositories that nobody wrote to are read in seconds", { timeout: 120_000 }, async () => {
  const names = Array.from({ length: 10_000 }, (_, number) => `unchanged-${number}`);
  await machine.ok(
    `cp -a /sound /repos/unchanged-0 && cd /repos && rm unchanged-0/data/0/* && touch unchanged-0/data/0/1
     for i in $(seq 9999); do echo unchanged-$i; done | xargs -P 4 -n 100 sh -c 'for each; do cp -a unchanged-0 $each; done' sh`,
  );
  const { commit } = await read("unchanged-0");
  for (const [known, what] of [
    [null, "not known yet"],
    [commit, "unchanged"],
    [commit, "unchanged"],
  ] as const) {
    const began = performance.now();
    const states = await readAll(names, known);
    const seconds = (performance.now() - began) / 1000;
    console.info(`10,000 repositories, ${what}: ${seconds.toFixed(2)} s`);
    expect(
      states.filter(({ problem, unchanged }) => problem || unchanged !== (known ? true : undefined)),
    ).toEqual([]);
    expect(seconds).toBeLessThan(15);
  }
});

test("storage that hangs keeps nothing else from being read", { timeout: 120_000 }, async () => {
  await machine.ok(
    `mkdir /hung && cp -a /sound/. /hung && bindfs /hung /repos/hung && pkill -STOP -x bindfs
     pkill -9 -f '[b]orgserver keep'`, // one that starts looks at all
  );
  const shown = async (name: string) => JSON.parse(await machine.ok(`status ${name} --json`))[0];
  try {
    await expect
      .poll(async () => (await shown("hung")).problem, { timeout: 90_000, interval: 500 })
      .toBe("reading it took too much time or memory");
    await expect
      .poll(async () => (await shown("web")).size, { timeout: 10_000 })
      .toBe((await read("web")).size);
  } finally {
    await machine.ok("pkill -CONT -x bindfs; umount -l /repos/hung");
  }
});
