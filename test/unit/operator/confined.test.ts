import { afterEach, expect, test, vi } from "vitest";
import { environmentOf } from "../../../src/operator/borg.ts";
import { wallInForce, wallOf } from "../../../src/operator/confined.ts";
import type { InForce } from "../../../src/server/in-force.ts";
import type { Settings } from "../../../src/server/settings.ts";

const { found } = vi.hoisted(() => ({ found: { reason: "", probes: 0 } }));
vi.mock("../../../src/server/confinement.ts", () => ({
  probeConfinement: () => {
    found.probes++;
    return { reason: found.reason };
  },
}));

afterEach(() => vi.unstubAllEnvs());

const home = "/var/cache/borgserver";
const doors = (...words: Parameters<typeof wallOf>) => JSON.parse(wallOf(...words));

test("the wall has a door to each thing that the words name, as wide as it is meant", () => {
  const reach = { repository: "/repos/web", also: ["/out", "/client/ä b"], look: ["/repos/db"] };
  expect(doors(reach, home, true)).toEqual([
    ["write", home],
    ["write", "/repos/web"],
    ["any", "/out"],
    ["any", "/client/ä b"],
    ["read", "/repos/db"],
    ["tty", "/dev/tty"],
  ]);
  expect(doors({ repository: null, also: [], look: [] }, home, false)).toEqual([["write", home]]);
});

test("more paths than a variable of the environment can hold are refused in a sentence", () => {
  const also = (length: number) => ({ repository: null, also: [`/${"x".repeat(length - 1)}`], look: [] });
  const fixed = Buffer.byteLength(`BORGSERVER_WALL=${wallOf(also(1), home, false)}`) - 1;
  const longest = 131_071 - fixed; // execve(2): 32 pages with the zero byte at its end
  expect(wallOf(also(longest), home, false)).toContain("xxx");
  expect(() => wallOf(also(longest + 1), home, false)).toThrow("more paths than it can be confined to");
});

test("what confines borg is in its environment, and never what the caller has there", () => {
  vi.stubEnv("BORGSERVER_WALL", "[]");
  vi.stubEnv("BORG_REPO", "/repos/web");
  expect(environmentOf(true, home, '[["read","/"]]')).toMatchObject({
    BORGSERVER_WALL: '[["read","/"]]',
    BORG_REPO: "/repos/web",
    HOME: home,
  });
  expect(environmentOf(true, home, null)).not.toHaveProperty("BORGSERVER_WALL");
});

const inForce = (sandbox: Settings["sandbox"], isServing: boolean): InForce => ({
  settings: { sandbox, owner: { uid: 1000, gid: 1000 } } as Settings,
  walled: sandbox !== "off",
  unguarded: "",
  isServing,
});

test.each([
  ["auto", true, true],
  ["auto", false, true],
  ["require", true, true],
  ["off", true, false],
  ["off", false, false],
] as const)(
  "BORG_SANDBOX=%s, where the server runs: %s: there is a wall: %s",
  (sandbox, isServing, walled) => {
    Object.assign(found, { reason: "one thing", probes: 0 });
    expect(wallInForce(inForce(sandbox, isServing))).toBe(walled);
    expect(found.probes).toBe(0);
  },
);

test("BORG_SANDBOX=require tries the wall out where no start has, and refuses one that is not complete", () => {
  Object.assign(found, { reason: "", probes: 0 });
  expect(wallInForce(inForce("require", false))).toBe(true);
  expect(found.probes).toBe(1);
  found.reason = "one thing";
  expect(() => wallInForce(inForce("require", false))).toThrow(
    'BORG_SANDBOX is "require", and the kernel cannot fully confine borg here: one thing',
  );
});
