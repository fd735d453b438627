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

test("README's picture has other colours on a dark page, and no other difference", () => {
  const [light, dark] = ["light", "dark"].map((mode) =>
    readFileSync(`docs/from-key-to-wall-${mode}.svg`, "utf8"),
  ) as [string, string];
  const colour = /#[0-9a-f]{6}/g;
  expect(dark.replace(colour, "")).toBe(light.replace(colour, ""));
  expect(dark.match(colour)).not.toEqual(light.match(colour));
});
