import { expect, test } from "vitest";
import { readSettings } from "../../src/settings.ts";

const reserved = { uids: new Map([[101, "sshd"]]), gids: new Map([[990, "borgkeys"]]) };
const read = (environment: Record<string, string>) => readSettings(environment, reserved);

test("an empty environment gives the defaults", () => {
  expect(read({})).toEqual({
    problems: [],
    settings: {
      uid: 1000,
      gid: 1000,
      borgKeys: "",
      extraArguments: { repo: [], appendonly: [], admin: [] },
      sandbox: "auto",
      landlock: 3,
      logLevel: "INFO",
      timeZone: "UTC",
    },
  });
  expect(read({ PUID: "", BORG_SANDBOX: "", SSH_LOG_LEVEL: "" })).toEqual(read({}));
});

test("extra arguments are words", () => {
  const { settings, problems } = read({ REPO_SERVE_EXTRA_ARGS: "  --storage-quota 20G\n--umask=0027 " });
  expect(problems).toEqual([]);
  expect(settings.extraArguments.repo).toEqual(["--storage-quota", "20G", "--umask=0027"]);
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
  ["BORG_SSHKEYS", "ssh-ed25519 AAAA"],
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
  ["BORG_SSHKEYS", " \n"],
  ["ADMIN_SERVE_EXTRA_ARGS", "--debug"],
])("%s=%j is fine", (name, value) => {
  expect(read({ [name]: value }).problems).toEqual([]);
});

test("numeric ids may be high, and those of other accounts", () => {
  expect(read({ PUID: "99", PGID: "100" }).problems).toEqual([]);
  expect(read({ PUID: "4294967294", PGID: "101" }).problems).toEqual([]);
});

test("sessions are confined unless the operator says otherwise, or the start finds that they cannot be", () => {
  expect(read({ BORG_SANDBOX: "require" }).settings).toMatchObject({ sandbox: "require", landlock: 3 });
  expect(read({ BORG_SANDBOX: "off" }).settings).toMatchObject({ sandbox: "off", landlock: 0 });
});
