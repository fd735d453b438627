import { afterAll, beforeAll, expect, test } from "vitest";
import { finished, idOf, programs } from "../machine/machine.ts";
import { Containers } from "./containers.ts";

// test/machine/lookups.test.ts in short, with the image's OpenSSH, libnss-cache and C library.

const shell = "/usr/local/lib/borgserver/session";
let containers: Containers;
beforeAll(async () => {
  containers = await Containers.start();
  await containers.machine.makeKey("web");
  for (const name of ["web01", "o-web01", "move", "leave-web01", "x".repeat(255)])
    await containers.drop("known", `repos/${name}`, "web");
  await containers.drop("known", "admins/ceo-web01", "web");
  // A lookup that reads all lines has to read much.
  await containers.ok("cd /known/sshkeys/repos; for n in $(seq 0 299); do cp /client/web.pub a-host$n; done");
  await containers.ok("mkdir /known/end");
  await containers.serve("known", 2240, "--volume /client:/client --volume /known/end:/end");
  await containers.pin("known", 2240);
});
afterAll(() => containers?.stop());

test("root's programs know the accounts, an account's do not, and sshd lets them in", async () => {
  expect(
    await containers.exec("known", "sh -c 'getent passwd web01 ceo-web01; id -gn o-web01'"),
  ).toMatchObject({
    code: 0,
    stdout: `web01:*:${idOf("web01")}:60902:borgserver:/:${shell}\nceo-web01:*:${idOf("ceo-web01")}:60904:borgserver:/:${shell}\nborg-repo\n`,
  });
  expect(await containers.run("podman exec --user 1000 known getent passwd web01")).toMatchObject({
    code: 2,
    stdout: "",
  });
  for (const name of ["web01", "x".repeat(255)])
    expect(
      await containers.machine.borg("web", `init -e none ssh://${name}@127.0.0.1:2240/repos/${name}`),
    ).toMatchObject({ code: 0 });
  // ssh by itself: of a connection that ends, borg often reads the end before it reads why.
  expect((await containers.machine.ssh("web", "-p 2240 eb01@127.0.0.1 borg serve")).stderr).toContain(
    "Permission denied (publickey)",
  );
});

test("an archive that an operator makes has a maker's name, which the system tells the owner's id not", async () => {
  const archive = "/repos/web01::by-operator";
  expect(await containers.exec("known", `create ${archive} /etc/hostname`)).toMatchObject({ code: 0 });
  expect((await containers.exec("known", `info ${archive}`)).stdout).toContain("Username: borg\n");
});

test("through two hundred publications no lookup is wrong, and none reads line by line", {
  timeout: 600_000,
}, async () => {
  await containers.ok(`cp ${programs}/look_up.py ${programs}/publish.py /client/`);
  const words = [
    `web01=60902:${idOf("web01")}`,
    `o-web01=60902:${idOf("o-web01")}`,
    `ceo-web01=60904:${idOf("ceo-web01")}`,
    `move=60902:${idOf("move")}|60904:${idOf("move")}`,
    `leave-web01=60902:${idOf("leave-web01")}?`,
    "absent-web01=?",
  ];
  const reader = finished(
    containers.machine.spawn(`podman exec known python3 /client/look_up.py /end/now '${words.join("' '")}'`),
  );
  await containers.ok("podman exec known python3 /client/publish.py /end/now 200");
  const { code, stdout, stderr } = await reader;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const found = JSON.parse(stdout);
  expect(found).toMatchObject({ wrong: 0, examples: [], linear: 0 });
  expect(found.straddling).toBeGreaterThan(5);
});
