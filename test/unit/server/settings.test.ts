import { expect, test } from "vitest";
import { readNotify, shownAddress } from "../../../src/server/addresses.ts";
import { environmentOf, isOpenToOthers, readSettings } from "../../../src/server/settings.ts";
import { isInZoneDatabase } from "../../../src/server/time-zone.ts";

const reserved = { uids: new Map([[101, "sshd"]]), gids: new Map([[990, "borgkeys"]]) };
const read = (environment: Record<string, string>) => readSettings(environment, reserved, isInZoneDatabase);

test("an empty environment gives the defaults", () => {
  expect(read({})).toEqual({
    problems: [],
    settings: {
      owner: { uid: 1000, gid: 1000 },
      borgKeys: "",
      extraArguments: { repo: [], appendonly: [], restore: [], admin: [] },
      sandbox: "auto",
      deletions: "refused",
      watchEvery: 30,
      statusListen: null,
      metricsFile: null,
      pingPrivate: false,
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

const notAnId = /^".*" is not a numeric id/;
const ofRoot = /root \(0\)/;
const notAValue = /is not a (valid )?value/;
const decidedByTheFolder = /session can reach/;
const help = /would print help/;
const profile = /would write a file at every login/;
const notAZone = /is not the name of a time zone/;
const notToTheLetter = /\/usr\/share\/zoneinfo/;
const notTheOwnersAlone = /what sessions write/;
const notATime = /is not a time from 1s to 24h$/;
const character = /character/;

test.each([
  ["PUID", "0", ofRoot],
  ["PUID", "0000000000", ofRoot],
  ["PGID", "0", ofRoot],
  ["PUID", "-1", notAnId],
  ["PUID", "1e3", notAnId],
  ["PUID", "0x10", notAnId],
  ["PUID", " 7", notAnId],
  ["PUID", "4294967295", notAnId],
  ["PUID", "00000000001", notAnId],
  ["PGID", "users", notAnId],
  ["PUID", "101", /^101 is the id of sshd\b/],
  ["PGID", "990", /^990 is the id of borgkeys\b/],
  ["BORG_SANDBOX", "on", notAValue],
  ["SSH_LOG_LEVEL", "info", notAValue],
  ["APPENDONLY_DELETIONS", "no", notAValue],
  ["WATCH_EVERY", "0s", notATime],
  ["WATCH_EVERY", "30", notATime],
  ["WATCH_EVERY", "1.5m", notATime],
  ["WATCH_EVERY", "-1s", notATime],
  ["WATCH_EVERY", "1d", notATime],
  ["WATCH_EVERY", "25h", notATime],
  ["WATCH_EVERY", "86401s", notATime],
  ["WATCH_EVERY", "OFF", notATime],
  ["WATCH_EVERY", " 30s", notATime],
  ["REPO_SERVE_EXTRA_ARGS", "--restrict-to-path", decidedByTheFolder],
  ["REPO_SERVE_EXTRA_ARGS", "--restrict-to-path=/", decidedByTheFolder],
  ["APPENDONLY_SERVE_EXTRA_ARGS", "--restrict-to-repo=/repos/x", decidedByTheFolder],
  ["ADMIN_SERVE_EXTRA_ARGS", "--re", decidedByTheFolder],
  ["ADMIN_SERVE_EXTRA_ARGS", "--he", help],
  ["ADMIN_SERVE_EXTRA_ARGS", "-h", help],
  ["ADMIN_SERVE_EXTRA_ARGS", "-ph", help],
  ["ADMIN_SERVE_EXTRA_ARGS", "--debug-profile=/x", profile],
  ["ADMIN_SERVE_EXTRA_ARGS", "--debug-p", profile],
  ["TZ", "+02:00", notAZone],
  ["TZ", "Mars/Olympus", notAZone],
  ["TZ", "europe/berlin", notToTheLetter],
  ["TZ", "EUROPE/BERLIN", notToTheLetter],
  ["TZ", "utc", notToTheLetter],
  ["TZ", "Utc", notToTheLetter],
  ["TZ", "us/eastern", notToTheLetter],
  ["TZ", "Asia/calcutta", notToTheLetter],
  ["TZ", "cet", notToTheLetter],
  ["TZ", "America", notAZone],
  ["TZ", "zone.tab", notAZone],
  ["TZ", "posix/Europe/Berlin", notAZone],
  ["TZ", "/usr/share/zoneinfo/Europe/Berlin", notAZone],
  ["TZ", "../zoneinfo/Europe/Berlin", notAZone],
  ["TZ", "Europe/Berlin ", notAZone],
  ["TZ", "Etc/:UTC", notAZone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask 000", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=000", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0o22", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0O022", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--um 0027", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--uma=007", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umas 70", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask 77 --umask 22", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=22 --umask=77", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=-1", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0x3f", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0_77", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=0777", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=+77", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=77x", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask --critical", notTheOwnersAlone],
  ["ADMIN_SERVE_EXTRA_ARGS", 'a"b', character],
  ["ADMIN_SERVE_EXTRA_ARGS", "a;b", character],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask=$x", character],
  ["ADMIN_SERVE_EXTRA_ARGS", "--umask $x", character],
])("%s=%s is a problem of that setting, for its own reason", (name, value, reason) => {
  const { settings, problems } = read({ [name]: value });
  expect(problems).toEqual([
    { where: name, text: expect.stringMatching(reason), hint: expect.stringMatching(/./) },
  ]);
  if (!name.endsWith("_ARGS")) expect(settings).toEqual(read({}).settings);
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
  ["ADMIN_SERVE_EXTRA_ARGS", "--remote-path=borg1"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--u=22"], // could be --umask or --upload-…: borg's to refuse
])("%s=%j is fine", (name, value) => {
  expect(read({ [name]: value }).problems).toEqual([]);
});

test("each of the values that a setting can have is taken, and a problem lists them", () => {
  const logLevels = ["QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3"];
  for (const SSH_LOG_LEVEL of logLevels)
    expect(read({ SSH_LOG_LEVEL })).toMatchObject({ problems: [], settings: { logLevel: SSH_LOG_LEVEL } });
  for (const BORG_SANDBOX of ["auto", "require", "off"])
    expect(read({ BORG_SANDBOX })).toMatchObject({ problems: [], settings: { sandbox: BORG_SANDBOX } });
  expect(read({ SSH_LOG_LEVEL: "all" }).problems[0]?.hint).toContain(logLevels.join(", "));
  expect(read({ BORG_SANDBOX: "on" }).problems[0]?.hint).toContain("auto, require, off");
});

test.each([
  ["1s", 1],
  ["5m", 300],
  ["24h", 86_400],
  ["86400s", 86_400],
  ["off", null],
])("WATCH_EVERY=%s is %s seconds", (WATCH_EVERY, watchEvery) => {
  expect(read({ WATCH_EVERY })).toMatchObject({ problems: [], settings: { watchEvery } });
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
  const problems = (TZ: string) => readSettings({ TZ }, reserved, () => false).problems;
  expect([...problems(""), ...problems("UTC")]).toEqual([]);
  expect(problems("Europe/Rome")).toMatchObject([
    {
      where: "TZ",
      text: expect.stringMatching(notToTheLetter),
      hint: expect.stringContaining("Europe/Berlin"),
    },
  ]);
});

test("settings, made into an environment, are read from it the same", () => {
  for (const environment of [
    {},
    { WATCH_EVERY: "off" },
    { WATCH_EVERY: "2m" },
    { PUID: "3", PGID: "4294967294", BORG_SANDBOX: "off", SSH_LOG_LEVEL: "VERBOSE", TZ: ":Europe/Berlin" },
    { REPO_SERVE_EXTRA_ARGS: " --storage-quota  5G\n--critical", BORG_SSHKEYS: " \n" },
  ]) {
    const { settings } = read(environment);
    expect(read(environmentOf(settings) as Record<string, string>)).toEqual({ settings, problems: [] });
  }
});

test.each([":9100", "127.0.0.1:9100", "[::1]:9100", "localhost:65535", "0.0.0.0:1024"])(
  "STATUS_LISTEN=%s is an address to listen at",
  (STATUS_LISTEN) => {
    expect(read({ STATUS_LISTEN })).toMatchObject({
      problems: [],
      settings: { statusListen: STATUS_LISTEN },
    });
  },
);

test.each(["9100", "host:9100", "1.2.3:9100", "[::g]:9100", ":0", ":80", ":65536", "127.0.0.1:", "unix:/x"])(
  "STATUS_LISTEN=%s is none",
  (STATUS_LISTEN) => {
    const { problems, settings } = read({ STATUS_LISTEN });
    expect(problems).toMatchObject([{ where: "STATUS_LISTEN" }]);
    expect(settings.statusListen).toBeNull();
  },
);

test("others than this machine reach what listens at an address that is not of the loopback", () => {
  const all = ["127.0.0.1:9100", "127.0.0.53:9100", "[::1]:9100", "localhost:9100"];
  expect(all.map(isOpenToOthers)).toEqual([false, false, false, false]);
  expect([":9100", "0.0.0.0:9100", "[::]:9100", "192.0.2.7:9100"].map(isOpenToOthers)).toEqual([
    ...[true, true, true, true],
  ]);
});

test("METRICS_FILE is a file that node_exporter would read", () => {
  const METRICS_FILE = "/metrics/borgserver.prom";
  expect(read({ METRICS_FILE })).toMatchObject({ problems: [], settings: { metricsFile: METRICS_FILE } });
  for (const wrong of ["borgserver.prom", "/metrics/borgserver.txt", "/borgserver.prom", "/a/../b/c.prom"])
    expect(read({ METRICS_FILE: wrong }).problems, wrong).toMatchObject([{ where: "METRICS_FILE" }]);
});

test("NOTIFY: URLs with white space between; what is wrong is not repeated, it may hold a secret", () => {
  expect(readNotify({})).toEqual({ urls: [], problems: [] });
  expect(readNotify({ NOTIFY: " ntfy://a/b\nmailto://u:p@h  ntfy://a/b" })).toEqual({
    urls: ["ntfy://a/b", "mailto://u:p@h"],
    problems: [],
  });
  const { problems } = readNotify({ NOTIFY: "ntfy://a/b secret" });
  expect(problems).toMatchObject([{ where: "NOTIFY", text: "address 2 is not a URL" }]);
  expect(JSON.stringify(problems)).not.toContain("secret");
});

test("an address is shown by its place and its kind alone", () => {
  const known = {
    operator: ["ntfy://secret/1"],
    accounts: { web: { notify: ["mailto://secret"], ping: "https://secret" } },
  };
  const shown = (url: string) => shownAddress(url, known);
  expect(shown("ntfy://secret/1")).toBe("address 1 of NOTIFY (ntfy)");
  expect(shown("mailto://secret")).toBe("the notify address of web (mailto)");
  expect(shown("https://secret")).toBe("the ping address of web (https)");
  expect(shown("slack://secret")).toBe("an address (slack)");
});
