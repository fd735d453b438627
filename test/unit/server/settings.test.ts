import { expect, test } from "vitest";
import { environmentOf, readSettings } from "../../../src/server/settings.ts";
import { isInZoneDatabase } from "../../../src/server/time-zone.ts";

const reserved = { uids: new Map([[101, "sshd"]]), gids: new Map([[990, "borgkeys"]]) };
const read = (environment: Record<string, string>) => readSettings(environment, reserved, isInZoneDatabase);

test("an empty environment gives the defaults", () => {
  expect(read({})).toEqual({
    problems: [],
    settings: {
      owner: { uid: 1000, gid: 1000 },
      borgKeys: "",
      extraArguments: { repo: [], appendonly: [], admin: [] },
      sandbox: "auto",
      logLevel: "INFO",
      timeZone: "UTC",
    },
  });
  expect(read({ PUID: "", BORG_SANDBOX: "", SSH_LOG_LEVEL: "" })).toEqual(read({}));
});

test("extra arguments are words", () => {
  const { settings, problems } = read({ REPO_SERVE_EXTRA_ARGS: "  --storage-quota 20G\n--umask=0077 " });
  expect(problems).toEqual([]);
  expect(settings.extraArguments.repo).toEqual(["--storage-quota", "20G", "--umask=0077"]);
});

test.each([
  ["PUID", "0"],
  ["PUID", "-1"],
  ["PUID", "1e3"],
  ["PUID", "4294967295"],
  ["PUID", "101"],
  ["PGID", "990"],
  ["PGID", "users"],
  ["BORG_SANDBOX", "on"],
  ["SSH_LOG_LEVEL", "info"],
  ["REPO_SERVE_EXTRA_ARGS", "--restrict-to-path"],
  ["REPO_SERVE_EXTRA_ARGS", "--restrict-to-path=/"],
  ["APPENDONLY_SERVE_EXTRA_ARGS", "--restrict-to-repo=/repos/x"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--re"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--he"],
  ["ADMIN_SERVE_EXTRA_ARGS", "-h"],
  ["ADMIN_SERVE_EXTRA_ARGS", "-ph"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--debug-profile=/x"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--debug-p"],
  ["TZ", "+02:00"],
  ["TZ", "Mars/Olympus"],
  ["TZ", "europe/berlin"],
  ["TZ", "EUROPE/BERLIN"],
  ["TZ", "utc"],
  ["TZ", "Utc"],
  ["TZ", "us/eastern"],
  ["TZ", "Asia/calcutta"],
  ["TZ", "cet"],
  ["TZ", "America"],
  ["TZ", "zone.tab"],
  ["TZ", "posix/Europe/Berlin"],
  ["TZ", "/usr/share/zoneinfo/Europe/Berlin"],
  ["TZ", "../zoneinfo/Europe/Berlin"],
  ["TZ", "Europe/Berlin "],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask 000"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=000"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0o22"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0O022"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--um 0027"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--uma=007"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umas 70"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask 77 --umask 22"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=22 --umask=77"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask="],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=-1"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0x3f"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0_77"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0777"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask --critical"],
  ["ADMIN_SERVE_EXTRA_ARGS", 'a"b'],
  ["ADMIN_SERVE_EXTRA_ARGS", "a;b"],
])("%s=%s is a problem of that setting", (name, value) => {
  const { problems } = read({ [name]: value });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatchObject({ where: name, hint: expect.stringMatching(/./) });
});

test.each([
  ["TZ", ":Europe/Berlin"],
  ["TZ", "EST5EDT"],
  ["TZ", "US/Eastern"],
  ["TZ", "CET"],
  ["TZ", "Asia/Calcutta"],
  ["TZ", "UTC"],
  ["TZ", "Etc/UTC"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask 077"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0o077"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--um 77 --umask=0077"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--upload-ratelimit=22"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--debug"],
])("%s=%j is fine", (name, value) => {
  expect(read({ [name]: value }).problems).toEqual([]);
});

test("numeric ids may be high, and those of other accounts", () => {
  expect(read({ PUID: "99", PGID: "100" }).problems).toEqual([]);
  expect(read({ PUID: "4294967294", PGID: "101" }).problems).toEqual([]);
});

test("a zone in the wrong letter case is reported with its name in the database", () => {
  expect(read({ TZ: "europe/BERLIN" }).problems).toMatchObject([
    { where: "TZ", hint: 'Write "Europe/Berlin".' },
  ]);
});

test("without a time zone database there is UTC, and nothing else", () => {
  const none = (TZ: string) => readSettings({ TZ }, reserved, () => false).problems.length;
  expect([none(""), none("UTC"), none("Europe/Berlin")]).toEqual([0, 0, 1]);
});

test("settings are what the environment gives that is made of them", () => {
  for (const environment of [
    {},
    { PUID: "3", PGID: "4294967294", BORG_SANDBOX: "off", SSH_LOG_LEVEL: "VERBOSE", TZ: ":Europe/Berlin" },
    { REPO_SERVE_EXTRA_ARGS: " --storage-quota  5G\n--critical", BORG_SSHKEYS: " \n" },
  ]) {
    const { settings } = read(environment);
    expect(read(environmentOf(settings) as Record<string, string>)).toEqual({ settings, problems: [] });
  }
});
