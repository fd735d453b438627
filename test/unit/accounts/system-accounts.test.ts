import fc from "fast-check";
import { expect, test } from "vitest";
import {
  leftAccounts,
  reservedIds,
  roleGids,
  systemNames,
  withoutLeftAccounts,
} from "../../../src/accounts/system-accounts.ts";

const group = "root:x:0:\nborg-repo:x:991:\nborg-appendonly:x:992:\nborg-restore:x:994:\nborg-admin:x:993:\n";
const passwd =
  "root:x:0:0:root:/root:/bin/bash\nsshd:x:101:65534::/run/sshd:/usr/sbin/nologin\nborgkeys:x:990:990::/nonexistent:/usr/sbin/nologin\n";
const shadow = "root:!:1:0:99999:7:::\nsshd:!:1::::::\nborgkeys:*:1::::::\n";

test("the names of the system's accounts, and that of BORG_SSHKEYS, are nobody else's", () => {
  expect(systemNames({ passwd })).toEqual(new Set(["borg", "root", "sshd", "borgkeys"]));
});

test("the ids that the server relies on are told with their names", () => {
  expect(reservedIds({ passwd })).toEqual({
    uids: new Map([
      [101, "sshd"],
      [990, "borgkeys"],
    ]),
    gids: new Map([
      [65534, "sshd"],
      [990, "borgkeys"],
    ]),
  });
  expect(() => roleGids({ group: "root:x:0:\n" })).toThrow("borg-repo does not exist");
});

test("what an older server wrote is removed from both files, and nothing else", () => {
  const files = {
    group,
    passwd: `${passwd}borg:x:1000:993:borgserver:/repos:/bin/sh\nweb:x:1000:991:borgserver:/repos/web:/bin/sh\nguest:x:1000:100::/:/bin/sh\n`,
  };
  expect(leftAccounts(files)).toEqual(["borg", "web"]);
  expect(withoutLeftAccounts(files, `${shadow}borg:*:::::::\nweb:*:::::::\n`)).toEqual({
    passwd: `${passwd}guest:x:1000:100::/:/bin/sh\n`,
    shadow,
  });
  // As a run leaves it that was interrupted between the two.
  expect(withoutLeftAccounts(files, shadow)).toEqual({
    passwd: `${passwd}guest:x:1000:100::/:/bin/sh\n`,
    shadow,
  });
  expect(leftAccounts({ passwd, group })).toEqual([]);
});

test("whatever else is in the files stays byte for byte", () => {
  const foreign = fc.array(
    fc.stringMatching(/^F[a-z]{1,5}:[xé*!]?:[0-9]{1,4}:[0-9]{1,2}:[^:\n]{0,5}:\/[^:\n]{0,5}:[^\n]{0,5}$/),
  );
  const ours = fc.array(fc.stringMatching(/^[a-e][a-z0-9.-]{3,8}$/));
  fc.assert(
    fc.property(foreign, ours, fc.infiniteStream(fc.boolean()), (lines, names, first) => {
      const own = names.map((name) => `${name}:x:1000:991:borgserver:/repos/${name}:/bin/sh`);
      const [some, others] = [[...lines], [...own]];
      const mixed: string[] = [];
      while (some.length + others.length > 0) {
        const [from, other] = first.next().value ? [some, others] : [others, some];
        mixed.push((from.shift() ?? other.shift())!);
      }
      const text = mixed.map((line) => `${line}\n`).join("");
      const kept = lines.map((line) => `${line}\n`).join("");
      expect(withoutLeftAccounts({ passwd: text, group }, text)).toEqual({ passwd: kept, shadow: kept });
    }),
  );
});
