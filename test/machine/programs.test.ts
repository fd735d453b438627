/** What is installed, and what of it a program loads. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine } from "./machine.ts";

const addon = "/usr/local/lib/borgserver/sqlite.node";
let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web");
  expect(await machine.startServer()).toBeNull();
});
afterAll(() => machine?.stop());

/** The files that a command opens, or tries to, without those of the kernel. */
async function opened(command: string): Promise<string[]> {
  await machine.ok(`strace -f -qq -e trace=open,openat,openat2 -o /client/trace ${command} >/client/output`);
  const paths = (await machine.ok("cat /client/trace")).matchAll(/"([^"]+)"/g);
  return [...new Set([...paths].map((match) => match[1]!))].filter(
    (path) => !/^\/(proc|sys|dev)\//.test(path),
  );
}

test("all that is installed is root's, and nobody else can change it", async () => {
  expect(await machine.ok(`stat -c '%U:%G %a %F' ${addon}`)).toBe("root:root 644 regular file\n");
  const others =
    "find /usr/local/lib/borgserver /usr/local/bin/borgserver '(' ! -user root -o ! -group root -o -perm /022 ')' ! -type l";
  expect(await machine.ok(others)).toBe("");
});

test("a login opens the index and what the system's loader needs, and no native code of a package", async () => {
  const [, fingerprint] = (await machine.ok("ssh-keygen -lf /client/web.pub")).split(" ");
  const paths = await opened(`borgserver authorized-keys web ${fingerprint}`);
  expect(await machine.ok("cat /client/output")).toMatch(/^restrict,/);
  // SQLite follows the links to the index before it opens it.
  const index = (await machine.ok("readlink -f /var/lib/borgserver/index.sqlite")).trim();
  expect(paths).toContain(index);
  expect(paths.filter((path) => /\.node$|libstdc|borgserver/.test(path) && path !== index)).toEqual([]);
});

describe("a command", () => {
  test("loads native code from its one place, whatever lies where it is called", async () => {
    await machine.ok(`
      mkdir -p /client/decoy/node_modules/better-sqlite3/prebuilds /client/decoy/node_modules/better-sqlite3/lib /client/decoy/build/Release
      cd /client/decoy
      for file in sqlite.node better_sqlite3.node linux-x64.node prebuilds.node build/Release/better_sqlite3.node node_modules/better-sqlite3/prebuilds/linux-x64.node; do echo decoy >$file; done
      echo 'process.exit(9)' | tee index.js node_modules/better-sqlite3/index.js >node_modules/better-sqlite3/lib/index.js`);
    const paths = await opened(
      "env -C /client/decoy NODE_PATH=/client/decoy/node_modules BUN_INSTALL=/client/decoy borgserver index list",
    );
    expect(await machine.ok("cat /client/output")).toMatch(/^web \(repo\)\n/);
    expect(paths.filter((path) => /\.node$|better|decoy\/./.test(path))).toEqual([addon]);
  });

  test.each([
    ["is missing", `mv ${addon} /client/addon`, /cannot be loaded: .*No such file/],
    ["is damaged", `cp ${addon} /client/addon; echo garbage >${addon}`, /cannot be loaded: /],
    [
      "is another library",
      `cp ${addon} /client/addon; cp /lib/*/libz.so.1 ${addon}`,
      /cannot be loaded: .*napi/,
    ],
  ])("whose native code %s says so and changes nothing; logins go on", async (_, damage, reason) => {
    await machine.ok(damage);
    try {
      for (const command of ["index list", "index rebuild", "update-borgusers"]) {
        const result = await machine.run(command);
        expect(result).toMatchObject({ code: 1, stdout: "" });
        expect(result.stderr).toMatch(reason);
      }
      const [, fingerprint] = (await machine.ok("ssh-keygen -lf /client/web.pub")).split(" ");
      expect(await machine.ok(`borgserver authorized-keys web ${fingerprint}`)).toMatch(/^restrict,/);
    } finally {
      await machine.ok(`install -m 644 /client/addon ${addon}`);
    }
    expect(await machine.run("index list")).toMatchObject({ code: 0 });
  });
});

test.each([
  ["chown 1000", "chown root"],
  ["chmod o+w", "chmod go-w"],
])("a start loads no native code that others than root can change (%s)", async (damage, mend) => {
  await machine.stopServer();
  await machine.ok(`${damage} ${addon}`);
  expect(await machine.startServer()).toMatchObject({
    code: 1,
    stderr: `borgserver: the server does not load ${addon}: others than root can change ${addon}\n  Run: ${mend} ${addon}\n`,
  });
  await machine.ok(`${mend} ${addon}`);
  expect(await machine.startServer()).toBeNull();
});
