import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { programs } from "../machine/machine.ts";
import { came, expectedOfRestoring, type Outcome, others, outcomesOf, walls } from "../machine/tries.ts";
import { Containers } from "./containers.ts";

// The tries of test/machine/wall.test.ts, in containers as operators run them. What the container refuses by itself, also
// where the wall is off, says nothing about the wall.

let containers: Containers;
const lib = "/usr/local/lib/borgserver";
const all: Record<string, Outcome[]> = {};

beforeAll(async () => {
  containers = await Containers.start();
  for (const name of ["web", "db", "boss"]) await containers.machine.makeKey(name);
  await containers.ok(
    `{ podman run --rm --entrypoint cat localhost/borgserver ${lib}/guard.py && printf '\\nimport attacks\\n\\nattacks.install(GuardedServer)\\n'; } >/client/guard.py`,
  );
  await serve("off", 2250, "--env BORG_SANDBOX=off");
  all.off = await tries("off", 2250, "web");
  await serve("on", 2251);
  all.wall = await tries("on", 2251, "web");
  all.admin = await tries("on", 2251, "boss");
  await containers.ok(
    `cd /on/sshkeys && mkdir -p repos-restore && mv repos/web repos-restore/web && podman exec on update-borgusers`,
  );
  all.restore = await tries("on", 2251, "web");
}, 300_000);
afterAll(() => containers?.stop());

async function serve(name: string, port: number, options = ""): Promise<void> {
  for (const account of ["web", "db"]) await containers.drop(name, `repos/${account}`, account);
  await containers.drop(name, "admins/boss", "boss");
  await containers.serve(
    name,
    port,
    `--volume ${programs}/attacks.py:${lib}/attacks.py:ro --volume /client/guard.py:${lib}/guard.py:ro ${options}`,
  );
  await containers.pin(name, port);
}

async function tries(name: string, port: number, account: string): Promise<Outcome[]> {
  const inside = (command: string) => containers.ok(`podman exec ${name} sh -c '${command}'`);
  await inside(
    `cd /repos && rm -rf web/* db/* && mkdir db/folder && echo mine >web/file && echo secret >db/file
     cp /usr/bin/true web/true && ln -s /repos/db/file web/link-to-other && chown -hR 1000:1000 web db && chmod 600 db/file`,
  );
  const ssh = (key: string) =>
    `ssh -i /client/${key} -p ${port} -o IdentitiesOnly=yes -o UserKnownHostsFile=/client/known_hosts ${key}@127.0.0.1 borg serve`;
  const session = containers.machine.spawn(`exec ${ssh("db")}`);
  await containers.ok(`podman exec --detach --user 1000:1000 ${name} python3 ${lib}/attacks.py operator`);
  // A process by the words that it was started with, or by its name.
  const find = `find() { grep -ls "$1" /proc/[0-9]*/$2 | cut -d/ -f3 | head -n 1; }`;
  try {
    await inside(
      `${find}
       for i in $(seq 300); do
         session=$(find "^borg: db" cmdline) operator=$(find "^python3$" comm)
         [ -n "$session" ] && [ -n "$operator" ] && grep -q @operator /proc/net/unix && break
         sleep 0.1
       done
       echo "{\\"session\\": $session, \\"operator\\": $operator, \\"resident\\": $(find "^borg-resident$" comm)}" >/repos/web/targets`,
    );
    const { stdout, stderr } = await containers.run(ssh(account));
    expect(stderr).toBe("");
    return outcomesOf(stdout);
  } finally {
    session.stdin!.end();
    await inside(
      `${find}
       kill $(find "^python3$" comm)
       for i in $(seq 300); do [ -n "$(find "^borg: db" cmdline)$(find "^python3$" comm)" ] || exit 0; sleep 0.1; done
       exit 1`,
    );
  }
}

/** What a container engine's own filter of system calls may refuse, with the wall off too. */
const enginesOwn = [
  "add a key",
  "answer page faults",
  "count events",
  "have all memory run",
  "set up io_uring",
  "watch by fanotify",
];

/** Those that the wall is there for, and that succeed where it is off. */
const counts = (outcomes: Outcome[]) => {
  const succeeded = new Set(all.off!.filter(({ errno }) => errno === null).map(({ name }) => name));
  return outcomes.filter(({ name }) => succeeded.has(name));
};

describe("a session that was taken over, in the image", () => {
  test("tries at least 60 things that succeed without the wall; the engine refuses few others", () => {
    const refused = all.off!.filter(({ layer, errno }) => layer !== "rights" && errno !== null);
    expect(refused.map(({ name }) => name).filter((name) => !enginesOwn.includes(name))).toEqual([]);
    expect(came(counts(all.off!), walls).length).toBeGreaterThanOrEqual(60);
    expect(came(counts(all.off!), ["rights"])).toEqual([]);
  });

  test.each(["wall", "admin"])("is refused all of it behind the wall (%s)", (run) => {
    const outcomes = counts(all[run]!);
    expect(came(outcomes, others)).toEqual(came(outcomes, others, ({ expected }) => expected));
    expect(came(outcomes, ["restoring"])).toEqual(came(outcomes, ["restoring"], () => null));
  });

  test("of a key for restoring is refused all of it, and to write its own repository", () => {
    const outcomes = counts(all.restore!);
    const layers = [...others, "restoring"];
    expect(came(outcomes, layers)).toEqual(came(outcomes, layers, expectedOfRestoring(Infinity)));
  });

  test("gains by the wall nothing that it was refused without it", () => {
    for (const run of ["wall", "admin", "restore"]) {
      const counted = new Set(counts(all[run]!));
      const gained = all[run]!.filter((each) => !counted.has(each) && each.errno === null);
      expect(gained.map(({ name }) => name)).toEqual([]);
    }
  });
});
