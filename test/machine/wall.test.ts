import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine, programs } from "./machine.ts";

// A borg serve that was taken over (test/programs/attacks.py), in a session behind the wall and in one without it: only
// what succeeds without the wall says anything about the wall.

interface Outcome {
  name: string;
  layer: "files" | "scope" | "calls" | "rights" | "none" | "restoring" | "may";
  expected: string | null;
  errno: string | null;
}

let machine: Machine;
const lib = "/usr/local/lib/borgserver";

beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web", "repos/db", "admins/boss");
  await machine.ok(
    `install -m 644 ${programs}/attacks.py ${lib} && printf '\\nimport attacks\\n\\nattacks.install(GuardedServer)\\n' >>${lib}/guard.py`,
  );
  all.off = await attack({ BORG_SANDBOX: "off" });
  await machine.ok("touch /client/without-filter");
  all.landlock = await attack();
  await machine.ok("rm /client/without-filter");
  all.wall = await attack();
  all.admin = await tries("boss");
  await machine.ok("mv /sshkeys/repos/web /sshkeys/repos-restore/web && update-borgusers");
  all.restore = await tries("web");
}, 120_000);
afterAll(() => machine?.stop());

const all: Record<string, Map<string, Outcome>> = {};

/** Starts the server anew. @returns what came of all tries in a session of a repository's */
async function attack(env: Record<string, string> = {}): Promise<Map<string, Outcome>> {
  await machine.stopServer();
  expect(await machine.startServer(env)).toBeNull();
  await machine.pinHostKeys();
  return tries("web");
}

async function tries(account: string): Promise<Map<string, Outcome>> {
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
    const { stdout, stderr } = await machine.ssh(account, `${account}@127.0.0.1 borg serve`);
    expect(stderr).toBe("");
    const outcomes = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Outcome);
    return new Map(outcomes.map((each) => [each.name, each]));
  } finally {
    session.stdin!.end();
    await machine.ok(
      "pkill -f '^python3.*attacks.py'; while pgrep -f '^borg: db' || pgrep -f '^python3.*attacks.py'; do sleep 0.05; done",
    );
  }
}

/** "NAME ERRNO" of each try of these layers, or what was written down to come of it. */
const came = (run: string, layers: string[], errno = (each: Outcome) => each.errno) =>
  [...all[run]!.values()]
    .filter(({ layer }) => layers.includes(layer))
    .map((each) => `${each.name}: ${errno(each)}`);
const wall = ["files", "scope", "calls"];
const others = [...wall, "rights", "none", "may"];

describe("a session that was taken over", () => {
  test("tries at least 60 things that only the wall refuses: without it they succeed", () => {
    expect(came("off", wall).length).toBeGreaterThan(60);
    const open = [...wall, "none", "restoring", "may"];
    expect(came("off", open)).toEqual(came("off", open, () => null));
  });

  test("is refused by its rights alone what is root's", () => {
    expect(came("off", ["rights"]).filter((line) => line.endsWith(": null"))).toEqual([]);
  });

  test("is refused by Landlock alone what is said to be Landlock's, and nothing else", () => {
    expect(came("landlock", ["files", "scope"]).filter((line) => line.endsWith(": null"))).toEqual([]);
    const open = ["calls", "none", "restoring", "may"];
    expect(came("landlock", open)).toEqual(came("landlock", open, () => null));
  });

  test.each(["wall", "admin"])("is refused all of it behind the wall (%s)", (run) => {
    expect(came(run, others)).toEqual(came(run, others, ({ expected }) => expected));
    expect(came(run, ["restoring"])).toEqual(came(run, ["restoring"], () => null));
  });

  test("of a key for restoring is refused all of it, and to write its own repository", () => {
    const layers = [...others, "restoring"];
    // A link is refused already because nothing can be made there.
    expect(came("restore", layers)).toEqual(
      came("restore", layers, ({ expected }) => (expected === "EXDEV" ? "EACCES" : `${expected}`)),
    );
  });
});

test("SECURITY.md has these figures", () => {
  const text = readFileSync(join(programs, "../../SECURITY.md"), "utf8");
  const count = (...layers: string[]) => came("wall", layers).length;
  const rows = [
    ["Landlock: files", count("files")],
    ["Landlock: other processes, TCP, abstract sockets", count("scope")],
    ["the filter of system calls", count("calls")],
    ["nothing", count("none")],
    ["not being root, with and without the wall (not among those above)", count("rights")],
  ];
  for (const [layer, number] of rows) expect(text).toContain(`| ${layer} | ${number} |`);
  expect(text).toContain(
    `Of ${count(...wall, "none")} tries that succeed in a session without the wall, ${count(...wall)} are refused behind it:`,
  );
});
