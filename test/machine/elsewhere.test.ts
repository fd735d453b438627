import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { expect, test } from "vitest";

test("a project on a file system of its own is seen in a throwaway machine, and stays as it is", () => {
  const { stdout, stderr } = spawnSync(
    "unshare",
    [
      ...["--mount", "sh", "-euc"],
      `mkdir -p /tmp/elsewhere && mount --bind . /tmp/elsewhere && cd /tmp/elsewhere
       scripts/machine --net env --chdir=/tmp/elsewhere sh -c 'head -n 1 LICENSE && touch from-inside && ls from-inside'`,
    ],
    { encoding: "utf8" },
  );
  expect(`${stdout}${stderr}`).toBe("MIT License\nfrom-inside\n");
  expect(existsSync("from-inside")).toBe(false);
});
