import { expect, test } from "vitest";
import { deletionIn } from "../../../src/alerts/deletion.ts";
import type { SessionRecord } from "../../../src/ledger/record.ts";

const session = (more: Partial<SessionRecord>): SessionRecord => ({
  ...{ id: "1", account: "laptop", role: "repo", address: "192.0.2.7", key: "SHA256:x", repository: "web" },
  ...{ borg: "1.4.5", began: 0, ended: 1, kind: "prune", complete: true, code: 0, committed: 1 },
  ...{ transaction: 7, checkOk: null, puts: 0, deletes: 0, bytesIn: 0, bytesOut: 0, refused: 0 },
  ...{ deletesRefused: 0, ...more },
});

test.each([
  ["half of the objects", { deletes: 50 }, 100, null],
  ["more than half", { deletes: 51 }, 100, "laptop, from 192.0.2.7, removed 51 of its 100 objects"],
  [
    "more than half, by an operator",
    { role: "operator", deletes: 51 },
    100,
    "an operator removed 51 of its 100 objects",
  ],
  [
    "more than there was, of what it put itself",
    { puts: 100, deletes: 60 },
    10,
    "laptop, from 192.0.2.7, removed 60 of its 110 objects",
  ],
  ["of a repository that was never looked at", { deletes: 51 }, null, null],
  [
    "the repository",
    { kind: "delete", committed: null },
    100,
    "laptop, from 192.0.2.7, deleted the whole repository",
  ],
  ["a delete that broke off", { kind: "delete", committed: null, complete: false }, 100, null],
  [
    "an append-only client that tries",
    { role: "appendonly", deletesRefused: 1, refused: 1, kind: "read" },
    100,
    "laptop, from 192.0.2.7, tried to delete what was backed up and was refused; the account is append-only",
  ],
  ["an append-only client that was refused something else", { role: "appendonly", refused: 1 }, 100, null],
  ["a full client whose deletion failed", { deletesRefused: 1, refused: 1 }, 100, null],
] as [string, Partial<SessionRecord>, number | null, string | null][])("%s", (_, more, objects, text) => {
  expect(deletionIn(session(more), objects)).toBe(text);
});
