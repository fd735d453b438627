import { expect, test } from "vitest";
import { forAll, readCommand } from "../../../src/operator/borg-words.ts";

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
  ["config --lock-wait 5 -c all name", "config --lock-wait 5 -c /repos/R name"],
  ["create -sC lz4 all::x y", "create -sC lz4 /repos/R::x y"],
  ["benchmark crud all /tmp", "benchmark crud /repos/R /tmp"],
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
  "help list all",
  "debug info all",
  "debug convert-profile all all",
  "list -- --json all",
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

/** By command, as in borg's manual. */
test.each([
  ["of every command", "info --debug-topic --debug-profile --lock-wait --umask --remote-path --rsh"],
  ["of every command", "info --remote-ratelimit --upload-ratelimit --remote-buffer --upload-buffer"],
  ["of check", "check --first --last --max-duration -P --prefix -a --glob-archives --sort-by"],
  ["of compact", "compact --threshold"],
  ["of create", "create -e --exclude --exclude-from --exclude-if-present --pattern --patterns-from --filter"],
  ["of create", "create -c --checkpoint-interval --checkpoint-volume --chunker-params -C --compression"],
  ["of create", "create --comment --timestamp --files-cache --files-changed --paths-delimiter"],
  ["of create", "create --stdin-name --stdin-user --stdin-group --stdin-mode"],
  ["of debug dump-repo-objs", "debug dump-repo-objs --segment --offset"],
  ["of export-tar", "export-tar --tar-filter --strip-components"],
  ["of init", "init --encryption --storage-quota"],
  ["of list", "list --format --older --newer --oldest --newest"],
  ["of mount", "mount -o"],
  [
    "of prune",
    "prune --keep-within --keep-last --keep-secondly --keep-minutely -H --keep-hourly -d --keep-daily",
  ],
  ["of prune", "prune -w --keep-weekly -m --keep-monthly -y --keep-yearly --keep-13weekly --keep-3monthly"],
  ["of recreate", "recreate --recompress --target"],
])("the word behind an option is its value, not the repository: %s: %s", (_, command) => {
  const words = command.replace(/ (--?[a-zA-Z0-9-]+)/g, " $1 all");
  expect(made(words)).toBeNull();
  expect(made(`${words} all`)).toBe(`${words} /repos/R`);
});

test("the words of a command are told apart", () => {
  expect(readCommand(["--info", "key", "export", "--qr-html", "/repos/web", "/out"])).toEqual({
    name: "key export",
    repository: 4,
    others: ["--info", "--qr-html", "/out"],
  });
  expect(readCommand(["list", "--", "/repos/web", "--x"])).toEqual({
    name: "list",
    repository: 2,
    others: ["--x"],
  });
  expect(readCommand(["serve", "--umask=077", "x"])).toEqual({
    name: "serve",
    repository: null,
    others: ["--umask=077", "x"],
  });
  expect(readCommand(["check"])).toEqual({ name: "check", repository: null, others: [] });
  expect(readCommand([])).toEqual({ name: "", repository: null, others: [] });
});
