import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** What a file of src imports when it is loaded: types are erased, import() comes later. */
function imports(file: string): string[] {
  const source = readFileSync(`src/${file}`, "utf8");
  return [...source.matchAll(/^(?:import|export) (?!type )[^;]*?from "([^"]+)"/gm)].map((match) =>
    match[1]!.replace("./", ""),
  );
}

function reachable(file: string, seen = new Set<string>()): Set<string> {
  for (const name of imports(file)) {
    if (seen.has(name)) continue;
    seen.add(name);
    if (name.endsWith(".ts")) reachable(name, seen);
  }
  return seen;
}

test("the login path loads what it needs and nothing else", () => {
  expect([...reachable("main.ts")].sort()).toEqual([
    "authorized-keys.ts",
    "bun",
    "bun:ffi",
    "bun:sqlite",
    "connection-record.ts",
    "deadline.ts",
    "index-lookup.ts",
    "index-schema.ts",
    "key-line.ts",
    "paths.ts",
    "problem.ts",
    "role.ts",
    "sqlite.ts",
  ]);
});

test("what computes touches neither files nor programs", () => {
  for (const file of [
    "account-name.ts",
    "account-plan.ts",
    "borg-words.ts",
    "index-difference.ts",
    "key-file.ts",
    "key-line.ts",
    "key-options.ts",
    "locks.ts",
    "private-key-file.ts",
    "problem.ts",
    "public-key.ts",
    "reach.ts",
    "role.ts",
    "roll-call.ts",
    "settings.ts",
  ]) {
    const outside = [...reachable(file)].filter(
      (name) => !name.endsWith(".ts") && !["node:crypto", "node:net", "node:path", "sshpk"].includes(name),
    );
    expect({ file, outside }).toEqual({ file, outside: [] });
  }
});
