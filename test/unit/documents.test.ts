import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const documents = [
  "README.md",
  "SECURITY.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "docs/moving.md",
  "docs/operating.md",
  "docs/scaling.md",
];

/** The anchor that a heading has on the page: small letters, words joined by dashes, and nothing else. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^a-z0-9 _-]/g, "")
    .replaceAll(" ", "-");

const anchorsIn = (file: string) =>
  [...readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => anchorOf(heading));

test.each(documents)("each link of %s to a file or a heading leads there", (file) => {
  const text = readFileSync(file, "utf8");
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g), ...text.matchAll(/ (?:src|srcset)="([^"]+)"/g)].map(
    ([, link = ""]) => link,
  );
  const wrong = links
    .filter((link) => !/^https?:/.test(link))
    .filter((link) => {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? file : join(dirname(file), path);
      return !existsSync(target) || (anchor !== undefined && !anchorsIn(target).includes(anchor));
    });
  expect(wrong).toEqual([]);
});

test("each footnote of README has its text", () => {
  const readme = readFileSync("README.md", "utf8");
  const names = (pattern: RegExp) => new Set([...readme.matchAll(pattern)].map((match) => match[1]));
  expect(names(/[^\n](?:\[\^([a-z]+)\])/g)).toEqual(names(/^\[\^([a-z]+)\]: ./gm));
});

test("README's figures are those that were measured", () => {
  const readme = readFileSync("README.md", "utf8");
  const results = readFileSync("measure/RESULTS.md", "utf8");
  const measured = (keys: string) =>
    new RegExp(`^\\| a whole session, ${keys} \\([^)]*\\) \\| ([0-9]+ ms) .*?\\| ([0-9]+ ms) `, "m")
      .exec(results)!
      .slice(1);
  const [one, many] = [measured("1 key"), measured("100,000 keys")];
  expect(readme).toContain(`| ${one[0]} → ${many[0]} | ${one[1]} → ${many[1]} |`);
});

test("the figures of docs/scaling.md are those that were measured", () => {
  const scaling = readFileSync("docs/scaling.md", "utf8");
  const results = readFileSync("measure/RESULTS.md", "utf8");
  /** The first figures of a line of the results. */
  const measured = (what: string) => {
    const [, ours = "", theirs = ""] = results
      .split("\n")
      .find((line) => line.startsWith(`| ${what}`))!
      .split(/ \| /);
    return [ours, theirs].map((cell) => cell.replace(/ \(.*/, "").trim());
  };
  const [session] = measured("the same, the server's processor time per session");
  const million = "a whole session, 1,000,000 accounts / 1 account";
  expect(scaling).toContain(
    `| processor time of the server, a session | ${session}, so about ${Math.floor(1000 / Number.parseFloat(session!))} sessions a second for each core |`,
  );
  expect(scaling).toContain(`| memory, an open session | ${measured("memory of an idle session")[0]} |`);
  expect(scaling).toContain(
    `| the login program, 1,000,000 keys | ${measured("the login program, 1,000,000 keys")[0]}, as with 1,000 |`,
  );
  expect(scaling).toContain(`| ${million} | ${measured(million).join(" / ")} |`);
  expect(scaling).toContain(
    `100,000 key files | ${measured("`index rebuild` without an index, 100,000 key files")[0]} |`,
  );
  expect(scaling).toContain(
    `| the same, one file changed | ${measured("`index rebuild`, one file of 100,000")[0]} |`,
  );
  expect(scaling).toContain(
    `| start of the server to the first login | ${measured("start of the server to the first accepted login")[0]} |`,
  );
});

test("the night of docs/scaling.md is the one that scripts/simulate draws", () => {
  const { stdout } = spawnSync("scripts/simulate", ["--jitter", "15"], { encoding: "utf8" });
  expect(stdout).toMatch(/\| 15 min \|/);
  const scaling = readFileSync("docs/scaling.md", "utf8");
  for (const line of stdout.trim().split("\n")) expect(scaling).toContain(`${line}\n`);
});

test("README's picture has other colours on a dark page, and no other difference", () => {
  const [light, dark] = ["light", "dark"].map((mode) =>
    readFileSync(`docs/from-key-to-wall-${mode}.svg`, "utf8"),
  ) as [string, string];
  const colour = /#[0-9a-f]{6}/g;
  expect(dark.replace(colour, "")).toBe(light.replace(colour, ""));
  expect(dark.match(colour)).not.toEqual(light.match(colour));
});
