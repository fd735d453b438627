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

test("the quick start works word for word", async () => {
  const commands = commandsOf("Quick start");
  expect(commands).toMatch(/^mkdir .*\ndocker compose up -d\n/);
  expect(commands.match(/^borg /gm)!.length).toBeGreaterThan(7);
  const { machine } = containers;
  // The engine at hand under the name that the README uses; a newcomer waits for the start, a script has to be told.
  await machine.write(
    "/usr/local/sbin/docker",
    `#!/bin/bash
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
${commands.replace(/^docker (compose up|run) .*$/gm, (line) => `${line}\n/client/ready ${line.includes("mybackup") ? "mybackup" : "borgserver"}`)}`,
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
    "archive\ndb01\nweb01\nlaptop\n",
  );
  expect(await machine.ok("podman inspect --format '{{.Config.Hostname}}' borgserver")).toBe("borgserver\n");
});
