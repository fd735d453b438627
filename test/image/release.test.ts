import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test("the list of the image's parts has what is in it, and nothing that only builds", () => {
  const { status, stdout } = spawnSync("scripts/sbom", { encoding: "utf8" });
  expect(status).toBe(0);
  const { bomFormat, components } = JSON.parse(stdout) as {
    bomFormat: string;
    components: { name: string; version: string }[];
  };
  expect(bomFormat).toBe("CycloneDX");
  const names = components.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining(["openssh-server", "libc6", "tini", "borgbackup", "msgpack", "better-sqlite3"]),
  );
  expect(names.filter((name) => /^(gcc|npm|node|pip|typescript)$/.test(name))).toEqual([]);
  expect(components.filter(({ version }) => !version)).toEqual([]);
});

test("an image is published for each architecture, and one of all under each name, signed", () => {
  const { status, stdout, stderr } = spawnSync(
    "scripts/podman-machine",
    ["--net", "--with", "docker-registry", `${process.cwd()}/test/programs/publish.sh`],
    { encoding: "utf8" },
  );
  const image = "127.0.0.1:5000/owner/borgserver";
  expect(`${status}${status === 0 ? "" : stderr}`).toBe("0");
  expect(stdout.split("\n")).toEqual([
    ...["1.2", "1.2.3", "1.2.3-amd64", "1.2.3-arm64", "latest"],
    "2",
    `cosign attest --yes --type cyclonedx --predicate build/release/sbom.json ${image}@DIGEST`,
    `cosign attest --yes --type slsaprovenance1 --predicate build/release/provenance.json ${image}@DIGEST`,
    `cosign sign --yes --recursive ${image}@DIGEST`,
    "gh release view v1.2.3 --repo Owner/borgserver",
    "gh release create v1.2.3 --repo Owner/borgserver --verify-tag --title 1.2.3 --notes-file build/release/notes.md",
    "",
  ]);
});
