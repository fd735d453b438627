/**
 * The last step of scripts/sbom. Standard input has a line for each package in the image: its kind, name, version and
 * architecture, between tabs; the first one is the image itself. npm's are those of the lock file that are not for development.
 */

import { readFileSync } from "node:fs";

interface Locked {
  version: string;
  dev?: boolean;
  cpu?: string[];
}

const [image, ...installed] = readFileSync(0, "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => line.split("\t") as [kind: string, name: string, version: string, architecture: string]);
if (image?.[0] !== "image") throw new Error("the first line is not the image");
const architecture = image[3];
const { version, packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
  version: string;
  packages: Record<string, Locked>;
};

// npm's word for it. The linter is installed wherever npm is, but it is in nothing that runs.
const cpu = architecture === "amd64" ? "x64" : architecture;
const compiled = Object.entries(packages)
  .filter(([path, { dev, cpu: cpus }]) => path !== "" && !dev && (cpus ?? [cpu]).includes(cpu))
  .map(([path, locked]) => ["npm", path.replace(/^.*node_modules\//, ""), locked.version, "-"] as const)
  .filter(([, name]) => !name.startsWith("@biomejs/"));

const components = [...installed, ...compiled].map(([kind, name, version, architecture]) => {
  const place = (kind === "deb" ? `debian/${name}` : name).split("/").map(encodeURIComponent).join("/");
  const purl = `pkg:${kind}/${place}@${encodeURIComponent(version)}${architecture === "-" ? "" : `?arch=${architecture}`}`;
  return { type: "library", "bom-ref": purl, name, version, purl };
});
components.sort((one, other) => (one.purl < other.purl ? -1 : one.purl > other.purl ? 1 : 0));
const bom = {
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  version: 1,
  metadata: { component: { type: "container", "bom-ref": "image", name: "borgserver", version } },
  components: components.filter(({ purl }, at) => purl !== components[at - 1]?.purl),
};
console.log(JSON.stringify(bom, null, 2));
