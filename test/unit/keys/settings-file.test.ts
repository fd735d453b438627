import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeSettings } from "../../../src/keys/account-settings.ts";
import { parseSettingsFile } from "../../../src/keys/settings-file.ts";
import { readSettingsFolder, withSettings } from "../../../src/keys/settings-folder.ts";

const parse = (text: string, isDefault = false) => parseSettingsFile("settings/web", text, isDefault);

test("every setting, as people write it", () => {
  expect(
    parse(`# the web server
repository = "shared"
quota = "1.5T"
late-after = "26h" # a day and two hours
deletions = "kept"
archived = true
`),
  ).toEqual({
    settings: {
      repository: "shared",
      quota: 1.5e12,
      lateAfter: 26 * 3600,
      deletions: "kept",
      archived: true,
    },
    problems: [],
  });
  expect(parse("")).toEqual({ settings: {}, problems: [] });
});

test.each([
  ["500G", 5e11],
  ["500 GB", 5e11],
  ["10M", 1e7],
  ["2.5t", 2.5e12],
  ["20000000", 2e7],
  ["1.000000001G", 1_000_000_001],
])("the quota %s is %d bytes", (text, quota) => {
  expect(parse(`quota = "${text}"`)).toEqual({ settings: { quota }, problems: [] });
});

test.each([
  ["90m", 5400],
  ["26h", 93_600],
  ["30d", 2_592_000],
  ["1w", 604_800],
  ["60s", 60],
])("late after %s are %d seconds", (text, lateAfter) => {
  expect(parse(`late-after = "${text}"`)).toEqual({ settings: { lateAfter }, problems: [] });
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
    ['notify = "x"', 1, '"notify" is no setting'],
    ['[quota]\nsize = "5G"', 1, "quota: this takes a size"],
    ['\nquota = "500G', 2, "this is not TOML"],
    ['quota = "500G"\nquota = "600G"', 2, "this is not TOML"],
    ["__proto__ = 1", 1, '"__proto__" is no setting'],
    ["constructor = 1", 1, '"constructor" is no setting'],
  ])("%j", (text, line, what) => {
    const { problems, settings } = parse(text);
    expect(problems).toEqual([expect.objectContaining({ where: "settings/web", line })]);
    expect(problems[0]!.text).toContain(what);
    expect(settings).toEqual({});
  });

  test("and every problem is told", () => {
    expect(parse('quota = "x"\nnew = 1\narchived = 1').problems.map(({ line }) => line)).toEqual([1, 2, 3]);
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
});

describe("the folder", () => {
  const folder = (files: Record<string, string>) => {
    const made = mkdtempSync(join(tmpdir(), "settings-"));
    mkdirSync(`${made}/settings`);
    for (const [name, text] of Object.entries(files)) writeFileSync(`${made}/settings/${name}`, text);
    return made;
  };
  const account = (name: string, role: "repo" | "admin" = "repo") => ({
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
    const { accounts, problems } = withSettings(path, [account("web"), account("db")], read);
    expect(problems).toEqual([]);
    expect(accounts.map(({ settings }) => settings)).toEqual([
      { lateAfter: 93_600, quota: 2e12 },
      { lateAfter: 93_600, quota: 1e12 },
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
      "/settings/folder: this is a folder, but repositories are side by side",
    ]);
    const { problems } = withSettings(path, [account("web"), account("db"), account("boss", "admin")], read);
    expect(problems.map(({ where, text }) => `${where.slice(path.length)}: ${text}`)).toEqual([
      "/settings/boss: an admin reaches every repository, so it has none of its own",
      "/settings/nobody: there is no account of this name",
      "/settings/db: the repository WEB differs from web only by case, and on some storage both would be one directory",
    ]);
  });

  test("an account that is still published may leave its settings behind", () => {
    const path = folder({ gone: "" });
    expect(withSettings(path, [], readSettingsFolder(path), () => new Set(["gone"])).problems).toEqual([]);
  });

  test("need not be there", () => {
    expect(readSettingsFolder("/nonexistent")).toEqual({
      exists: false,
      common: {},
      own: new Map(),
      problems: [],
    });
  });
});
