import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

/** What a file of src imports when it is loaded: types are erased, import() comes later. */
const loads = /^(?:import|export) (?!type )[^;]*?from "([^"]+)"/gm;

/** Paths below src, and the names of packages. */
function importsOf(file: string, which: RegExp): string[] {
  return [...readFileSync(`src/${file}`, "utf8").matchAll(which)]
    .map((match) => match[1]!)
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
    "index/lookup.ts",
    "index/schema.ts",
    "index/sqlite.ts",
    "login/authorized-keys.ts",
    "login/connection-record.ts",
    "login/deadline.ts",
    "login/key-line.ts",
    "paths.ts",
    "printable.ts",
    "role.ts",
  ]);
});

test("what computes touches neither files nor programs", () => {
  for (const file of [
    "accounts/account-plan.ts",
    "index/difference.ts",
    "keys/account.ts",
    "keys/key-file.ts",
    "keys/key-options.ts",
    "keys/public-key.ts",
    "login/key-line.ts",
    "operator/borg-words.ts",
    "operator/reach.ts",
    "printable.ts",
    "problem.ts",
    "repositories/locks.ts",
    "repositories/roll-call.ts",
    "role.ts",
    "server/private-key-file.ts",
    "server/settings.ts",
  ]) {
    const outside = [...reachable(file)].filter(
      (name) => !name.endsWith(".ts") && !["node:crypto", "node:net", "node:path", "sshpk"].includes(name),
    );
    expect({ file, outside }).toEqual({ file, outside: [] });
  }
});
