import { describe, expect, test } from "vitest";
import { homeOf, reachOf } from "../../src/reach.ts";

const there = new Set(["/repos", "/repos/web", "/repos/db", "/out", "/out/list", "/etc", "/", "/client"]);
const reach = (command: string, folder = "/") =>
  reachOf(command.split(" "), folder, (path) => there.has(path));

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
  expect(reach("serve --restrict-to-path /repos/web").repository).toBe("/repos");
});

test("borg keeps its notes of each repository apart", () => {
  expect(homeOf(reach("list /repos/web"), "/home")).toBe("/home/repositories/web");
  expect(homeOf(reach("list x"), "/home")).toBe("/home");
});
