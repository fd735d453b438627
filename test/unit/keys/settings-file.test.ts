import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeSettings } from "../../../src/keys/account-settings.ts";
import { parseSettingsFile } from "../../../src/keys/settings-file.ts";
import { readSettingsFolder, withSettings } from "../../../src/keys/settings-folder.ts";
import type { Role } from "../../../src/role.ts";

const parse = (text: string, isDefault = false) => parseSettingsFile("settings/web", text, isDefault);

test("every setting, as people write it", () => {
  expect(
    parse(`# the web server
repository = "shared"
quota = "1.5T"
late-after = "26h" # a day and two hours
deletions = "kept"
archived = true
notify = ["ntfy://ntfy.sh/web", "mailto://user:secret@example.org"]
ping = "https://hc-ping.com/0c4b"
`),
  ).toEqual({
    settings: {
      repository: "shared",
      quota: 1.5e12,
      lateAfter: 26 * 3600,
      deletions: "kept",
      archived: true,
    },
    addresses: {
      notify: ["ntfy://ntfy.sh/web", "mailto://user:secret@example.org"],
      ping: "https://hc-ping.com/0c4b",
    },
    problems: [],
  });
  expect(parse('notify = "ntfy://ntfy.sh/web"').addresses).toEqual({ notify: ["ntfy://ntfy.sh/web"] });
  expect(parse("")).toEqual({ settings: {}, addresses: {}, problems: [] });
});

test("a wrong address is not repeated: it may hold a secret", () => {
  for (const text of [
    'notify = "secret"',
    'notify = ["x://y", "secret"]',
    'ping = "ftp://secret"',
    "notify = []",
  ]) {
    const { problems, addresses } = parse(text);
    expect({ addresses, count: problems.length }, text).toEqual({ addresses: {}, count: 1 });
    expect(JSON.stringify(problems)).not.toContain("secret");
  }
});

test("not every account may call the same address", () => {
  expect(parse('ping = "https://hc-ping.com/0c4b"', true).problems).toMatchObject([
    { text: "all accounts would call this address, and a missing backup of one would not show" },
  ]);
  expect(parse('notify = "ntfy://ntfy.sh/all"', true).problems).toEqual([]);
});

test.each([
  ["500G", 5e11],
  ["500 GB", 5e11],
  ["10M", 1e7],
  ["2.5t", 2.5e12],
  ["20000000", 2e7],
  ["1.000000001G", 1_000_000_001],
])("the quota %s is %d bytes", (text, quota) => {
  expect(parse(`quota = "${text}"`)).toEqual({ settings: { quota }, addresses: {}, problems: [] });
});

test.each([
  ["90m", 5400],
  ["26h", 93_600],
  ["30d", 2_592_000],
  ["1w", 604_800],
  ["60s", 60],
])("late after %s are %d seconds", (text, lateAfter) => {
  expect(parse(`late-after = "${text}"`)).toEqual({ settings: { lateAfter }, addresses: {}, problems: [] });
});

describe("a problem has its line", () => {
  test.each([
    ['quota = "9M"', 1, "quota: this takes 10M at least"],
    ['\n\nquota = "-5G"', 3, 'quota: this takes a size, as in "500G" or "1.5T"'],
    ["quota = 500", 1, "quota: this takes a size"],
    ['quota = "5X"', 1, "quota: this takes a size"],
    ['quota = "99999P"', 1, "quota: this takes a size"],
    ['late-after = "26"', 1, 'late-after: this takes a time, as in "26h" or "30d"'],
    ['late-after = "0h"', 1, "late-after: this takes a time"],
    ['late-after = "9999999d"', 1, "late-after: this takes a time"],
    ['deletions = "gone"', 1, 'deletions: this takes "refused" or "kept"'],
    ['archived = "yes"', 1, "archived: this takes true or false"],
    ['repository = "../web"', 1, "repository: the name must start with"],
    ['repository = "/repos/web"', 1, "repository: the name contains a character"],
    ["repository = 7", 1, "repository: this takes the name of a repository"],
    ['\n"Quota" = "5G"', 2, '"Quota" is no setting'],
    ['notify = "x"', 1, "notify: this takes one Apprise URL or a list of them"],
    ["\nping = 7", 2, "ping: this takes an address"],
    ['webhook = "x"', 1, '"webhook" is no setting'],
    ['[quota]\nsize = "5G"', 1, "quota: this takes a size"],
    ['\nquota = "500G', 2, "this is not TOML"],
    ['quota = "500G"\nquota = "600G"', 2, "this is not TOML"],
    ["__proto__ = 1", 1, '"__proto__" is no setting'],
    ["constructor = 1", 1, '"constructor" is no setting'],
    ['# "quota" was "5G"\nquota = 5', 2, "quota: this takes a size"],
    ["quota.size = 1", 1, "quota: this takes a size"],
    ["'quota' = 1", 1, "quota: this takes a size"],
  ])("%j", (text, line, what) => {
    const { problems, settings } = parse(text);
    expect(problems).toEqual([expect.objectContaining({ where: "settings/web", line })]);
    expect(problems[0]!.text).toContain(what);
    expect(settings).toEqual({});
  });

  test("and every problem is told", () => {
    expect(parse('quota = "x"\nnew = 1\narchived = 1').problems.map(({ line }) => line)).toEqual([1, 2, 3]);
  });

  test("that of its own key, not of one that begins like it", () => {
    expect(parse('notify = "x"\nnot = 1').problems.map(({ line }) => line)).toEqual([1, 2]);
  });

  test("one repository for all accounts is none", () => {
    expect(parse('repository = "a"', true).problems[0]!.text).toBe("all accounts would open this repository");
  });
});

test("whatever is in it, a file gives settings or problems", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.json()), (text) => {
      const { settings, problems } = parse(text);
      if (problems.length === 0) expect(Object.values(settings)).not.toContain(undefined);
    }),
    { numRuns: 3000 },
  );
});

test("they are described by what people would write", () => {
  expect(
    describeSettings({
      repository: "a",
      quota: 1.5e12,
      lateAfter: 26 * 3600,
      deletions: "kept",
      archived: true,
    }),
  ).toBe("repository a, quota 1.5T, late after 26h, deletions kept, archived");
  expect(describeSettings({ quota: 12_345_678, lateAfter: 30 * 86_400, archived: false })).toBe(
    "quota 12345678, late after 30d",
  );
  expect(describeSettings({ lateAfter: 36 * 3600 })).toBe("late after 36h");
});

describe("the folder", () => {
  const folder = (files: Record<string, string>) => {
    const made = mkdtempSync(join(tmpdir(), "settings-"));
    mkdirSync(`${made}/settings`);
    for (const [name, text] of Object.entries(files)) writeFileSync(`${made}/settings/${name}`, text);
    return made;
  };
  const account = (name: string, role: Role = "repo") => ({
    ...{ name, role, source: `/sshkeys/${name}`, state: null, keys: [] },
  });

  test("gives each account its own settings before those of all", () => {
    const path = folder({
      default: 'late-after = "26h"\nquota = "1T"',
      web: 'quota = "2T"',
      ".git": "x",
      "a~": "x",
    });
    const read = readSettingsFolder(path);
    expect(read).toMatchObject({ exists: true, problems: [] });
    const all = [account("web"), account("db"), account("boss", "admin")];
    const { accounts, problems } = withSettings(path, all, read);
    expect(problems).toEqual([]);
    expect(accounts.map(({ settings }) => settings)).toEqual([
      { lateAfter: 93_600, quota: 2e12 },
      { lateAfter: 93_600, quota: 1e12 },
      undefined,
    ]);
  });

  test("has its problems: no account, an admin's repository, names that differ by case, no file", () => {
    const path = folder({
      nobody: "",
      boss: 'repository = "web"',
      db: 'repository = "WEB"',
      big: `# ${"x".repeat(70_000)}`,
    });
    mkdirSync(`${path}/settings/folder`);
    const read = readSettingsFolder(path);
    expect(read.problems.map(({ where, text }) => `${where.slice(path.length)}: ${text}`)).toEqual([
      "/settings/big: the file is larger than 65536 bytes",
      "/settings/folder: this is not a file with settings",
    ]);
    const { problems } = withSettings(path, [account("web"), account("db"), account("boss", "admin")], read);
    const shown = problems.map(({ where, line, text }) => `${where.slice(path.length)}:${line}: ${text}`);
    expect(shown).toEqual([
      "/settings/boss:1: repository: an admin reaches every repository, and has none of its own",
      "/settings/nobody:undefined: there is no account of this name",
      "/settings/db:1: the repository WEB differs from web only by case, and on some storage both would be one directory",
    ]);
  });

  test("what nothing would obey in an account's role is a problem with its line", () => {
    const path = folder({
      boss: 'quota = "1T"\nlate-after = "1d"\narchived = true\ndeletions = "kept"',
      web: 'quota = "1T"\ndeletions = "refused"',
      db: 'deletions = "kept"',
      default: 'deletions = "kept"\nlate-after = "1d"\narchived = false',
    });
    const all = [account("boss", "admin"), account("web"), account("db", "appendonly"), account("x")];
    const { problems } = withSettings(path, all, readSettingsFolder(path));
    expect(problems.map(({ where, line, text }) => `${where.slice(path.length)}:${line}: ${text}`)).toEqual([
      "/settings/boss:2: late-after: an admin has no repository of its own that could be late",
      "/settings/boss:4: deletions: an admin can delete everything",
      "/settings/boss:3: archived: an admin has no repository of its own, and writes to archived ones too",
      "/settings/web:2: deletions: an account in repos can delete everything",
    ]);
  });

  describe("an archived repository is archived for every account that opens it", () => {
    const all = [account("web"), account("prune"), account("boss", "admin"), account("db")];
    const archived = (files: Record<string, string>) => {
      const path = folder({ prune: 'repository = "web"', ...files });
      const { accounts, problems } = withSettings(path, all, readSettingsFolder(path));
      const names = accounts.filter(({ settings }) => settings?.archived).map(({ name }) => name);
      return { names, problems: problems.map((each) => ({ ...each, where: each.where.slice(path.length) })) };
    };

    test.each([
      ["its own says so", { web: "archived = true" }, ["web", "prune"]],
      ["another's says so", { prune: 'archived = true\nrepository = "web"' }, ["web", "prune"]],
      [
        "two say so",
        { prune: 'archived = true\nrepository = "web"', web: "archived = true" },
        ["web", "prune"],
      ],
      ["all are, but this one is not", { default: "archived = true", web: "archived = false" }, ["db"]],
      ["nobody says so", {}, []],
    ])("%s", (_, files, names) => {
      expect(archived(files as Record<string, string>)).toEqual({ names, problems: [] });
    });

    test("two that contradict each other are a problem", () => {
      const { problems } = archived({
        prune: 'repository = "web"\narchived = true',
        web: "archived = false",
      });
      expect(problems).toEqual([
        expect.objectContaining({
          ...{ where: "/settings/prune", line: 2 },
          text: "archived: the settings of web say otherwise of the same repository",
        }),
      ]);
    });
  });

  test("an account's addresses are its own, else those of all", () => {
    const path = folder({
      default: 'notify = "ntfy://all"',
      web: 'notify = "ntfy://web"\nping = "https://web"',
      prune: 'ping = "https://prune"',
      boss: 'ping = "https://boss"',
    });
    const all = [account("web"), account("prune"), account("boss", "admin"), account("db")];
    const { accounts, problems } = withSettings(path, all, readSettingsFolder(path));
    expect(problems).toEqual([]);
    expect(accounts.map(({ addresses }) => addresses)).toEqual([
      { notify: ["ntfy://web"], ping: "https://web" },
      { notify: ["ntfy://all"], ping: "https://prune" },
      { ping: "https://boss" },
      { notify: ["ntfy://all"] },
    ]);
  });

  test("nobody may rely on an address that nothing is sent to", () => {
    const path = folder({ boss: 'notify = "ntfy://boss"', help: 'ping = "https://help"' });
    const all = [account("boss", "admin"), account("help", "restore")];
    const { problems } = withSettings(path, all, readSettingsFolder(path));
    expect(problems.map(({ text, line }) => [line, text])).toEqual([
      [1, "notify: an admin has no repository of its own that could be told of; set NOTIFY"],
      [1, "ping: a restoring account makes no backup"],
    ]);
  });

  test("an account that is still published may leave its settings behind", () => {
    const path = folder({ gone: "" });
    expect(withSettings(path, [], readSettingsFolder(path), () => new Set(["gone"])).problems).toEqual([]);
  });

  test("what tools leave in it is skipped, and shown", () => {
    const path = folder({ ".web.swp": "x", "web~": "x", web: "" });
    const { skipped, problems } = readSettingsFolder(path);
    expect(skipped.sort()).toEqual([`${path}/settings/.web.swp`, `${path}/settings/web~`]);
    expect(problems).toEqual([]);
  });

  test("need not be there", () => {
    expect(readSettingsFolder("/nonexistent")).toEqual({
      exists: false,
      common: {},
      commonAddresses: {},
      own: new Map(),
      skipped: [],
      problems: [],
    });
  });
});
