import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const folder = ".github/workflows";
const workflows = readdirSync(folder).map(
  (name) => [name, readFileSync(join(folder, name), "utf8")] as const,
);

/** What `.ci/run` runs: itself, scripts/test, and the tests. Comments run nothing. */
const tests = readdirSync("test", { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.endsWith("/workflows.test.ts"))
  .map((file) => `test/${file}`);
const tested = [".ci/run", "scripts/test", ...tests]
  .map((file) => readFileSync(file, "utf8").replace(/^\s*(#|\/\/|\*).*$/gm, ""))
  .join("\n");

/** What CONTRIBUTING says that no test runs. */
const unseen = readFileSync("CONTRIBUTING.md", "utf8")
  .split(/^## /m)
  .find((section) => section.startsWith("Not yet seen\n"))!
  .match(/(?<=^- `)[^`]+/gm)!;

test.each(workflows)(
  "each command of %s is a script that tests run, or is told as not yet seen",
  (_, text) => {
    const commands = [...text.matchAll(/^\s*(?:- )?run:(.*)$/gm)].map(([, command]) => command!.trim());
    const strange = commands.filter((command) => {
      const script = /^((?:scripts|\.ci)\/[a-z-]+)(?: [^;&|`()]*)?$/.exec(command)?.[1];
      if (!script) return true;
      const known = script === ".ci/run" || tested.includes(script);
      return !known && !unseen.some((words) => command.startsWith(`${words} `));
    });
    expect(strange).toEqual([]);
  },
);

test.each(workflows)("each action of %s is pinned by a commit, and its version is told", (_, text) => {
  const actions = [...text.matchAll(/^\s*(?:- )?uses: (.*)$/gm)].map(([, action]) => action!);
  expect(actions.filter((action) => !/^(\.\/\S+|[^@\s]+@[0-9a-f]{40} # v[0-9.]+)$/.test(action))).toEqual([]);
});

test("what is told as not yet seen is in a workflow", () => {
  const gone = unseen.filter((words) => !workflows.some(([, text]) => text.includes(`run: ${words}`)));
  expect(gone).toEqual([]);
  expect(unseen).not.toEqual([]);
});
