import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Containers } from "./containers.ts";

// What test/machine/moving.test.ts shows of each other server, once with the containers that docs/moving.md speaks of.

let containers: Containers;

beforeAll(async () => {
  containers = await Containers.start();
  await containers.machine.write("/usr/local/sbin/docker", '#!/bin/sh\nexec podman "$@"\n');
  await containers.ok(
    "chmod 755 /usr/local/sbin/docker; mkdir -p /client/.ssh; echo 127.0.0.1 backup.example.org >>/etc/hosts",
  );
});
afterAll(() => containers?.stop());

test("import in a container sees the other server's folders, and writes key files alone", async () => {
  const { machine } = containers;
  const section = readFileSync("docs/moving.md", "utf8").split("## sternmotor's image\n")[1]!;
  const [server, client] = [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
  const { BORG_RELOCATED_REPO_ACCESS_IS_OK: _, ...env } = machine.client("web01");

  await machine.makeKey("web01");
  await machine.ok(
    `mkdir -p /borgserver/old/sshkeys/clients /borgserver/old/backup/web01; cd /borgserver/old
    cp /client/web01.pub sshkeys/clients/web01
    borg init -e repokey backup/web01; borg create backup/web01::old /client/web01.pub; chown -R 2000:2000 backup`,
    { env },
  );
  await containers.serve("borgserver", 2222);
  await machine.ok(
    "podman exec borgserver borgserver known-hosts backup.example.org:2222 >/client/known_hosts",
  );
  await machine.ok(`set -e; cd /borgserver\n${server}`);
  expect(
    await machine.ok("cat /borgserver/moves; cd /borgserver; find sshkeys -type f ! -path '*/host/*'"),
  ).toBe("mv -T /backup/web01 /repos/web01\nsshkeys/repos/web01\n");
  expect(await machine.ok(`set -e\n${client}`, { env })).toMatch(/^old /);
});
