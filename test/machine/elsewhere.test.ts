import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

test("a project on a file system of its own is seen in a throwaway machine, and stays as it is", () => {
  const folder = mkdtempSync(join(tmpdir(), "elsewhere-"));
  try {
    const { stdout, stderr } = spawnSync(
      "unshare",
      [
        ...["--mount", "sh", "-euc"],
        `mount --bind . ${folder} && cd ${folder}
         scripts/machine --net env --chdir=${folder} sh -c 'head -n 1 LICENSE && touch from-inside && ls from-inside'`,
      ],
      { encoding: "utf8" },
    );
    expect(`${stdout}${stderr}`).toBe("MIT License\nfrom-inside\n");
    expect(existsSync("from-inside")).toBe(false);
  } finally {
    rmdirSync(folder);
  }
});
