import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine, programs, type Result } from "./machine.ts";
import {
  came,
  expectedOfRestoring,
  expectedWith,
  type Outcome,
  open,
  others,
  outcomesOf,
  walls,
} from "./tries.ts";

// A borg serve that was taken over (test/programs/attacks.py), in a session behind the wall and in one without it: only
// what succeeds without the wall says anything about the wall.

let machine: Machine;
const lib = "/usr/local/lib/borgserver";

beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web", "repos/db", "repos/laptop", "admins/boss");
  await machine.ok(
    `install -m 644 ${programs}/attacks.py ${programs}/landlock.py ${lib}
     printf '\\nimport attacks\\n\\nattacks.install(GuardedServer)\\n' >>${lib}/guard.py
     printf '\\nimport landlock\\n\\nlandlock.pretend(sys.modules[__name__])\\n' >>${lib}/wall.py`,
  );
  all.off = await attack({ BORG_SANDBOX: "off" });
  all.landlock = await withoutFilter(attack);
  all.wall = await attack();
  all.admin = await tries("boss");
  all.restore = await restoring(() => tries("web"));
  // Of its own, which the server's keeper does not start.
  await machine.ok(
    `cp -r ${lib} /client/lib && printf '\\nimport attacks\\n\\nattacks.install_in_reader(globals())\\n' >>/client/lib/state.py`,
  );
  all.reader = await attempt(() =>
    machine.run("/client/lib/borg read-state", { input: '{"repository": "web", "known": null}\n' }),
  );
}, 120_000);
afterAll(() => machine?.stop());

const all: Record<string, Outcome[]> = {};

async function withoutFilter<Type>(run: () => Promise<Type>): Promise<Type> {
  await machine.ok("touch /client/without-filter");
  try {
    return await run();
  } finally {
    await machine.ok("rm /client/without-filter");
  }
}

/** While the key of web is one for restoring. */
async function restoring<Type>(run: () => Promise<Type>): Promise<Type> {
  await machine.ok("mv /sshkeys/repos/web /sshkeys/repos-restore/web && update-borgusers");
  try {
    return await run();
  } finally {
    await machine.ok("mv /sshkeys/repos-restore/web /sshkeys/repos/web && update-borgusers");
  }
}

/** Starts the server anew. @returns what came of all tries in a session of a repository's */
async function attack(env: Record<string, string> = {}): Promise<Outcome[]> {
  await machine.stopServer();
  expect(await machine.startServer(env)).toBeNull();
  await machine.pinHostKeys();
  return tries("web");
}

const tries = (account: string) => attempt(() => machine.ssh(account, `${account}@127.0.0.1 borg serve`));

/** @param run starts what was taken over */
async function attempt(run: () => Promise<Result>): Promise<Outcome[]> {
  await machine.ok(
    `mkdir -p /repos/.borgserver && chown 1000:1000 /repos/.borgserver && chmod 700 /repos/.borgserver
     cd /repos && rm -rf web/* db/* && mkdir db/folder && echo mine >web/file && echo secret >db/file
     cp /usr/bin/true web/true && ln -s /repos/db/file web/link-to-other && chown -hR 1000:1000 web db && chmod 600 db/file`,
  );
  const session = machine.spawn(
    "exec ssh -i /client/db -o UserKnownHostsFile=/client/known_hosts db@127.0.0.1 borg serve",
  );
  machine.spawn(`exec setpriv --reuid 1000 --regid 1000 --clear-groups python3 ${lib}/attacks.py operator`);
  try {
    await machine.ok(
      `until session=$(pgrep -u 1000 -f '^borg: db') && operator=$(pgrep -u 1000 -f 'attacks.py operator') && ss -xl | grep -q @operator; do sleep 0.05; done
       echo "{\\"session\\": $session, \\"operator\\": $operator, \\"resident\\": $(pgrep -x borg-resident)}" >/repos/web/targets`,
    );
    const { stdout, stderr } = await run();
    expect(stderr).toBe("");
    return outcomesOf(stdout);
  } finally {
    session.stdin!.end();
    await machine.ok(
      "pkill -f '^python3.*attacks.py'; while pgrep -f '^borg: db' || pgrep -f '^python3.*attacks.py'; do sleep 0.05; done",
    );
  }
}

describe("a session that was taken over", () => {
  test("tries at least 60 things that only the wall refuses: without it they succeed", () => {
    expect(came(all.off!, walls).length).toBeGreaterThan(60);
    expect(came(all.off!, open)).toEqual(came(all.off!, open, () => null));
  });

  test("is refused by its rights alone what is root's", () => {
    expect(came(all.off!, ["rights"]).filter((line) => line.endsWith(": null"))).toEqual([]);
  });

  test("is refused by Landlock alone what is said to be Landlock's, and nothing else", () => {
    expectLandlocks(all.landlock!, Infinity);
  });

  test.each(["wall", "admin"])("is refused all of it behind the wall (%s)", (run) => {
    expect(came(all[run]!, others)).toEqual(came(all[run]!, others, ({ expected }) => expected));
    expect(came(all[run]!, ["restoring"])).toEqual(came(all[run]!, ["restoring"], () => null));
  });

  test("of a key for restoring is refused all of it, and to write its own repository", () => {
    const layers = [...others, "restoring"];
    expect(came(all.restore!, layers)).toEqual(came(all.restore!, layers, expectedOfRestoring(Infinity)));
  });
});

test("what reads repositories, taken over, is refused all but to read them", () => {
  const layers = [...others, "restoring"];
  expect(came(all.reader!, layers).filter((line) => line.endsWith(": null"))).toEqual(
    [
      "read its own repository",
      "list its own repository",
      "read a file of another repository",
      "list another repository",
      "list all repositories",
      "read a file of another repository by a link",
      "look at what a file of another repository is",
      "change into another repository",
      "list /repos/.borgserver",
    ].map((name) => `${name}: null`),
  );
  expect(came(all.reader!, layers).length).toBe(came(all.restore!, layers).length);
});

/** That without the filter exactly that is refused which this version of Landlock refuses. */
function expectLandlocks(outcomes: Outcome[], version: number): void {
  const layers = [...open, "restoring"];
  const refused = ({ layer, since }: Outcome) =>
    (layer === "files" || layer === "scope") && since <= version ? "refused" : null;
  expect(came(outcomes, layers, ({ errno }) => errno && "refused")).toEqual(came(outcomes, layers, refused));
}

const noLandlock = "the kernel has no Landlock (Linux 5.13 or later, in the list of its security modules)";
const emptied = "before Linux 6.2 it lets sessions empty each other's files";
const signalled = "before Linux 6.12 it lets them signal each other";
const unfiltered = "system calls are not filtered (seccomp, python3-seccomp)";

// What each version added: renames and links between folders (2), truncate(2) (3), TCP (4), ioctl(2) of devices (5),
// signals and abstract sockets (6), its log (7). The kernel below is what has them.
describe.each([
  [0, "before 5.13", [noLandlock], [noLandlock, unfiltered]],
  [1, "5.13", [], [emptied, signalled, unfiltered]],
  [2, "5.19", [], [emptied, signalled, unfiltered]],
  [3, "6.2", [], [signalled, unfiltered]],
  [4, "6.7", [], [signalled, unfiltered]],
  [5, "6.10", [], [signalled, unfiltered]],
  [6, "6.12", [], [unfiltered]],
  [7, "6.15", [], [unfiltered]],
])("with Landlock of version %i (Linux %s)", (version, _, lacks, lacksUnfiltered) => {
  const told = async () =>
    JSON.parse(
      await machine.ok(`cd / && setpriv --reuid 1000 --regid 1000 --clear-groups ${lib}/borg tell-wall`),
    );

  beforeAll(() => machine.write("/client/landlock", `${version}`));
  afterAll(() => machine.ok("rm /client/landlock"));

  test("what is lacking is said, and is all that a session can do", { timeout: 60_000 }, async () => {
    expect(await told()).toEqual({ landlock: version, lacks });
    const outcomes = await attack();
    expect(came(outcomes, others)).toEqual(came(outcomes, others, expectedWith(version)));
    expect(came(outcomes, ["restoring"])).toEqual(came(outcomes, ["restoring"], () => null));
    const said =
      version > 0 ? "sessions are confined by the kernel" : `not fully confined by the kernel: ${noLandlock}`;
    expect(machine.log).toContain(said);
  });

  test("an admin's and a restoring session are closed in as well", { timeout: 60_000 }, async () => {
    const admins = await tries("boss");
    expect(came(admins, others)).toEqual(came(admins, others, expectedWith(version)));
    const outcomes = await restoring(() => tries("web"));
    expect(came(outcomes, others)).toEqual(
      came(outcomes, others, version > 0 ? expectedOfRestoring(version) : expectedWith(version)),
    );
    // Without Landlock the guard alone keeps the promise.
    expect(came(outcomes, ["restoring"])).toEqual(
      came(outcomes, ["restoring"], ({ expected }) => (version > 0 ? expected : null)),
    );
  });

  test("borg does all it does", { timeout: 120_000 }, async () => {
    const repository = "ssh://laptop@127.0.0.1/repos/laptop";
    await machine.ok(
      "rm -rf /repos/laptop/* /client/borg-laptop; head -c 3000000 /dev/urandom >/client/large",
    );
    for (const command of [
      `init -e repokey ${repository}`,
      `create ${repository}::a /client/large`,
      `create ${repository}::b /client/large /client/web.pub`,
      `check --verify-data ${repository}`,
      `check --repair ${repository}`,
      `info ${repository}::b`,
      `extract --dry-run ${repository}::b`,
      `export-tar ${repository}::b /dev/null`,
      `key change-passphrase ${repository}`,
      `with-lock ${repository} true`,
      `rename ${repository}::a c`,
      `recreate --comment changed ${repository}::b`,
      `delete ${repository}::c`,
      `prune --keep-last 1 ${repository}`,
      `compact ${repository}`,
      `break-lock ${repository}`,
      `list ${repository}`,
      `delete ${repository}`,
      `init -e none ${repository}`,
    ]) {
      const env = { ...machine.client("laptop"), BORG_NEW_PASSPHRASE: "secret" };
      const { code, stderr } = await machine.run(`cd /client && borg ${command} </dev/null`, { env });
      expect(`${command}: ${code} ${code === 0 ? "" : stderr}`).toBe(`${command}: 0 `);
    }
  });

  test("without the filter that is said too, and Landlock refuses what it knows", {
    timeout: 60_000,
  }, async () => {
    await withoutFilter(async () => {
      expectLandlocks(await attack(), version);
      expect(machine.log).toContain(`not fully confined by the kernel: ${lacksUnfiltered.join("; ")}`);
    });
  });
});

test("SECURITY.md has these figures", () => {
  const text = readFileSync(join(programs, "../../SECURITY.md"), "utf8");
  const count = (...layers: string[]) => came(all.wall!, layers).length;
  const rows = [
    ["Landlock: files", count("files")],
    ["Landlock: other processes, TCP, abstract sockets", count("scope")],
    ["the filter of system calls", count("calls")],
    ["nothing", count("none")],
    ["not being root, with and without the wall (not among those above)", count("rights")],
  ];
  for (const [layer, number] of rows) expect(text).toContain(`| ${layer} | ${number} |`);
  expect(text).toContain(
    `Of ${count(...walls, "none")} tries that succeed in a session without the wall, ${count(...walls)} are refused behind it:`,
  );
});
