import { posix } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readForcedCommand } from "../../../src/import/forced-command.ts";
import { isRefusal } from "../../../src/problem.ts";

/** What a command comes to, in a line. */
const read = (command: string) => {
  const serve = readForcedCommand(command);
  if (isRefusal(serve)) return serve.text;
  const opens = serve.opens.map(
    ({ path, isRepository }) => `${isRepository ? "repository" : "path"} ${path}`,
  );
  return [
    ...opens,
    ...(serve.isAppendOnly ? ["append-only"] : []),
    ...(serve.quota ? [serve.quota] : []),
  ].join(", ");
};

test.each([
  ["borg serve --restrict-to-path /a", "path /a"],
  ["borg serve --restrict-to-repository=/a/b/", "repository /a/b"],
  ["borg serve --restrict-to-path /a --restrict-to-path /b", "path /a, path /b"],
  ["borg serve --append-only --restrict-to-path /a --storage-quota 100G", "path /a, append-only, 100G"],
  ["cd /backup/web01; borg serve --restrict-to-path /backup/web01 ", "path /backup/web01"],
  ["cd /backup/web01 && /opt/borg/bin/borg serve --restrict-to-path /backup/web01 ", "path /backup/web01"],
  ["cd /srv/borg; cd web01; borg serve --restrict-to-repository .", "repository /srv/borg/web01"],
  ["cd /home/borg/repos;borg serve --restrict-to-path ../../other", "path /home/other"],
  ["borg serve  --append-only --restrict-to-path /home/borg/backups", "path /home/borg/backups, append-only"],
  ["umask 077; export LANG=C; exec /usr/local/bin/borg serve --restrict-to-path /a", "path /a"],
  ["BORG_BASE_DIR=/x nice -n 19 ionice -c3 borg serve --restrict-to-path /a", "path /a"],
  ["/usr/bin/env -i borg --umask=077 --debug serve -v --restrict-to-path /a", "path /a"],
  ["sudo -u borg /usr/bin/borg --umask 077 serve --restrict-to-path /a", "path /a"],
  ["sudo -u borg borg serve --restrict-to-path /a --lock-wait 5", "path /a"],
  ["borg-1.4 serve --restrict-to-path /a", "path /a"],
  ["borg serve --restrict-to-path '/my files/a' ", "path /my files/a"],
  ['borg serve --restrict-to-path "/my \\"files\\"/a"', 'path /my "files"/a'],
  ["borg serve --restrict-to-path /my\\ files/a/../b", "path /my files/b"],
  ["/bin/sh -c 'cd /a && borg serve --restrict-to-path ./b'", "path /a/b"],
])("%s opens what it says", (command, expected) => {
  expect(read(command)).toBe(expected);
});

const noShell = /more of a shell/;
const noBorg = /not borg serve/;

test.each([
  ["", noBorg],
  ["rrsync /a", noBorg],
  ["borg list /a", noBorg],
  ["echo borg serve --restrict-to-path /a", noBorg],
  ["borg serve --restrict-to-path /a; borg serve --restrict-to-path /b", noBorg],
  ["borg serve --restrict-to-path /a; sh", noBorg],
  ["test -d /a && borg serve --restrict-to-path /a", noBorg],
  ["borg serve --restrict-to-path $HOME", noShell],
  ['borg serve --restrict-to-path "$HOME"', noShell],
  ["borg serve --restrict-to-path ~/a", noShell],
  ["borg serve --restrict-to-path /a | tee log", noShell],
  ["borg serve --restrict-to-path /a 2>/dev/null", noShell],
  ["borg serve --restrict-to-path /a &", noShell],
  ["borg serve --restrict-to-path /a*", noShell],
  ["borg serve --restrict-to-path '/a", noShell],
  ["borg serve --restrict-to-path /a \\", noShell],
  ["borg serve # --restrict-to-path /a", noShell],
  ["`cat x`", noShell],
  ["borg serve", /not restricted/],
  ["borg serve --restrict-to-path /", /not restricted/],
  ["borg serve --restrict-to-path a", /no full path/],
  ["cd; borg serve --restrict-to-path a", /no full path/],
  ["borg serve --restrict-to-path", /no full path/],
  ["borg serve --restrict-to-path /a --restrict-to-repository /a/b", /to a path and to a repository/],
  ["borg serve --restrict-to-path /a --what", /an option that is not known/],
  ["borg serve --restrict-to-path /a extra", /an option that is not known/],
])("%s is not taken over", (command, reason) => {
  expect(read(command)).toMatch(reason);
});

test("whatever a forced command says, what is read of it are full paths", () => {
  const word = fc.constantFrom(
    ...[
      "borg",
      "serve",
      "--restrict-to-path",
      "--restrict-to-repository=",
      "--append-only",
      "--storage-quota",
    ],
    ...[
      "cd",
      "/a",
      "..",
      ".",
      "//",
      "sh",
      "-c",
      "'",
      '"',
      "\\",
      ";",
      "&&",
      " ",
      "\n",
      "$",
      "~",
      "--",
      "-",
      "=",
      "\0",
    ],
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(word).map((words) => words.join(" ")),
    fc.array(word).map((words) => words.join("")),
  );
  fc.assert(
    fc.property(text, (command) => {
      const serve = readForcedCommand(command);
      if (isRefusal(serve)) return;
      for (const { path } of serve.opens) expect(posix.resolve("/", path)).toBe(path);
      expect(serve.opens).not.toEqual([]);
    }),
    { numRuns: 2000 },
  );
});
