import { afterAll, beforeAll, expect, test } from "vitest";
import { Containers } from "./containers.ts";
import { type Pod, readYaml, runOptions } from "./pod.ts";

// Two pods of deploy/kubernetes, with podman in the place of the kubelet.

const pod: Pod = readYaml("deploy/kubernetes/base/statefulset.yaml")[0].spec.template.spec;
const [server] = pod.containers as [Pod["containers"][number]];
const names = ["borgserver-0", "borgserver-1"];
let containers: Containers;

/** What all pods share is one folder, and an emptyDir is one for each pod. */
const folderOf = (podName: string) => (volume: string) =>
  pod.volumes.find(({ name }) => name === volume)?.emptyDir ? `/${podName}/${volume}` : `/shared/${volume}`;

/** A ConfigMap as the kubelet shows it: links through `..data`, which it swaps. Nothing of it can be changed in place. */
const configMap = (volume: string, version: string, keys: string[]) =>
  containers.ok(`mkdir -p /shared/${volume}/..${version} && cd /shared/${volume}
    for key in ${keys.join(" ")}; do cp /client/web.pub ..${version}/$key; ln -sfn ..data/$key $key; done
    ln -s ..${version} ..data.new && mv -T ..data.new ..data && chmod -R a+rX .`);

beforeAll(async () => {
  containers = await Containers.start();
  await containers.machine.makeKey("web");
  for (const { name, configMap: map, secret, persistentVolumeClaim } of pod.volumes) {
    // A Secret is shown in the same way; that of the host keys alone has a mode of its own, and has to be there.
    if (map || (secret && secret.defaultMode === undefined))
      await configMap(name, "1", name === "role-repos" ? ["web"] : []);
    if (persistentVolumeClaim) await containers.ok(`mkdir -p /shared/${name}`);
    if (secret?.defaultMode !== undefined)
      await containers.ok(
        `mkdir -p /shared/${name} && for t in ed25519 rsa; do ssh-keygen -q -t $t -N '' -f /shared/${name}/ssh_host_\${t}_key; done &&
         chmod ${secret.defaultMode.toString(8)} /shared/${name}/*`,
      );
  }
  for (const [at, name] of names.entries()) {
    for (const { name: volume, emptyDir } of pod.volumes)
      if (emptyDir) await containers.ok(`mkdir -p /${name}/${volume} && chmod 0777 /${name}/${volume}`);
    for (const first of pod.initContainers) {
      const [program, ...words] = first.command!;
      await containers.ok(
        `podman run --rm ${runOptions(first, folderOf(name))} --entrypoint ${program} localhost/borgserver ${words.join(" ")}`,
      );
    }
    await containers.ok(
      `podman run --detach --name ${name} --hostname ${name} --publish 127.0.0.1:${2290 + at}:22 ${runOptions(server, folderOf(name))} localhost/borgserver`,
    );
  }
  for (const name of names) await containers.listening(name);
});
afterAll(() => containers?.stop());

test("a server of the manifests starts without a warning, and its probes pass", async () => {
  for (const name of names) {
    expect(await containers.log(name)).not.toContain("WARNING");
    for (const probe of [server.startupProbe!, server.readinessProbe!])
      expect(await containers.exec(name, probe.exec.command.join(" "))).toMatchObject({ code: 0 });
  }
});

test("only root can write to the folders that the server keeps its own files in", async () => {
  for (const name of names) {
    const folders = pod.initContainers.flatMap(({ volumeMounts }) =>
      volumeMounts.map(({ mountPath }) => mountPath),
    );
    expect(
      (
        await containers.exec(
          name,
          `find ${folders.join(" ")} -maxdepth 0 -perm /022 -o -maxdepth 0 ! -user 0`,
        )
      ).stdout,
    ).toBe("");
    expect(folders).toContain("/run");
  }
});

test("a client of one node finds on the other what it backed up, under the same host key", async () => {
  await containers.pin(names[0]!, 2290);
  await containers.ok(
    "sed 's/:2290/:2291/' /client/known_hosts >/client/both && cat /client/both >>/client/known_hosts",
  );
  const at = (port: number) => `ssh://web@127.0.0.1:${port}/repos/web`;
  const { machine } = containers;
  expect(await machine.borg("web", `init -e none ${at(2290)}`)).toMatchObject({ code: 0 });
  expect(await machine.borg("web", `create ${at(2290)}::a /client/web.pub`)).toMatchObject({ code: 0 });
  const { code, stdout } = await machine.borg("web", `list --short ${at(2291)}`);
  expect({ code, stdout }).toEqual({ code: 0, stdout: "a\n" });
});

test("a changed ConfigMap is taken up by each node when its link is swapped", async () => {
  await configMap("role-repos", "2", ["web", "later"]);
  for (const name of names)
    await containers.ok(
      `for i in $(seq 100); do podman logs ${name} 2>&1 | grep -q 'account later: added' && exit 0; sleep 0.1; done; podman logs ${name}; exit 1`,
    );
});

test("a stop is over within the grace period, and leaves no lock", async () => {
  const { ended } = await containers.longBackup("shared", "web", "ssh://web@127.0.0.1:2290/repos/web");
  const begun = Date.now();
  await containers.ok(`podman stop --time ${pod.terminationGracePeriodSeconds} ${names[0]}`);
  expect((Date.now() - begun) / 1000).toBeLessThan(pod.terminationGracePeriodSeconds - 5);
  expect(await containers.inspect(names[0]!, ".State.ExitCode")).toBe("0");
  await containers.ok("echo end >/client/shared-more");
  await ended;
  expect(await containers.ok("ls /shared/repos/web")).not.toContain("lock");
});
