import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Containers, capabilities } from "./containers.ts";

let containers: Containers;

beforeAll(async () => {
  containers = await Containers.start();
  await containers.machine.makeKey("web");
});
afterAll(() => containers?.stop());

async function backsUp(name: string, port: number): Promise<void> {
  await containers.pin(name, port);
  const { machine } = containers;
  expect(await machine.borg("web", `init -e none ssh://web@127.0.0.1:${port}/repos/web`)).toMatchObject({
    code: 0,
  });
  expect(
    await machine.borg("web", `create ssh://web@127.0.0.1:${port}/repos/web::a /client/web.pub`),
  ).toMatchObject({ code: 0 });
}

const makeHostKeys = (name: string) =>
  containers.ok(
    `mkdir -p /${name}/sshkeys/host && for t in ed25519 rsa; do ssh-keygen -q -t $t -N '' -f /${name}/sshkeys/host/ssh_host_\${t}_key; done`,
  );

test("/sshkeys mounted read-only, as Kubernetes mounts secrets: symlinks, mode 0644", async () => {
  await makeHostKeys("secrets");
  await containers.ok(`mkdir -p /secrets/repos /secrets/sshkeys/repos/..2026 && cp /client/web.pub /secrets/sshkeys/repos/..2026/web && cd /secrets/sshkeys/repos &&
    ln -s ..2026 ..data && ln -s ..data/web web && chmod -R a+rX,u=rwX /secrets/sshkeys && chmod 644 /secrets/sshkeys/host/*`);
  await containers.ok(
    "podman run --detach --name secrets --publish 127.0.0.1:2230:22 --volume /secrets/sshkeys:/sshkeys:ro --volume /secrets/repos:/repos localhost/borgserver",
  );
  await containers.listening("secrets");
  await backsUp("secrets", 2230);
});

describe("a read-only root", () => {
  test("is refused with what to do", async () => {
    const { code, stderr } = await containers.run(
      "podman run --rm --read-only --read-only-tmpfs=false localhost/borgserver",
    );
    expect(code).toBe(1);
    expect(stderr).toContain(
      "--volume /var/lib/borgserver --volume /var/cache/borgserver --tmpfs /run --tmpfs /tmp",
    );
    expect(stderr).not.toContain("/etc");
  });

  test("works with the volumes that the message names", async () => {
    await containers.drop("readonly", "repos/web", "web");
    await containers.serve(
      "readonly",
      2231,
      "--env WATCH_EVERY=24h --read-only --read-only-tmpfs=false --volume /var/lib/borgserver --volume /var/cache/borgserver --tmpfs /run --tmpfs /tmp",
    );
    await backsUp("readonly", 2231);
    await containers.drop("readonly", "repos/more", "web");
    await containers.ok(
      "for i in $(seq 100); do podman logs readonly 2>&1 | grep -q '/repos/more: created' && exit 0; sleep 0.1; done; exit 1",
    );
    expect((await containers.exec("readonly", "update-borgusers")).stdout).toBe(
      "index: 2 accounts (2 repo), 2 keys\n",
    );
    expect((await containers.exec("readonly", "list all")).stdout).toContain("/repos/web:\n");
    expect(await containers.exec("readonly", "/usr/local/lib/borgserver/health")).toMatchObject({ code: 0 });
  });
});

test("the least set of capabilities, and no new privileges, are enough", async () => {
  const operating = readFileSync("docs/operating.md", "utf8");
  for (const capability of capabilities) expect(operating).toContain(`--cap-add ${capability}`);
  await containers.drop("least", "repos/web", "web");
  await containers.ok(
    "chown -R 4711:4711 /least && chmod 700 /least/sshkeys && chmod 600 /least/sshkeys/repos/web",
  );
  const options = `--cap-drop ALL ${capabilities.map((capability) => `--cap-add ${capability}`).join(" ")} --security-opt no-new-privileges --env PUID=1234`;
  await containers.serve("least", 2232, options);
  await backsUp("least", 2232);
  expect(await containers.log("least")).not.toContain("WARNING");
  expect(await containers.exec("least", "list all")).toMatchObject({ code: 0 });
  expect(await containers.exec("least", "update-borgusers")).toMatchObject({ code: 0 });
  expect(await containers.ok("find /least/repos ! -user 1234 -o ! -group 1000")).toBe("");
  const { ended } = await containers.longBackup("least", "web", "ssh://web@127.0.0.1:2232/repos/web");
  await containers.ok("podman stop --time 10 least; echo end >/client/least-more");
  await ended;
  expect(await containers.ok("ls /least/repos/web")).not.toContain("lock");
});
