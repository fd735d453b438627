import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

/** What a file of src imports when it is loaded: types are erased, import() comes later. */
const loads = /^(?:import|export) (?!type )[^;]*?from "([^"]+)"/gm;
/** The same, and what it imports as types, or later. */
const imports = /^(?:import|export) [^;]*?from "([^"]+)"|\bimport\("([^"]+)"\)/gm;

/** Paths below src, and the names of packages. */
function importsOf(file: string, which: RegExp): string[] {
  return [...readFileSync(`src/${file}`, "utf8").matchAll(which)]
    .map((match) => match[1] ?? match[2]!)
    .map((name) => (name.startsWith(".") ? relative("src", join("src", dirname(file), name)) : name));
}

function reachable(file: string, seen = new Set<string>()): Set<string> {
  for (const name of importsOf(file, loads)) {
    if (seen.has(name)) continue;
    seen.add(name);
    if (name.endsWith(".ts")) reachable(name, seen);
  }
  return seen;
}

test("the login path loads what it needs and nothing else", () => {
  expect([...reachable("main.ts")].sort()).toEqual([
    "bun",
    "bun:ffi",
    "bun:sqlite",
    "failure.ts",
    "index/lookup.ts",
    "index/schema.ts",
    "login/authorized-keys.ts",
    "login/connection-record.ts",
    "login/deadline.ts",
    "login/forced-command.ts",
    "login/key-line.ts",
    "paths.ts",
    "printable.ts",
    "role.ts",
  ]);
});

test("the keeper, which stays, loads no reader of keys, and nothing of operators' commands", () => {
  const loaded = reachable("keeper/keep.ts");
  expect(loaded).toContain("keeper/watched-folder.ts");
  for (const name of ["bun:sqlite", "commander", "sshpk"]) expect(loaded).not.toContain(name);
});

test("the teller loads nothing that reads keys, the index or repositories", () => {
  const loaded = [...reachable("teller/server.ts")].filter((name) => !name.startsWith("teller/")).sort();
  expect(loaded).toEqual([
    ...["failure.ts", "ledger/session-words.ts", "ledger/status.ts", "node:crypto", "node:fs", "node:http"],
    ...["node:tty", "pause.ts", "printable.ts", "problem.ts", "prom-client", "report.ts"],
  ]);
});

test("an SQLite for logins and one for commands, each opened in one place", () => {
  const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ts"),
  );
  const importersOf = (name: string) => files.filter((file) => importsOf(file, loads).includes(name));
  expect(importersOf("bun:sqlite")).toEqual(["index/lookup.ts"]);
  expect(importersOf("index/lookup.ts")).toEqual(["login/authorized-keys.ts"]);
  expect(importersOf("better-sqlite3")).toEqual(["database.ts"]);
  for (const file of ["operator/command.ts", "server/start.ts"]) {
    expect(reachable(file)).toContain("better-sqlite3");
    expect(reachable(file)).not.toContain("bun:sqlite");
  }
});

test("what computes touches neither files nor programs", () => {
  for (const file of [
    "accounts/account-plan.ts",
    "alerts/condition.ts",
    "alerts/deletion.ts",
    "alerts/message.ts",
    "alerts/news.ts",
    "alerts/recipients.ts",
    "accounts/passwd-cache.ts",
    "accounts/wanted-accounts.ts",
    "accounts/system-accounts.ts",
    "import/account-name.ts",
    "import/authorized-keys.ts",
    "import/forced-command.ts",
    "import/plan.ts",
    "import/target.ts",
    "import/warehouse.ts",
    "index/difference.ts",
    "keys/account.ts",
    "keys/account-settings.ts",
    "keys/borg-sshkeys.ts",
    "keys/key-file.ts",
    "keys/key-options.ts",
    "keys/public-key.ts",
    "keys/settings-file.ts",
    "keeper/burst.ts",
    "keeper/grace.ts",
    "keeper/removal.ts",
    "keeper/told-problems.ts",
    "login/forced-command.ts",
    "ledger/record.ts",
    "ledger/status.ts",
    "login/key-line.ts",
    "operator/borg-words.ts",
    "operator/reach.ts",
    "printable.ts",
    "problem.ts",
    "progress.ts",
    "repositories/locks.ts",
    "repositories/plan.ts",
    "repositories/roll-call.ts",
    "role.ts",
    "server/private-key-file.ts",
    "server/settings.ts",
    "teller/page.ts",
  ]) {
    const outside = [...reachable(file)].filter(
      (name) =>
        !name.endsWith(".ts") &&
        !["ipaddr.js", "node:crypto", "node:net", "node:path", "smol-toml", "sshpk"].includes(name),
    );
    expect({ file, outside }).toEqual({ file, outside: [] });
  }
});

test("no file imports, by whichever way, what imports it", () => {
  const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ts"),
  );
  const below = new Map(
    files.map((file) => [file, importsOf(file, imports).filter((name) => name.endsWith(".ts"))]),
  );
  /** What is left when that which imports nothing that is left has gone, again and again. */
  for (let size = -1; size !== below.size; ) {
    size = below.size;
    for (const [file, names] of below) if (!names.some((name) => below.has(name))) below.delete(file);
  }
  expect([...below.keys()]).toEqual([]);
});

/** The rooms of src, each with those that it looks down to; the ground is the files that lie in none. */
const rooms: Record<string, string[]> = {
  ground: [],
  keys: ["ground"],
  index: ["ground", "keys"],
  login: ["ground", "index"],
  accounts: ["ground", "keys"],
  sessions: ["ground", "keys", "index", "login", "accounts"],
  repositories: ["ground", "keys", "accounts", "sessions"],
  server: ["ground", "keys", "index", "accounts", "sessions", "repositories"],
  import: ["ground", "keys", "accounts", "repositories"],
  ledger: ["ground", "keys", "repositories"],
  alerts: ["ground", "index", "ledger"],
  teller: ["ground", "ledger", "alerts"],
  keeper: [
    ...["ground", "keys", "index", "accounts", "sessions", "repositories", "ledger", "server"],
    ...["alerts", "teller"],
  ],
  operator: [
    ...["ground", "keys", "index", "accounts", "sessions", "repositories", "import", "ledger", "server"],
    ...["alerts", "teller"],
  ],
};
const roomOf = (file: string) => (file.includes("/") ? file.slice(0, file.indexOf("/")) : "ground");

test.each(Object.entries(rooms))("the room %s imports from %j only", (room, below) => {
  const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && file !== "main.ts" && roomOf(file) === room,
  );
  expect(files).not.toEqual([]);
  const beyond = files.flatMap((file) =>
    importsOf(file, imports)
      .filter((name) => name.endsWith(".ts") && ![room, ...below].includes(roomOf(name)))
      .map((name) => `${file} → ${name}`),
  );
  expect(beyond).toEqual([]);
});
