import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "release-"));
afterAll(() => rmSync(folder, { recursive: true }));

function run(command: string, options: { cwd?: string; input?: string; env?: Record<string, string> } = {}) {
  const [program = "", ...words] = command.split(" ");
  const { status, stdout, stderr } = spawnSync(join(process.cwd(), program), words, {
    encoding: "utf8",
    ...options,
    env: { ...process.env, ...options.env },
  });
  return { code: status, stdout, stderr };
}

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

describe("the names of a release", () => {
  test("are its version, that without the last number, and latest", () => {
    const [major, minor] = version.split(".");
    expect(run(`scripts/release-tags v${version}`)).toMatchObject({
      code: 0,
      stdout: `${version}\n${major}.${minor}\nlatest\n`,
    });
  });

  test.each(["v9.9.9", version, "v", `v${version}.`])(
    "are refused for a tag of another version: %s",
    (tag) => {
      const { code, stdout, stderr } = run(`scripts/release-tags ${tag}`);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain(`the tag is ${tag}, and the version in package.json is ${version}`);
    },
  );
});

describe("the notes of a release", () => {
  const changelog = join(folder, "CHANGELOG.md");
  const notes = (version: string) => run(`scripts/release-notes ${version} ${changelog}`);
  writeFileSync(
    changelog,
    "# Changelog\n\n## Unreleased\n\n## 1.10.0 (2027-01-02)\n\nFor people.\n\n### Upgrade\n\n- a\n\n- b\n\n## 1.1.0\n- c\n",
  );

  test("are what CHANGELOG says of its version, and nothing of another", () => {
    expect(notes("v1.10.0")).toMatchObject({ code: 0, stdout: "For people.\n\n### Upgrade\n\n- a\n\n- b\n" });
    expect(notes("1.1.0")).toMatchObject({ code: 0, stdout: "- c\n" });
  });

  test.each(["v1.1", "v1.1.", "v1x10.0", "Unreleased", "v"])(
    "are refused where there are none: %s",
    (version) => {
      expect(notes(version)).toMatchObject({
        code: 1,
        stdout: "",
        stderr: expect.stringContaining("says nothing"),
      });
    },
  );

  test("can be made of this CHANGELOG", () => {
    const heading = /^## (\S+)/m.exec(readFileSync("CHANGELOG.md", "utf8"))![1]!;
    expect(run(`scripts/release-notes ${heading}`)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\S/),
    });
  });
});

test("the last release is the highest version, and none before a release", () => {
  const git = (...words: string[]) =>
    spawnSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...words], { cwd: folder });
  git("init", "--quiet");
  expect(run("scripts/last-release", { cwd: folder }).code).toBe(1);
  git("commit", "--quiet", "--allow-empty", "--message", "a");
  for (const tag of ["v0.9.0", "v0.10.0", "v1.0.0-rc.1", "v1", "other", "v0.10.0x"]) git("tag", tag);
  expect(run("scripts/last-release", { cwd: folder })).toMatchObject({ code: 0, stdout: "tag=v0.10.0\n" });
});

test("provenance names the commit that is built, the workflow and the run", () => {
  const env = {
    GITHUB_SERVER_URL: "https://forge.example",
    GITHUB_REPOSITORY: "owner/borgserver",
    GITHUB_REF: "refs/heads/main",
    GITHUB_EVENT_NAME: "schedule",
    GITHUB_WORKFLOW_REF: "owner/borgserver/.github/workflows/rebuild.yml@refs/heads/main",
    GITHUB_RUN_ID: "12",
    GITHUB_RUN_ATTEMPT: "3",
  };
  const { code, stdout } = run("scripts/provenance v1.0.0", { env });
  expect(code).toBe(0);
  const predicate = JSON.parse(stdout);
  const commit = spawnSync("git", ["-c", "safe.directory=*", "rev-parse", "HEAD"], {
    encoding: "utf8",
  }).stdout.trim();
  expect(predicate.buildDefinition.resolvedDependencies).toEqual([
    { uri: "git+https://forge.example/owner/borgserver@refs/tags/v1.0.0", digest: { gitCommit: commit } },
  ]);
  expect(commit).toMatch(/^[0-9a-f]{40}$/);
  expect(predicate.runDetails).toEqual({
    builder: { id: `https://forge.example/${env.GITHUB_WORKFLOW_REF}` },
    metadata: { invocationId: "https://forge.example/owner/borgserver/actions/runs/12/attempts/3" },
  });
  expect(run("scripts/provenance v1.0.0", { env: { ...env, GITHUB_RUN_ID: "" } }).code).not.toBe(0);
});

test("the list of an image's parts has Debian's, PyPI's, and those of npm that are in the executable", () => {
  const input =
    "image\tborgserver\t-\tamd64\ndeb\tlibstdc++6\t14.2.0-19\tamd64\ndeb\ttzdata\t2:2026b-0\tall\npypi\tborgbackup\t1.4.5\t-\npypi\tborgbackup\t1.4.5\t-\n";
  const list = (input: string) => run("scripts/node scripts/inside/sbom.ts", { input });
  const { metadata, components } = JSON.parse(list(input).stdout);
  expect(metadata.component).toMatchObject({ name: "borgserver", version });
  const purls: string[] = components.map(({ purl }: { purl: string }) => purl);
  expect(purls).toEqual(
    expect.arrayContaining([
      "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64",
      "pkg:deb/debian/tzdata@2%3A2026b-0?arch=all",
      "pkg:pypi/borgbackup@1.4.5",
      expect.stringMatching(/^pkg:npm\/%40oven\/bun-linux-x64-baseline@/),
      expect.stringMatching(/^pkg:npm\/better-sqlite3@/),
    ]),
  );
  expect(new Set(purls).size).toBe(purls.length);
  expect(purls.join()).not.toMatch(/biome|vitest|typescript|aarch64/);
  expect(list(input.replace("-\tamd64", "-\tarm64")).stdout).toMatch(/bun-linux-aarch64/);
  expect(list("").code).not.toBe(0);
});
