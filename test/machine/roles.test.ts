import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine } from "./machine.ts";

const host = "127.0.0.1";
const longName = `${"very-long-label.".repeat(3)}example.org`; // 59 characters
const at = (account: string, path = `/repos/${account}`) => `ssh://${account}@${host}${path}`;

let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  const keys = Object.fromEntries(
    await Promise.all(
      ["one", "two", "other", "ao", "boss"].map(async (name) => [name, await machine.makeKey(name)]),
    ),
  );
  await machine.write("/sshkeys/repos/client1", `# the laptop\n${keys.one}\n${keys.two}`);
  await machine.write("/sshkeys/repos/client13", keys.one + keys.other);
  await machine.write(`/sshkeys/repos/${longName}`, keys.other);
  await machine.write("/sshkeys/repos-appendonly/log", keys.ao);
  await machine.write("/sshkeys/admins/boss", keys.boss);
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
  await machine.ok(
    "mkdir -p /client/files/sub && head -c 300000 /dev/urandom >/client/files/a && echo b >/client/files/sub/b",
  );
});
afterAll(() => machine?.stop());

async function succeeds(key: string, command: string): Promise<string> {
  const { code, stdout, stderr } = await machine.borg(key, command);
  if (code !== 0) throw new Error(`exit ${code} from: borg ${command}\n${stderr}`);
  return stdout;
}

async function isRefused(key: string, command: string, message: RegExp): Promise<void> {
  const { code, stderr } = await machine.borg(key, command);
  expect(stderr).toMatch(message);
  expect(code).toBeGreaterThan(0);
}

describe("a key of the repo role", () => {
  test("does all that borg can do to its repository", async () => {
    await succeeds("one", `init -e repokey ${at("client1")}`);
    await succeeds("one", `create ${at("client1")}::a files`);
    await succeeds("one", `create ${at("client1")}::b files`);
    expect(await succeeds("one", `list --short ${at("client1")}`)).toBe("a\nb\n");
    await succeeds("one", `extract ${at("client1")}::a --strip-components 1`);
    await machine.ok("cmp /client/files/a /client/a && cmp /client/files/sub/b /client/sub/b");
    await succeeds("one", `prune --keep-last 1 ${at("client1")}`);
    expect(await succeeds("one", `list --short ${at("client1")}`)).toBe("b\n");
    await succeeds("one", `compact ${at("client1")}`);
    await succeeds("one", `check --repair ${at("client1")}`);
  });

  test("shares its repository with a second key in the same file", async () => {
    expect(await succeeds("two", `list --short ${at("client1")}`)).toBe("b\n");
  });

  test("opens each account whose file holds it, by login name, and no other", async () => {
    await succeeds("one", `init -e none ${at("client13")}`);
    await succeeds("other", `list ${at("client13")}`);
    for (const words of [
      ["other", `client1@${host}`],
      ["two", `client13@${host}`],
    ] as const)
      expect((await machine.ssh(words[0], `${words[1]} borg serve`)).stderr).toContain(
        "Permission denied (publickey)",
      );
  });

  test("reaches its repository by the path relative to its home too", async () => {
    expect(await succeeds("one", `list --short ssh://client1@${host}/./`)).toBe("b\n");
  });

  test("works under a host name of 59 characters", async () => {
    expect(longName).toHaveLength(59);
    await succeeds("other", `init -e none ${at(longName)}`);
    await succeeds("other", `create ${at(longName)}::a files`);
    expect(await succeeds("other", `list --short ${at(longName)}`)).toBe("a\n");
    expect(await machine.ok("index find /client/other.pub")).toContain(`${longName} (repo)`);
    expect(await machine.ok(`list --short /repos/${longName}`)).toBe("a\n");
  });

  test.each([
    ["another account's repository", `/repos/${longName}`],
    ["another one, whose name begins with its own", "/repos/client13"],
    ["a sub-directory", "/repos/client1/sub"],
    ["the folder above", "/repos"],
    ["a path with ..", "/repos/client1/../client13"],
    ["a symlink to another repository", "/repos/link"],
    ["a path outside", "/client/outside"],
  ])("cannot reach %s", async (_, path) => {
    await machine.ok("ln -sfn client13 /repos/link");
    const before = await machine.ok("find /repos -path /repos/.borgserver -prune -o -ls");
    await isRefused("one", `list ${at("client1", path)}`, /Repository path not allowed/);
    await isRefused("one", `init -e none ${at("client1", path)}`, /Repository path not allowed/);
    expect(await machine.ok("find /repos -path /repos/.borgserver -prune -o -ls")).toBe(before);
  });
});

describe("a key of the append-only role", () => {
  test("backs up again and again, and can take nothing of it away", async () => {
    await succeeds("ao", `init -e none ${at("log")}`);
    await succeeds("ao", `create ${at("log")}::a files`);
    await succeeds("ao", `create ${at("log")}::b files`);
    for (const command of [
      `delete ${at("log")}::a`,
      `prune --keep-last 1 ${at("log")}`,
      `rename ${at("log")}::a c`,
      `compact ${at("log")}`,
    ]) {
      const { code, stderr } = await machine.borg("ao", command);
      expect({ command, code, stderr }).toEqual({
        command,
        code: 2,
        stderr: expect.stringMatching(/^Error: this account is append-only: it cannot [a-z ]+\.\n$/),
      });
    }
    await succeeds("boss", `compact --threshold 0 ${at("boss", "/repos/log")}`);
    await machine.ok("check --verify-data /repos/log");
    expect(await succeeds("ao", `list --short ${at("log")}`)).toBe("a\nb\n");
    await succeeds("ao", `extract ${at("log")}::a --strip-components 1`);
    await machine.ok("cmp /client/files/a /client/a");
  });

  test("can neither delete the repository nor repair it", async () => {
    for (const [command, what] of [
      ["delete", "delete"],
      ["check --repair", "repair"],
    ]) {
      const { code, stderr } = await machine.borg("ao", `${command} ${at("log")}`);
      expect(stderr).toContain(`this account is append-only: it cannot ${what} the repository.`);
      expect(stderr).not.toContain("Traceback");
      expect(code).toBe(2);
    }
    expect(await succeeds("ao", `list --short ${at("log")}`)).toBe("a\nb\n");
  });
});

describe("a key of the admin role", () => {
  test("prunes and compacts a client's repository, and the client goes on backing up", async () => {
    await succeeds("one", `create ${at("client1")}::c files`);
    expect(await succeeds("boss", `list --short ${at("boss", "/repos/client1")}`)).toBe("b\nc\n");
    await succeeds("boss", `prune --keep-last 1 ${at("boss", "/repos/client1")}`);
    await succeeds("boss", `compact ${at("boss", "/repos/client1")}`);
    await succeeds("one", `create ${at("client1")}::d files`);
    expect(await succeeds("two", `list --short ${at("client1")}`)).toBe("c\nd\n");
  });

  test("makes a new repository, which a client can take over", async () => {
    await succeeds("boss", `init -e none ${at("boss", "/repos/fresh")}`);
    await succeeds("boss", `list ssh://boss@${host}/./fresh`);
    await machine.ok("cp /client/two.pub /sshkeys/repos/fresh && update-borgusers");
    await succeeds("two", `create ${at("fresh")}::a files`);
  });

  test("cannot leave /repos", async () => {
    await isRefused(
      "boss",
      `init -e none ${at("boss", "/repos/a/b")}`,
      /repositories lie side by side, as \/repos\/NAME: \/repos\/a\/b cannot be made\./,
    );
    await isRefused("boss", `init -e none ${at("boss", "/sshkeys/x")}`, /Repository path not allowed/);
  });
});

test("a deleted repository leaves its directory, and borg init begins anew, whoever deleted it", async () => {
  const client = at("client1");
  for (const deleted of [
    () => machine.borg("one", `delete ${client}`),
    () => machine.borg("boss", `delete ${at("boss", "/repos/client1")}`),
    () => machine.run("delete /repos/client1", { env: { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: "YES" } }),
  ]) {
    const { code, stderr } = await deleted();
    expect(`${code} ${code === 0 ? "" : stderr}`).toBe("0 ");
    expect(await machine.ok("ls -A /repos/client1; stat -c '%u %a' /repos/client1")).toBe("1000 700\n");
    await succeeds("one", `init -e none ${client}`);
    await succeeds("one", `create ${client}::anew files`);
  }
});

test("everything under /repos belongs to the numeric owner", async () => {
  expect(await machine.ok("find /repos ! -type l ! -user 1000 -o ! -type l ! -group 1000")).toBe("");
  expect(await machine.ok("find /repos -mindepth 1 -maxdepth 1 -type d -perm /077")).toBe("");
});
