import fc from "fast-check";
import { expect, test } from "vitest";
import {
  inStep,
  planAccounts,
  reservedIds,
  roleGids,
  systemNames,
} from "../../../src/accounts/account-plan.ts";
import type { NamedRole } from "../../../src/keys/account.ts";
import { roleNames } from "../../../src/role.ts";

const group = "root:x:0:\nborg-repo:x:991:\nborg-appendonly:x:992:\nborg-admin:x:993:\n";
const passwd =
  "root:x:0:0:root:/root:/bin/bash\nsshd:x:101:65534::/run/sshd:/usr/sbin/nologin\nborgkeys:x:990:990::/nonexistent:/usr/sbin/nologin\n";
const shadow = "root:!:1:0:99999:7:::\nsshd:!:1::::::\nborgkeys:*:1::::::\n";
const files = { passwd, shadow, group };
const borgLines = { passwd: "borg:x:1000:993:borgserver:/repos:/bin/sh\n", shadow: "borg:*:::::::\n" };

test("each account gets its line: shared id, role group, repository as home, a password that matches nothing", () => {
  const plan = planAccounts(
    files,
    [
      { name: "web", role: "repo" },
      { name: "log", role: "appendonly" },
      { name: "boss", role: "admin" },
    ],
    1000,
  );
  expect(plan.passwd).toBe(
    `${passwd}${borgLines.passwd}web:x:1000:991:borgserver:/repos/web:/bin/sh\nlog:x:1000:992:borgserver:/repos/log:/bin/sh\nboss:x:1000:993:borgserver:/repos:/bin/sh\n`,
  );
  expect(plan.shadow).toBe(`${shadow}${borgLines.shadow}web:*:::::::\nlog:*:::::::\nboss:*:::::::\n`);
  expect(plan).toMatchObject({ add: ["borg", "web", "log", "boss"], change: [], remove: [] });
});

test("a plan carried out leaves nothing to do, and the accounts of removed files go", () => {
  const accounts: NamedRole[] = [{ name: "web", role: "repo" }];
  const first = planAccounts(files, accounts, 1000);
  const again = planAccounts({ ...first, group }, accounts, 1000);
  expect(again).toMatchObject({
    add: [],
    change: [],
    remove: [],
    passwd: first.passwd,
    shadow: first.shadow,
  });
  const gone = planAccounts({ ...first, group }, [], 1000);
  expect(gone).toMatchObject({
    remove: ["web"],
    passwd: passwd + borgLines.passwd,
    shadow: shadow + borgLines.shadow,
  });
  const moved = planAccounts({ ...first, group }, [{ name: "web", role: "admin" }], 7);
  expect(moved.change).toEqual(["borg", "web"]);
});

test("a line that is there twice, or a password missing or set, is corrected", () => {
  const broken = {
    group,
    passwd: `${passwd}${borgLines.passwd}web:x:1:991::/:/bin/sh\nweb:x:1:991::/:/bin/sh\n`,
    shadow: `${shadow}web:$6$secret:1::::::\n`,
  };
  const plan = planAccounts(broken, [{ name: "web", role: "repo" }], 1000);
  expect(plan.passwd).toBe(`${passwd}${borgLines.passwd}web:x:1000:991:borgserver:/repos/web:/bin/sh\n`);
  expect(plan.shadow).toBe(`${shadow}web:*:::::::\n${borgLines.shadow}`);
});

test("an account of the system is never taken over", () => {
  expect(() => planAccounts(files, [{ name: "sshd", role: "repo" }], 1000)).toThrow(
    "sshd is an account of the system",
  );
  expect(systemNames(files)).toEqual(new Set(["borg", "root", "sshd", "borgkeys"]));
  expect(reservedIds(files)).toEqual({
    uids: new Map([
      [101, "sshd"],
      [990, "borgkeys"],
    ]),
    gids: new Map([
      [65534, "sshd"],
      [990, "borgkeys"],
    ]),
  });
  expect(() => roleGids("root:x:0:\n")).toThrow("borg-repo does not exist");
});

test("whatever the accounts are, foreign lines stay as and where they are", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9.-]{3,8}$/);
  const accounts = fc.uniqueArray(fc.record({ name, role: fc.constantFrom(...roleNames) }), {
    selector: ({ name }) => name,
  });
  const foreign = fc.array(
    fc.stringMatching(/^F[a-z]{1,5}:[xé*!]?:[0-9]{1,4}:[0-9]{1,2}:[^:\n]{0,5}:\/[^:\n]{0,5}:[^\n]{0,5}$/),
  );
  fc.assert(
    fc.property(foreign, accounts, accounts, (lines, before, after) => {
      const original = lines.map((line) => `${line}\n`).join("");
      const first = planAccounts({ passwd: original, shadow: original, group }, before, 1000);
      const second = planAccounts({ ...first, group }, after, 1001);
      const isForeign = (line: string) => line.startsWith("F");
      expect(second.passwd.split("\n").filter(isForeign)).toEqual(lines);
      expect(second.shadow.split("\n").filter(isForeign)).toEqual(lines);
      const names = second.passwd
        .split("\n")
        .filter((line) => line && !isForeign(line))
        .map((line) => line.split(":")[0]);
      expect(names.sort()).toEqual(["borg", ...after.map(({ name }) => name)].sort());
      expect(second.passwd).toBe(planAccounts({ ...second, group }, after, 1001).passwd);
      expect(inStep({ ...second, group }, after, 1001)).toBe(true);
      expect(inStep({ ...first, group }, after, 1001)).toBe(false);
      expect(inStep({ ...first, group }, after, 1000)).toBe(
        first.passwd === planAccounts({ ...first, group }, after, 1000).passwd,
      );
    }),
  );
});
