import { expect, test } from "vitest";
import { forAll } from "../../../src/operator/borg-words.ts";

const made = (command: string) => forAll(command.split(" "))?.("/repos/R").join(" ") ?? null;

test.each([
  ["list all", "list /repos/R"],
  ["--info list --json all", "--info list --json /repos/R"],
  ["--lock-wait 5 list all", "--lock-wait 5 list /repos/R"],
  ["--lock-wait=5 check all", "--lock-wait=5 check /repos/R"],
  ["list -a all all", "list -a all /repos/R"],
  ["list -aall all", "list -aall /repos/R"],
  ["create --comment all all::now /etc", "create --comment all /repos/R::now /etc"],
  ["create --com all all::now /etc/all all", "create --com all /repos/R::now /etc/all all"],
  ["create -sp -C lz4 all::all all", "create -sp -C lz4 /repos/R::all all"],
  ["rename all::all all", "rename /repos/R::all all"],
  ["prune --keep-last 1 -d 7 all", "prune --keep-last 1 -d 7 /repos/R"],
  ["config -d all name", "config -d /repos/R name"],
  ["key export all all", "key export /repos/R all"],
  ["debug dump-manifest all -", "debug dump-manifest /repos/R -"],
  ["--debug list all", "--debug list /repos/R"],
  ["list -- all all", "list -- /repos/R all"],
  ["with-lock all echo all", "with-lock /repos/R echo all"],
  ["diff all::a b", "diff /repos/R::a b"],
])("%s is for all repositories", (command, expected) => {
  expect(made(command)).toBe(expected);
});

test.each([
  "list /repos/web",
  "rename /repos/web::x all",
  "create --comment all /repos/web::x all",
  "list --glob-archives all",
  "list -a all",
  "extract /repos/web::x all",
  "delete /repos/web all",
  "with-lock /repos/web echo all",
  "umount all",
  "help all",
  "serve all",
  "list ./all",
  "list /repos/all",
  "list allx",
  "--version",
  "list",
  "all",
])("%s is not", (command) => {
  expect(made(command)).toBeNull();
});

test("braces in a repository's name are not placeholders, and a dollar is a dollar", () => {
  expect(forAll(["list", "all"])?.("/repos/{now}$&")).toEqual(["list", "/repos/{{now}}$&"]);
});
