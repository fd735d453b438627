import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { capabilities } from "../../image/containers.ts";
import { type Pod, readYaml } from "../../image/pod.ts";

const base = "deploy/kubernetes/base";
const manifests = readdirSync(base)
  .filter((name) => name !== "kustomization.yaml")
  .flatMap((name) => readYaml(`${base}/${name}`));
const statefulSet = manifests.find(({ kind }) => kind === "StatefulSet");
const pod: Pod = statefulSet.spec.template.spec;

test("a pod has the capabilities that the image's tests run with, and no other right", () => {
  const [{ securityContext: rights }] = pod.containers as [Pod["containers"][number]];
  expect(rights.capabilities).toEqual({ drop: ["ALL"], add: capabilities });
  for (const { securityContext } of [...pod.initContainers, ...pod.containers])
    expect(securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    });
});

test("everything that selects pods selects these", () => {
  const { labels } = statefulSet.spec.template.metadata;
  const ofKind = (wanted: string) => manifests.filter(({ kind }) => kind === wanted).map(({ spec }) => spec);
  expect(ofKind("Service").map(({ selector }) => selector)).toEqual([labels, labels]);
  expect([
    statefulSet.spec.selector,
    ...ofKind("PodDisruptionBudget").map(({ selector }) => selector),
    ...ofKind("NetworkPolicy").map(({ podSelector }) => podSelector),
  ]).toEqual([{ matchLabels: labels }, { matchLabels: labels }, { matchLabels: labels }]);
  expect(JSON.stringify(statefulSet.spec.template.spec.affinity)).toContain(
    JSON.stringify({ matchLabels: labels }),
  );
  expect(manifests.some(({ metadata }) => metadata.name === statefulSet.spec.serviceName)).toBe(true);
});

test("each volume of a pod is mounted, and each mount has its volume", () => {
  const mounted = [...pod.initContainers, ...pod.containers].flatMap(({ volumeMounts }) =>
    volumeMounts.map(({ name }) => name),
  );
  expect(new Set(mounted)).toEqual(new Set(pod.volumes.map(({ name }) => name)));
});

/** The lines of a unit file, without comments: for each key its values. */
function readUnit(file: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const [, key = "", value = ""] of readFileSync(file, "utf8").matchAll(/^([A-Za-z]+)=(.*)$/gm))
    values.set(key, [...(values.get(key) ?? []), value]);
  return values;
}

test("the Quadlet file is what compose.yaml is, with the fewest rights", () => {
  const unit = readUnit("deploy/quadlet/borgserver.container");
  const [{ services }] = readYaml("compose.yaml");
  const compose = services.borgserver;
  const { healthcheck } = compose;
  expect(Object.fromEntries(unit)).toMatchObject({
    ContainerName: [compose.container_name],
    HostName: [compose.hostname],
    PublishPort: compose.ports,
    HealthCmd: healthcheck.test.slice(1),
    HealthInterval: [healthcheck.interval],
    HealthTimeout: [healthcheck.timeout],
    HealthStartPeriod: [healthcheck.start_period],
    DropCapability: ["ALL"],
    AddCapability: [capabilities.join(" ")],
    NoNewPrivileges: ["true"],
    ReadOnly: ["true"],
  });
  const inside = (volume: string) => volume.split(":")[1];
  expect(unit.get("Volume")!.map(inside)).toEqual(expect.arrayContaining(compose.volumes.map(inside)));
});

test("what is deployed is the version of package.json", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  const short = version.split(".").slice(0, 2).join(".");
  const [overlay] = readYaml("deploy/kubernetes/overlays/example/kustomization.yaml");
  expect(overlay.images).toEqual([
    { name: "borgserver", newName: "ghcr.io/OWNER/borgserver", newTag: short },
  ]);
  expect(readUnit("deploy/quadlet/borgserver.container").get("Image")).toEqual([
    `ghcr.io/OWNER/borgserver:${short}`,
  ]);
  const readme = readFileSync("README.md", "utf8");
  const named = [...readme.matchAll(/ghcr\.io\/OWNER\/borgserver:(\S+)/g)].map(([, tag]) => tag);
  expect(named).toEqual([short, short]);
});
