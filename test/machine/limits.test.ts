import { afterAll, beforeAll, expect, test } from "vitest";
import { Machine } from "./machine.ts";

let machine: Machine;
let key: string;

beforeAll(async () => {
  machine = await Machine.start();
  key = await machine.makeKey("web");
  await machine.write("/sshkeys/repos/web", key);
  expect(await machine.startServer({ TZ: "Asia/Kolkata" })).toBeNull();
  await machine.pinHostKeys();
});
afterAll(() => machine?.stop());

/** Whether a key with these options is let in from 127.0.0.1. */
async function isLetIn(options: string): Promise<boolean> {
  await machine.write("/sshkeys/repos/web", `${options} ${key}`);
  await machine.ok("index rebuild");
  return (await machine.ssh("web", "web@127.0.0.1 borg serve")).code === 0;
}

test.each([
  ['from="127.0.0.1"', true],
  ['from="127.0.0.0/8"', true],
  ['from="127.*"', true],
  ['from="192.0.2.1,127.0.0.1"', true],
  ['from="192.0.2.1"', false],
  ['from="!127.0.0.1,*"', false],
  ['from="2001:db8::/32"', false],
  ['expiry-time="20991231Z"', true],
  ['expiry-time="20200101Z"', false],
  ['from="127.0.0.1",expiry-time="20200101Z"', false],
  ['from="127.0.0.1",expiry-time="20991231235959Z"', true],
])("%s: let in is %s", async (options, expected) => {
  expect(await isLetIn(options)).toBe(expected);
});

test("an expiry without Z is meant in the server's time zone, and means the same moment to sshd", async () => {
  const time = async (offset: string) =>
    (await machine.ok(`TZ=Asia/Kolkata date -d '${offset}' +%Y%m%d%H%M%S`)).trim();
  await machine.stopServer();
  expect(await machine.startServer({ TZ: "Asia/Kolkata" })).toBeNull();
  for (const [offset, expected] of [
    ["1 hour", true],
    ["-1 hour", false],
  ] as const) {
    await machine.write("/sshkeys/repos/web", `expiry-time="${await time(offset)}" ${key}`);
    await machine.ok("index rebuild", { env: { TZ: "America/New_York" } }); // what the start had counts
    expect((await machine.ssh("web", "web@127.0.0.1 borg serve")).code === 0).toBe(expected);
  }
});

test("limits are listed, and the session they open is the forced one", async () => {
  await machine.write("/sshkeys/repos/web", `from="127.0.0.1",expiry-time="20991231Z" ${key}`);
  await machine.ok("index rebuild");
  expect(await machine.ok("index list")).toMatch(/ web \(from 127\.0\.0\.1\) \(until 20991231000000Z\)$/m);
  expect(await machine.ssh("web", "web@127.0.0.1 whoami")).toMatchObject({ code: 1, stdout: "" });
});
