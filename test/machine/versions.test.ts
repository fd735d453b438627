import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine } from "./machine.ts";

// What clients of each borg 1.x are told by an append-only account. scripts/clients compiles those that Debian lacks.

const repository = "ssh://log@127.0.0.1/repos/log";
let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start({
    binds: [`${join(import.meta.dirname, "../../build/clients")}:/clients`],
  });
  await machine.drop("repos-appendonly/log");
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
  await machine.ok("head -c 30000000 /dev/urandom >/client/large; echo a >/client/small");
});
afterAll(() => machine?.stop());

describe.each([
  ["1.1.18", "/clients/1.1.18/bin/borg"],
  ["of Debian", "/usr/bin/borg"],
  ["1.4.5", "/clients/1.4.5/bin/borg"],
])("borg %s", (version, borg) => {
  const run = (words: string) =>
    machine.run(`cd /client && ${borg} ${words}`, {
      env: {
        ...machine.client("log"),
        BORG_BASE_DIR: `/client/of-${version.replace(" ", "-")}`,
      },
    });
  const isOf = (client: string) => (version === "of Debian" ? client.startsWith("1.2.") : client === version);
  const cannot = (what: string) => `Error: this account is append-only: it cannot ${what}.`;

  test("backs up, with checkpoints, and is told in one sentence what it cannot", async () => {
    await machine.ok("rm -rf /repos/log/* /repos/.borgserver/manifests");
    for (const words of [
      `init -e repokey ${repository}`,
      `create ${repository}::a small`,
      `create --checkpoint-interval 1 --remote-ratelimit 6000 ${repository}::b large`,
      `create ${repository}::c small`,
      `check ${repository}`,
    ])
      expect(await run(words)).toMatchObject({ code: 0 });
    for (const [words, what] of [
      [`delete ${repository}::a`, "delete what was backed up"],
      [`prune --keep-last 1 ${repository}`, "delete what was backed up"],
      [`rename ${repository}::a d`, "delete what was backed up"],
      [`delete ${repository}`, "delete the repository"],
      [`check --repair ${repository}`, "repair the repository"],
      ...(version === "1.1.18" ? [] : [[`compact ${repository}`, "compact the repository"]]),
    ] as const) {
      const { code, stderr } = await run(words!);
      expect({ words, code, said: stderr.trim().split("\n").at(-1) }).toEqual({
        words,
        code: 2,
        said: cannot(what!),
      });
      expect(stderr).not.toContain("Traceback");
    }
    // What each session was, the newest first, whichever client's it was.
    await expect
      .poll(
        async () => {
          const all = JSON.parse(await machine.ok("borgserver sessions log --json --limit 1000"));
          const ofClient = all.filter(({ borg }: { borg: string }) => isOf(borg));
          const done = ofClient.filter(({ refused }: { refused: number }) => refused === 0);
          return done.map(({ kind, complete }: { kind: string; complete: boolean }) => [kind, complete]);
        },
        { timeout: 30_000 },
      )
      .toEqual(["check", "create", "create", "create", "init"].map((kind) => [kind, true]));
    const secret = { env: { BORG_PASSPHRASE: "secret" } };
    await machine.ok("compact --threshold 0 /repos/log && check --verify-data /repos/log", secret);
    expect(await run(`list --short ${repository}`)).toMatchObject({ code: 0, stdout: "a\nb\nc\n" });
  });
});
