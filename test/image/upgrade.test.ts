import { afterAll, beforeAll, expect, test } from "vitest";
import { Containers } from "./containers.ts";

/** From 0.1.0 (scripts/build-first-image), whose accounts stood in /etc/passwd, to now, and back, with the same volumes. */

const port = 2271;
/** In milliseconds, of a test: servers are stopped and started in each. */
const timeout = 300_000;
let containers: Containers;

beforeAll(async () => {
  containers = await Containers.start();
  for (const key of ["web", "log", "boss"]) await containers.machine.makeKey(key);
  await containers.ok(
    `mkdir -p /up/repos /up/state /up/sshkeys/repos /up/sshkeys/repos-appendonly /up/sshkeys/admins /up/aside
     cd /up/sshkeys && cp /client/web.pub repos/web && cp /client/log.pub repos-appendonly/log && cp /client/boss.pub admins/boss`,
  );
});
afterAll(() => containers?.stop());

/** Puts the server of an image in the place of the one that ran. 0.1.0 has no volume for what is derived. */
async function serve(image: string): Promise<void> {
  await containers.ok("podman rm --force --time 10 up");
  await containers.ok(
    `podman run --detach --name up --hostname up --publish 127.0.0.1:${port}:22 --volume /up/sshkeys:/sshkeys \
       --volume /up/repos:/repos ${image ? "" : "--volume /up/state:/var/lib/borgserver"} localhost/borgserver${image}`,
  );
  await containers.listening("up");
}

const borg = (account: string, words: string, repository = account) =>
  containers.machine.borg(
    account,
    words.replace("REPO", `ssh://${account}@127.0.0.1:${port}/repos/${repository}`),
  );
const archives = async (account: string, repository = account) =>
  (await borg(account, "list --short REPO", repository)).stdout.trim().split("\n");

/** Both accounts back up, and each sees all archives that were made before. */
async function backsUp(archive: string, before: string[]): Promise<void> {
  for (const account of ["web", "log"]) {
    expect(await borg(account, `create REPO::${archive} /client/web.pub`)).toMatchObject({ code: 0 });
    expect(await archives(account)).toEqual([...before, archive]);
    expect(await archives("boss", account)).toEqual([...before, archive]);
  }
  const all = await containers.exec("up", "check --repository-only all");
  expect(`${all.code} ${all.stderr}`).toMatch(/^0 /);
}

const passwd = async () => (await containers.exec("up", "cat /etc/passwd")).stdout;

test("0.1.0 serves", { timeout }, async () => {
  await serve(":0.1.0");
  await containers.pin("up", port);
  expect(await passwd()).toMatch(/^web:/m);
  for (const account of ["web", "log"])
    expect(await borg(account, "init -e none REPO")).toMatchObject({ code: 0 });
  await backsUp("first", []);
});

test("this version takes its place: the same host keys, every archive, and what 0.1.0 did not know", {
  timeout,
}, async () => {
  await serve("");
  expect(await passwd()).not.toMatch(/^web:/m);
  await backsUp("second", ["first"]);
  await containers.ok(
    `cd /up/sshkeys && mkdir -p settings repos-restore && echo 'late-after = "26h"' >settings/web
     cp /client/web.pub repos-restore/help && echo 'repository = "web"' >settings/help`,
  );
  expect(await containers.exec("up", "update-borgusers")).toMatchObject({ code: 0 });
  const help = await containers.machine.borg("web", `list --short ssh://help@127.0.0.1:${port}/repos/web`);
  expect(help.stdout).toBe("first\nsecond\n");
});

test("0.1.0 takes its place again when settings and repos-restore are moved away, and this version after it", {
  timeout,
}, async () => {
  await containers.ok("cd /up/sshkeys && mv settings repos-restore /up/aside/");
  await serve(":0.1.0");
  await backsUp("third", ["first", "second"]);
  await containers.ok("mv /up/aside/* /up/sshkeys/");
  await serve("");
  await backsUp("fourth", ["first", "second", "third"]);
  await expect
    .poll(async () => JSON.parse((await containers.exec("up", "status --json web")).stdout)[0], {
      timeout: 20_000,
    })
    .toMatchObject({ last_kind: "create", late: false, problem: null });
});

test("0.1.0 says what it does not know, and changes nothing", async () => {
  await containers.ok("podman stop --time 10 up");
  const { code, stderr } = await containers.run(
    "timeout 60 podman run --rm --volume /up/sshkeys:/sshkeys --volume /up/repos:/repos localhost/borgserver:0.1.0",
  );
  expect(code).not.toBe(0);
  for (const folder of ["settings", "repos-restore"]) expect(stderr).toContain(`/sshkeys/${folder}`);
});
