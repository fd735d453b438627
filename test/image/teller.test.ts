import { afterAll, beforeAll, expect, test } from "vitest";
import { programs } from "../machine/machine.ts";
import { Containers } from "./containers.ts";

// The tries of test/machine/teller.test.ts, in a container as operators run it, and what is sent from there.

let containers: Containers;
const attack = "/usr/local/lib/attack";
const inside = (command: string) => containers.ok(`podman exec on sh -c '${command}'`);

beforeAll(async () => {
  containers = await Containers.start();
  await containers.machine.makeKey("web");
  await containers.drop("on", "repos/web", "web");
  await containers.machine.write("/on/sshkeys/settings/web", 'notify = "json://127.0.0.1:8099/of-web"\n');
  const volumes = ["attacks.py", "teller_attacks.py"].map(
    (name) => `--volume ${programs}/${name}:${attack}/${name}:ro`,
  );
  await containers.serve(
    "on",
    2252,
    `${volumes.join(" ")} --volume ${programs}/sink.py:/sink.py:ro --env STATUS_LISTEN=127.0.0.1:9100 --env NOTIFY=json://127.0.0.1:8099/hook`,
  );
  await containers.ok("podman exec --detach on python3 -I /sink.py 8099 /run/sunk");
}, 200_000);
afterAll(() => containers?.stop());

test("a message is sent, to this machine only where the operator says so", async () => {
  expect(await containers.run("podman exec on borgserver notify-test")).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(
      /^address 1 of NOTIFY \(json\): taken\nthe notify address of web \(json\): not taken: it is an address of this machine or of its link/,
    ),
  });
  expect(await inside("cat /run/sunk")).toMatch(/^\{"path": "\/hook", .*\n$/);
});

test("the certificates of mail servers are judged, by those that came with Apprise", async () => {
  const known = await containers.ok(
    `podman exec on /opt/apprise/bin/python -I -c '
import os, ssl, sys
sys.path.append("/usr/local/lib/borgserver")
import sender
os.environ["SSL_CERT_FILE"] = sender.trusted()
print(ssl.create_default_context().cert_store_stats()["x509_ca"])'`,
  );
  expect(Number(known)).toBeGreaterThan(50);
});

test("a teller that was taken over is refused what root may do there, and what is published is all it reads", async () => {
  await containers.ok("podman exec --detach --user 60906:60906 on sleep 1000");
  await inside(
    `first() { grep -lsx "$1" /proc/[0-9]*/comm | cut -d/ -f3 | sort -n | head -n 1; }
     keeper=$(grep -lsz "^keep$" /proc/[0-9]*/cmdline | cut -d/ -f3 | head -n 1)
     mkdir -p /repos/web && touch /repos/web/config /run/borgserver/published/teller-test
     echo "{\\"keeper\\": $keeper, \\"sshd\\": $(first sshd), \\"own\\": $(first sleep), \\"port\\": 8099}" >${attack}/targets.json
     sed "s#^PROGRAM = .*#PROGRAM = \\"/usr/local/lib/tries\\"#" /usr/local/lib/borgserver/teller.py >/run/teller.py
     printf "#!/bin/sh\\nexec /usr/bin/python3 ${attack}/teller_attacks.py\\n" >/usr/local/lib/tries && chmod 755 /usr/local/lib/tries`,
  );
  const succeeded = (text: string) =>
    text
      .trim()
      .split("\n")
      .map((line): { name: string; may: boolean; errno: string | null } => JSON.parse(line))
      .filter(({ errno }) => errno === null);
  const asRoot = succeeded(await inside(`python3 ${attack}/teller_attacks.py`));
  expect(asRoot.filter(({ may }) => !may).length).toBeGreaterThan(60);
  const { stdout, stderr } = await containers.run("podman exec on python3 -I /run/teller.py");
  expect(stderr).toBe("");
  const may = asRoot.filter((each) => each.may).map(({ name }) => name);
  expect(may).toHaveLength(7);
  expect(succeeded(stdout).map(({ name }) => name)).toEqual(may);
});
