import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Containers } from "./containers.ts";

let containers: Containers;

beforeAll(async () => {
  containers = await Containers.start();
});
afterAll(() => containers?.stop());

/** The shell commands of a section, as they are printed. */
function commandsOf(section: string): string {
  const readme = readFileSync("README.md", "utf8");
  const text = new RegExp(`^## ${section}\\n([\\s\\S]*?)^## `, "m").exec(readme)![1]!;
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]).join("");
}

test("the quick start, further clients and an upgrade work word for word", async () => {
  const quickStart = commandsOf("Quick start");
  expect(quickStart).toMatch(/^docker compose up -d\n(.*\n)*borg init .*\nborg create .*\n$/m);
  expect(quickStart.match(/\n/g)).toHaveLength(6);
  const clients = commandsOf("Roles and more clients");
  expect(clients.match(/^borg /gm)!.length).toBeGreaterThan(7);
  const upgrade = commandsOf("Upgrade, and backup of the server itself");
  expect(upgrade).toMatch(/index check\ndocker compose up -d\n$/);
  const commands = quickStart + clients + upgrade;
  const { machine } = containers;
  // The engine at hand under the name that the README uses; scripts/build-image has built the image already. A newcomer
  // waits for the start, a script has to be told.
  await machine.write(
    "/usr/local/sbin/docker",
    `#!/bin/bash
[ "$*" != "compose build" ] || exit 0
[ "$1" != compose ] || { shift; exec podman-compose "$@"; }
podman "$@" || exit
`,
  );
  await machine.write(
    "/client/ready",
    `#!/bin/sh
for i in $(seq 100); do podman exec "$1" /usr/local/lib/borgserver/health >/dev/null 2>&1 && exit 0; sleep 0.2; done; exit 1
`,
  );
  await machine.ok(
    "chmod 755 /usr/local/sbin/docker /client/ready; rm -rf /root/.ssh; mkdir -m 700 /root/.ssh; mkdir /start; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519",
  );
  await machine.ok(`cp ${process.cwd()}/compose.yaml /start/`);
  await machine.write(
    "/client/start.sh",
    `set -ex
cd /start
${commands.replace(/^docker (compose up|run) -d.*$/gm, (line) => `${line}\n/client/ready ${line.includes("mybackup") ? "mybackup" : "borgserver"}`)}`,
  );
  const { code, stdout, stderr } = await machine.run("bash /client/start.sh", {
    env: {
      HOME: "/root", // ssh asks the account files, not HOME
      PATH: "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
      BORG_PASSPHRASE: "secret",
      BORG_BASE_DIR: "/client/base",
      BORG_RELOCATED_REPO_ACCESS_IS_OK: "yes",
    },
  });
  expect(`${code}\n${code === 0 ? "" : stdout + stderr}`).toBe("0\n");
  expect(await machine.ok("ls /start/repos; podman exec mybackup ls /repos")).toBe(
    "archive\ndb01\nlaptop\nweb01\nlaptop\n",
  );
  expect(await machine.ok("podman inspect --format '{{.Config.Hostname}}' borgserver")).toBe("borgserver\n");
});
