import fc from "fast-check";
import { expect, test } from "vitest";
import { accountName } from "../../../src/import/account-name.ts";
import { parseAuthorizedKeys } from "../../../src/import/authorized-keys.ts";
import { type Found, nothingFound } from "../../../src/import/grant.ts";
import { planImport } from "../../../src/import/plan.ts";
import type { Here, Seen } from "../../../src/import/target.ts";
import { nameProblem } from "../../../src/keys/account.ts";
import { parseKeyFile } from "../../../src/keys/key-file.ts";
import { parseSettingsFile } from "../../../src/keys/settings-file.ts";
import { clientKey } from "../../corpus/clients.ts";

const keys = {
  web: `${clientKey("client").line} root@web01`,
  db: `${clientKey("intruder").line} root@db01`,
  me: `${clientKey("p256").line} me`,
};

/** A server without accounts; on its disk are these repositories of the other server's. */
const server = (repositories: string[] = [], more: Partial<Here> = {}): Here => ({
  look: (path): Seen => ({
    is: "seen",
    repositories: repositories
      .filter((each) => each === path || each.startsWith(`${path}/`))
      .map((each) => ({ path: each, real: each })),
  }),
  isSystemName: (name) => name === "backup" || name === "borg",
  keyFile: () => null,
  content: () => null,
  repository: () => "free",
  ...more,
});

const found = (...lines: string[]) => parseAuthorizedKeys("old", Buffer.from(lines.join("\n")));
const serve = (words: string, key: string) => `restrict,command="borg serve ${words}" ${key}`;

/** What a plan comes to: files with their content, then mv, then what is left and remarked. */
function planned(from: Found, here: Here): string[] {
  const { files, moves, left, remarks, problems } = planImport(from, here);
  return [
    ...files.map(
      ({ path, content }) =>
        `${path}: ${content
          .trim()
          .replaceAll(/(?:ssh|ecdsa)\S+ \S+ /g, "")
          .replaceAll("\n", "; ")}`,
    ),
    ...moves.map(({ from, to }) => `mv ${from} ${to}`),
    ...[...left, ...problems].map(({ line, text }) => `${line}: ${text}`),
    ...remarks.map(({ text }) => `remark: ${text}`),
  ];
}

test("a restricted key becomes an account with the name of its repository", () => {
  const from = found(
    serve("--restrict-to-repository /srv/web01", keys.web),
    serve("--append-only --storage-quota 5G --restrict-to-repository /srv/db01", keys.db),
  );
  expect(planned(from, server(["/srv/web01", "/srv/db01"]))).toEqual([
    "repos/web01: root@web01",
    'settings/db01: quota = "5G"',
    "repos-appendonly/db01: root@db01",
    "mv /srv/web01 /repos/web01",
    "mv /srv/db01 /repos/db01",
  ]);
});

test("keys with the same rights share a key file, and keep what narrows them", () => {
  const from = found(
    serve("--restrict-to-repository /srv/web01", keys.web),
    `from="192.0.2.1",expiry-time="20301231",${serve("--restrict-to-repository /srv/web01", keys.db)}`,
  );
  expect(planned(from, server())).toEqual([
    'repos/web01: root@web01; from="192.0.2.1",expiry-time="20301231000000Z" root@db01',
  ]);
});

test("keys with other rights become a second account of the same repository", () => {
  const from = found(
    serve("--restrict-to-repository /srv/web01", keys.me),
    serve("--append-only --restrict-to-repository /srv/web01", keys.web),
  );
  expect(planned(from, server(["/srv/web01"]))).toEqual([
    "repos-appendonly/web01: root@web01",
    'settings/web01-full: repository = "web01"',
    "repos/web01-full: me",
    "mv /srv/web01 /repos/web01",
  ]);
});

test("where the second account's name is another's, the repository is left", () => {
  const from = found(
    serve("--restrict-to-repository /srv/web01", keys.me),
    serve("--append-only --restrict-to-repository /srv/web01", keys.web),
    serve("--restrict-to-repository /srv/Web01-full", keys.db),
  );
  expect(planned(from, server())).toEqual([
    "repos/Web01-full: root@db01",
    "1: /srv/web01 needs two accounts, because some of its keys only add, and web01-full is no free name",
  ]);
});

test("a key that is there twice has the options of its first line, and that is told", () => {
  const from = found(
    `from="192.0.2.1",${serve("--restrict-to-repository /srv/web01", keys.web)}`,
    `from="192.0.2.2",${serve("--restrict-to-repository /srv/web01", keys.web)}`,
  );
  expect(planned(from, server())).toEqual([
    'repos/web01: from="192.0.2.1" root@web01',
    "2: the key is in line 1 too, with other options",
  ]);
});

test("no account is called default, as settings of its name are for all", () => {
  const from = found(
    serve("--restrict-to-path /backup", `${clientKey("p256").line} default`),
    serve("--restrict-to-repository /backup/default", keys.web),
  );
  expect(planned(from, server()).slice(0, 2)).toEqual([
    "repos/repo-default: root@web01",
    "admins/admin-default: default",
  ]);
});

test("the repositories in a client's folder have its name before theirs, and a single one has its name", () => {
  const from = found(
    serve("--restrict-to-path /backup/web01", keys.web),
    serve("--restrict-to-path /backup/db01", keys.db),
  );
  expect(
    planned(from, server(["/backup/web01/my_first_repo", "/backup/db01/a", "/backup/db01/old/b"])),
  ).toEqual([
    "repos/web01: root@web01",
    "repos/db01-a: root@db01",
    "repos/db01-old-b: root@db01",
    "mv /backup/web01/my_first_repo /repos/web01",
    "mv /backup/db01/a /repos/db01-a",
    "mv /backup/db01/old/b /repos/db01-old-b",
  ]);
});

test("the repositories in a folder of all keys become accounts with all keys", () => {
  const path = "--restrict-to-path /home/borg/backups";
  const from = found(serve(path, keys.web), serve(path, keys.db));
  const disk = server(["/home/borg/backups/web01", "/home/borg/backups/dept/db01"]);
  expect(planned(from, disk)).toEqual([
    "repos/web01: root@web01; root@db01",
    "repos/dept-db01: root@web01; root@db01",
    "mv /home/borg/backups/web01 /repos/web01",
    "mv /home/borg/backups/dept/db01 /repos/dept-db01",
  ]);
  expect(planned(from, server())).toEqual([
    "1: there is no repository in /home/borg/backups, so the key opens none",
    "2: there is no repository in /home/borg/backups, so the key opens none",
  ]);
});

test("a key that may do everything where all others are becomes an admin, and one that only adds does not", () => {
  const lines = (words: string) =>
    found(
      serve(`${words} --restrict-to-path /backup/`, keys.me),
      serve("--append-only --restrict-to-path /backup/web01", keys.web),
    );
  expect(planned(lines(""), server(["/backup/web01/x"]))).toEqual([
    "repos-appendonly/web01: root@web01",
    "admins/me: me",
    "mv /backup/web01/x /repos/web01",
    "remark: the key opens the folder of all others, so it becomes the admin me, who opens every repository here",
  ]);
  expect(planned(lines("--append-only"), server(["/backup/web01/x"]))).toEqual([
    "repos-appendonly/web01: me; root@web01",
    "mv /backup/web01/x /repos/web01",
  ]);
});

test("what nobody has begun has nothing to move, and what is not here is left or moved as its line says", () => {
  const from = found(
    serve("--restrict-to-path /a/web01", keys.web),
    serve("--restrict-to-repository /b/db01", keys.db),
  );
  expect(planned(from, server())).toEqual(["repos/web01: root@web01", "repos/db01: root@db01"]);
  expect(planned(from, server([], { look: () => ({ is: "unseen" }) }))).toEqual([
    "repos/db01: root@db01",
    "mv /b/db01 /repos/db01",
    "1: /a/web01 is not here, so which repositories are in it is not known",
  ]);
  expect(planned(from, server([], { look: () => ({ is: "unreadable", why: "EACCES" }) }))).toEqual([
    "1: /a/web01 cannot be looked at: EACCES",
    "2: /b/db01 cannot be looked at: EACCES",
  ]);
});

test("a name that two would have gets the folder's before it, and that is told", () => {
  const from = found(
    serve("--restrict-to-repository /a/web", keys.web),
    serve("--restrict-to-repository /b/Web", keys.db),
  );
  expect(planned(from, server())).toEqual([
    "repos/a-web: root@web01",
    "repos/b-Web: root@db01",
    'remark: /a/web is called a-web here, because "web" is another\'s name too',
    'remark: /b/Web is called b-Web here, because "Web" is another\'s name too',
  ]);
  const same = found(
    serve("--restrict-to-repository /x/b/web", keys.web),
    serve("--restrict-to-repository /y/b/web", keys.db),
  );
  expect(planned(same, server())).toContain("2: /y/b/web and /x/b/web would both be b-web");
});

test("nothing that is here is replaced, and all accounts of a repository are left then", () => {
  const from = found(
    serve("--restrict-to-repository /srv/web01", keys.me),
    serve("--append-only --restrict-to-repository /srv/web01", keys.web),
  );
  const left = (more: Partial<Here>) => planned(from, server(["/srv/web01"], more));
  expect(left({ keyFile: (name) => (name === "web01" ? "repos/Web01" : null) })).toEqual([
    "2: /sshkeys/repos/Web01 is there already",
  ]);
  expect(left({ content: (path) => (path === "settings/web01" ? 'quota = "1G"' : null) })).toEqual([
    "2: /sshkeys/settings/web01 is there already",
  ]);
  expect(left({ repository: () => "taken" })).toEqual([
    "1: there is something in /repos/web01 already, and it is not /srv/web01",
  ]);
  expect(left({ repository: () => "same" })).not.toContain("mv /srv/web01 /repos/web01");
});

test("a second run finds its files there, and leaves nothing", () => {
  const from = found(serve("--storage-quota 5G --restrict-to-repository /srv/web01", keys.web));
  const { files } = planImport(from, server(["/srv/web01"]));
  const content = (path: string) => files.find((file) => file.path === path)?.content ?? null;
  const again = planImport(
    from,
    server([], { keyFile: () => "repos/web01", content, repository: () => "taken" }),
  );
  expect(again).toMatchObject({ files: [{ isThere: true }, { isThere: true }], moves: [], left: [] });
});

test("different quotas of one account are a problem, and so is one that borg would refuse", () => {
  const lines = (first: string, second: string) =>
    found(
      serve(`--storage-quota ${first} --restrict-to-repository /srv/web01`, keys.web),
      serve(`--storage-quota ${second} --restrict-to-repository /srv/web01`, keys.db),
    );
  expect(planImport(lines("5G", "6G"), server()).problems).toMatchObject([
    { line: 2, text: "this key and that of line 1 open the same repository with different quotas" },
  ]);
  expect(planImport(lines("5", "5"), server()).problems).toMatchObject([
    { line: 1, text: expect.stringMatching(/quota/) },
  ]);
});

test.each([
  ["web01.example.org", "web01.example.org"],
  ["laptop.pub", "laptop"],
  ["Web server (prod)", "Web-server-prod"],
  [".hidden", "hidden"],
  ["12345678", "repo-12345678"],
  ["all", "repo-all"],
  ["web01.bak", "web01-bak"],
  ["id_rsa", "repo-id_rsa"],
  ["backup", "repo-backup"],
  ["über", "ber"],
  ["…", null],
  ["", null],
  ["x".repeat(256), null],
])("%j is called %j", (text, name) => {
  expect(accountName(text, (each) => each === "backup")).toBe(name);
});

test("whatever other servers' files say, every file that is planned is one that this server reads, with a name of its own", () => {
  const path = fc
    .array(
      fc.oneof(fc.constantFrom("a", "A", "b", "all", "backup", "x.old", "..", " ", "é", "'"), fc.string()),
      { maxLength: 3 },
    )
    .map((parts) => `/${parts.join("/")}`);
  const line = fc
    .tuple(
      fc.constantFrom("--restrict-to-path", "--restrict-to-repository"),
      path,
      fc.boolean(),
      fc.constantFrom("", "5G", "x"),
      fc.constantFrom(...Object.values(keys)),
      fc.constantFrom("", 'from="::1",'),
    )
    .map(
      ([restrict, path, adds, quota, key, limit]) =>
        `${limit}command="borg serve ${adds ? "--append-only " : ""}${quota && `--storage-quota ${quota} `}${restrict} '${path.replaceAll("'", "").replaceAll('"', '\\"')}'" ${key}`,
    );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 6 }), fc.array(path), (lines, disk) => {
      const { files, moves, problems } = planImport(found(...lines), server(disk));
      if (problems.length > 0) return;
      const names = files
        .filter(({ path }) => !path.startsWith("settings/"))
        .map(({ path }) => path.split("/")[1]!);
      expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(names.length);
      for (const name of names) expect(nameProblem(name)).toBeNull();
      for (const { path, content } of files)
        if (path.startsWith("settings/"))
          expect(parseSettingsFile(path, content, false).problems).toEqual([]);
        else expect(parseKeyFile(path, Buffer.from(content)).problems).toEqual([]);
      for (const { to } of moves) expect(to).toMatch(/^\/repos\/[A-Za-z0-9._-]+$/);
      expect(new Set(moves.map(({ to }) => to)).size).toBe(moves.length);
    }),
    { numRuns: 2000 },
  );
});

test("nothing found is nothing planned", () => {
  expect(planned(nothingFound(), server())).toEqual([]);
});
