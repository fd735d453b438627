import fc from "fast-check";
import { expect, test } from "vitest";
import { parseAuthorizedKeys } from "../../../src/import/authorized-keys.ts";
import { mergeWarehouse, parseWarehouse } from "../../../src/import/warehouse.ts";
import { clientKey } from "../../corpus/clients.ts";

const key = `${clientKey("client").line} root@web01`;

/** An entry as BorgWarehouse 3.6 writes it. */
const entry = {
  id: 0,
  alias: "Web server",
  repositoryName: "a1b2c3d4",
  status: false,
  lastSave: 0,
  alert: 90000,
  storageSize: 20,
  storageUsed: 0,
  sshPublicKey: key,
  comment: "",
  lanCommand: false,
  appendOnlyMode: true,
  archived: false,
};
const parse = (...entries: unknown[]) => parseWarehouse("repo.json", JSON.stringify(entries));

test("an entry gives the key, its rights, and when the repository is late", () => {
  expect(parse(entry)).toMatchObject({
    grants: [
      {
        place: { where: "repo.json: a1b2c3d4" },
        key: { comment: "root@web01" },
        opens: [{ path: "/home/borgwarehouse/repos/a1b2c3d4", isRepository: true }],
        isAppendOnly: true,
        quota: "20G",
        called: "Web server",
        lateAfter: 90000,
      },
    ],
    problems: [],
  });
  expect(parse({ ...entry, alert: 0 }).grants[0]).not.toHaveProperty("lateAfter");
  expect(parse({ ...entry, archived: true }).grants[0]).toMatchObject({ isArchived: true });
});

test.each([
  ["nonsense", /not JSON/],
  ["{}", /not BorgWarehouse's list/],
  ["[null]", /no repositoryName/],
  ['[{"repositoryName":"../x"}]', /no repositoryName/],
  ['[{"repositoryName":"a1b2c3d4"}]', /no sshPublicKey/],
  ['[{"repositoryName":"a1b2c3d4","sshPublicKey":"x"}]', /not an OpenSSH public key/],
])("%s is a problem", (text, reason) => {
  expect(parseWarehouse("repo.json", text).problems).toMatchObject([{ text: expect.stringMatching(reason) }]);
});

const line = (quota: string, more = "") =>
  `${more}command="cd /home/borgwarehouse/repos;borg serve --restrict-to-path /home/borgwarehouse/repos/a1b2c3d4 --storage-quota ${quota}",restrict ${key}\n`;
const lines = (text: string) => parseAuthorizedKeys("authorized_keys", Buffer.from(text));

test("where both files are, rights are those of the line, and names those of the list", () => {
  const { grants, left } = mergeWarehouse(lines(line("30G", "#BW-ARCHIVED ")), parse(entry));
  expect(grants).toMatchObject([
    {
      place: { where: "authorized_keys", line: 1 },
      opens: [{ isRepository: true }],
      isAppendOnly: false,
      quota: "30G",
      called: "Web server",
      lateAfter: 90000,
      isArchived: true,
    },
  ]);
  expect(left).toEqual([]);
});

test("an entry without a line opens nothing, and that is told", () => {
  const { grants, left } = mergeWarehouse(lines("\n"), parse(entry));
  expect(grants).toEqual([]);
  expect(left).toMatchObject([{ where: "repo.json: a1b2c3d4", text: expect.stringMatching(/no line/) }]);
});

test("whatever the list is, nothing is thrown", () => {
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom(key, "a1b2c3d4", -1, 1e300));
  const object = fc.record(Object.fromEntries(Object.keys(entry).map((name) => [name, value])));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.array(object).map((list) => JSON.stringify(list)),
      ),
      (text) => {
        const { grants } = parseWarehouse("repo.json", text);
        for (const { opens } of grants)
          expect(opens[0]!.path).toMatch(/^\/home\/borgwarehouse\/repos\/[^/]+$/);
      },
    ),
  );
});
