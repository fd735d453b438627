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

  test("and none where it names none, wherever it is started", () => {
    expect(reach("--version", "/repos/web")).toEqual({ repository: null, also: [], look: [] });
    expect(reach("list /client::a")).toEqual({ repository: null, also: ["/client"], look: [] });
  });

  test("and nothing if there is none of that name", () => {
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
  expect(begun("init -e none /repos/x-h")).toBe("/repos/x-h");
  for (const other of ["list -a init /repos/typo", "init --help /repos/x", "init -e none /elsewhere"])
    expect(begun(other)).toBeNull();
  for (const words of ["init -e none", "init -e none ssh://me@elsewhere/repos/x"])
    for (const folder of ["/repos", "/repos/web"]) expect(begun(words, folder)).toBeNull();
});

test("paths in the environment that borg uses are reached", () => {
  const environment = {
    BORG_KEY_FILE: "/keys/my key",
    BORG_PASSCOMMAND: "sh -c 'cat /out/list'",
    BORG_PASSPHRASE: "/etc",
  };
  expect(reach("list /repos/web", "/", environment).also).toEqual(["/keys/my key", "/out/list"]);
  for (const variable of [
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "BORG_LOGGING_CONF",
    "BORG_CACHE_DIR",
  ])
    expect(reach("list /repos/web", "/", { [variable]: "/keys/my key" }).also).toEqual(["/keys/my key"]);
  expect(reach("list /repos/web", "/", { BORG_RSH: 'ssh -F"/out/list" -i /keys' }).also).toEqual([
    "/out/list",
    "/keys",
  ]);
});

test("no other variable is one, whatever its name has in common with those", () => {
  for (const name of ["TMPDIR", "XDG_CACHE_HOME", "BORG_KEY_FILE", "BORG_CACHE_DIR", "BORG_RSH"])
    for (const other of [`X${name}`, `${name}X`])
      expect(reach("list /repos/web", "/", { [other]: "/out" }).also).toEqual([]);
});

test("what no word and no variable names is not reached, even where everything exists", () => {
  const environment = { LANG: "C.UTF-8", TMPDIR: undefined };
  const words = ["list", "--json", "ssh://me@elsewhere/repos/web"];
  expect(reachOf(words, { environment, folder: "/", exists: () => true })).toEqual({
    repository: null,
    also: [],
    look: [],
  });
});

test("a folder that the owner cannot see is left out", () => {
  expect(reach("list /repos/web", "/root").also).toEqual([]);
});

test("other things that the words name are reached too", () => {
  expect(reach("create /repos/web::a /etc --patterns-from=/out/list")).toEqual({
    repository: "/repos/web",
    also: ["/etc", "/out/list"],
    look: [],
  });
  expect(reach("key export /repos/web /out/key").also).toEqual(["/out"]);
  expect(reach("key export /repos/web /new").also).toEqual([]); // in the folder that holds everything
  expect(reach("extract /repos/web::a", "/client").also).toEqual(["/client"]);
});

test("another repository, or a folder that holds them, is only read", () => {
  expect(reach("create /repos/web::a /repos/db /repos /")).toEqual({
    repository: "/repos/web",
    also: [],
    look: ["/repos/db", "/repos", "/"],
  });
  expect(reach("create /repos/web::a /repos/web/data")).toEqual({
    repository: "/repos/web",
    also: [],
    look: [],
  });
  expect(reach("export-tar /repos/web::a /repos/web.tar")).toEqual({
    repository: "/repos/web",
    also: [],
    look: [],
  });
});

test("devices and processes are never added", () => {
  const paths = ["/dev", "/dev/sda", "/proc", "/sys/kernel"];
  const alike = ["/dev/shm/x", "/devices", "/out/proc", "/out/sys/x"];
  const exists = () => true;
  for (const path of [...paths, ...alike]) {
    const { also } = reachOf(["create", "/repos/web::a", path], { environment: {}, folder: "/", exists });
    expect(also).toEqual(paths.includes(path) ? [] : [path]);
  }
});

test("a serve reaches what an admin's session does", () => {
  for (const words of ["serve --restrict-to-path /repos/web", "--debug serve --restrict-to-path=/out"])
    expect(reach(words).repository).toBe("/repos");
  expect(reach("serve --restrict-to-path=/out").also).toEqual(["/out"]);
});

test("borg keeps its notes of each repository apart", () => {
  expect(homeOf(reach("list /repos/web"), "/home")).toBe("/home/repositories/web");
  expect(homeOf(reach("list x"), "/home")).toBe("/home");
  expect(homeOf(reach("serve --restrict-to-path /repos"), "/home")).toBe("/home");
});
