import { describe, expect, test } from "vitest";
import { homeOf, reachOf, repositoryToBegin } from "../../../src/operator/reach.ts";

const there = new Set([
  "/repos",
  "/repos/web",
  "/repos/db",
  "/repos/check",
  "/repos/{x}",
  "/keys",
  "/keys/my key",
  "/out",
  "/out/list",
  "/etc",
  "/",
  "/client",
]);
const reach = (command: string, folder = "/", environment: Record<string, string> = {}) =>
  reachOf(command.split(" "), { environment, folder, exists: (path) => there.has(path) });

describe("an operator's command reaches the repository that its words name, and no other", () => {
  test.each([
    "check /repos/web",
    "compact --progress /repos/web",
    "list /repos/web::archive",
    "list file:///repos/web::a/b",
    "list repos/web",
    "list /repos/./db/../web",
    "info /repos//web/",
    "list /repos/web/",
  ])("%s", (command) => {
    expect(reach(command)).toEqual({ repository: "/repos/web", also: [], look: [] });
  });

  test("also by a name relative to the folder it is started in", () => {
    expect(reach("list web", "/repos")).toEqual({ repository: "/repos/web", also: [], look: [] });
  });

  test("and none where there is none of that name", () => {
    expect(reach("list /repos/none")).toEqual({ repository: null, also: [], look: [] });
    expect(reach("list ssh://me@elsewhere/repos/web")).toEqual({ repository: null, also: [], look: [] });
    expect(reach("--version")).toEqual({ repository: null, also: [], look: [] });
  });
});

test("the repository is the word that borg takes for it, and no option's value, command or other path", () => {
  expect(reach("create --exclude /repos/db /repos/web::a /client")).toEqual({
    repository: "/repos/web",
    also: ["/client"],
    look: ["/repos/db"],
  });
  expect(reach("check web", "/repos")).toEqual({ repository: "/repos/web", also: [], look: [] });
  expect(reach("create ::a /repos/db", "/", { BORG_REPO: "/repos/web" })).toEqual({
    repository: "/repos/web",
    also: [],
    look: ["/repos/db"],
  });
  expect(reach("list", "/", { BORG_REPO: "/repos/web" }).repository).toBe("/repos/web");
  expect(reach("list /repos/{{x}}").repository).toBe("/repos/{x}");
});

test("only borg init begins a repository, and the one that it names", () => {
  const begun = (command: string, folder = "/", environment = {}) =>
    repositoryToBegin(command.split(" "), { environment, folder });
  expect(begun("init -e none web", "/repos")).toBe("/repos/web");
  expect(begun("init -e none", "/repos", { BORG_REPO: "/repos/new" })).toBe("/repos/new");
  expect(begun("--info init -e repokey /repos/new")).toBe("/repos/new");
  for (const other of ["list -a init /repos/typo", "init --help /repos/x", "init -e none /elsewhere"])
    expect(begun(other)).toBeNull();
});

test("paths in the environment that borg goes by are reached", () => {
  const environment = {
    BORG_KEY_FILE: "/keys/my key",
    BORG_PASSCOMMAND: "sh -c 'cat /out/list'",
    BORG_PASSPHRASE: "/etc",
  };
  expect(reach("list /repos/web", "/", environment).also).toEqual(["/keys/my key", "/out/list"]);
});

test("a folder that the owner cannot see is left out", () => {
  expect(reach("list /repos/web", "/root").also).toEqual([]);
});

test("what else the words name is reached too", () => {
  expect(reach("create /repos/web::a /etc --patterns-from=/out/list")).toEqual({
    repository: "/repos/web",
    also: ["/etc", "/out/list"],
    look: [],
  });
  expect(reach("key export /repos/web /out/key").also).toEqual(["/out"]);
  expect(reach("extract /repos/web::a", "/client").also).toEqual(["/client"]);
});

test("another repository, or a folder that holds them, is only read", () => {
  expect(reach("create /repos/web::a /repos/db /repos /")).toEqual({
    repository: "/repos/web",
    also: [],
    look: ["/repos/db", "/repos", "/"],
  });
  expect(reach("export-tar /repos/web::a /repos/web.tar")).toEqual({
    repository: "/repos/web",
    also: [],
    look: [],
  });
});

test("devices and processes are never added", () => {
  there.add("/dev/sda");
  expect(reach("create /repos/web::a /dev/sda").also).toEqual([]);
});

test("a serve reaches what an admin's session does", () => {
  for (const words of ["serve --restrict-to-path /repos/web", "--debug serve --restrict-to-path=/out"])
    expect(reach(words).repository).toBe("/repos");
  expect(reach("serve --restrict-to-path=/out").also).toEqual(["/out"]);
});

test("borg keeps its notes of each repository apart", () => {
  expect(homeOf(reach("list /repos/web"), "/home")).toBe("/home/repositories/web");
  expect(homeOf(reach("list x"), "/home")).toBe("/home");
});
