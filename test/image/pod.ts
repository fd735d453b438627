import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** What the tests read of a pod's template. */
export interface Container {
  name: string;
  command?: string[];
  envFrom?: unknown[];
  startupProbe?: { exec: { command: string[] } };
  readinessProbe?: { exec: { command: string[] } };
  securityContext: {
    allowPrivilegeEscalation: boolean;
    readOnlyRootFilesystem: boolean;
    capabilities: { drop: string[]; add?: string[] };
    seccompProfile: { type: string };
  };
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean }[];
}

export interface Pod {
  initContainers: Container[];
  containers: Container[];
  terminationGracePeriodSeconds: number;
  volumes: {
    name: string;
    emptyDir?: object;
    configMap?: { name: string };
    secret?: { secretName: string; defaultMode?: number };
    persistentVolumeClaim?: { claimName: string };
  }[];
}

/** The documents of a YAML file; Bun, our compiler, has a parser. */
// biome-ignore lint/suspicious/noExplicitAny: what is in them is for the caller to know
export function readYaml(file: string): any[] {
  const script = "console.log(JSON.stringify([Bun.YAML.parse(await Bun.stdin.text())].flat()))";
  const bun = `node_modules/@oven/bun-linux-${process.arch === "x64" ? "x64-baseline" : "aarch64"}/bin/bun`;
  const { stdout } = spawnSync(bun, ["-e", script], { input: readFileSync(file), encoding: "utf8" });
  return JSON.parse(stdout);
}

/**
 * Options of podman-run(1) that run a container as the kubelet does.
 * @param folderOf where a volume of the pod is on the machine
 */
export function runOptions(container: Container, folderOf: (volume: string) => string): string {
  const { capabilities, ...context } = container.securityContext;
  if (context.seccompProfile.type !== "RuntimeDefault") throw new Error("podman's default is the runtime's");
  return [
    ...capabilities.drop.map((name) => `--cap-drop ${name}`),
    ...(capabilities.add ?? []).map((name) => `--cap-add ${name}`),
    context.allowPrivilegeEscalation ? "" : "--security-opt no-new-privileges",
    context.readOnlyRootFilesystem ? "--read-only --read-only-tmpfs=false" : "",
    ...container.volumeMounts.map(
      ({ name, mountPath, readOnly }) => `--volume ${folderOf(name)}:${mountPath}${readOnly ? ":ro" : ""}`,
    ),
  ].join(" ");
}
