import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { finished } from "../machine/machine.ts";
import { Containers, capabilities } from "./containers.ts";

let containers: Containers;

beforeAll(async () => {
  containers = await Containers.start();
  for (const key of ["web", "other"]) await containers.machine.makeKey(key);
});
afterAll(() => containers?.stop());

const at = (port: number) => `ssh://web@127.0.0.1:${port}/repos/web`;
const ssh = (key: string, port: number, words: string) =>
  `ssh -i /client/${key} -p ${port} -o IdentitiesOnly=yes -o UserKnownHostsFile=/client/known_hosts -o BatchMode=yes ${words}`;

/** A server with one account and an empty repository of it. */
async function serve(name: string, port: number, options = ""): Promise<void> {
  await containers.drop(name, "repos/web", "web");
  await containers.serve(name, port, options);
  await containers.pin(name, port);
  expect(await containers.machine.borg("web", `init -e none ${at(port)}`)).toMatchObject({ code: 0 });
}

describe("where numbers of processes are shared with the host and another container", () => {
  test("a stop asks the sessions of its own container, and no other borg", async () => {
    for (const [name, port] of [
      ["mine", 2240],
      ["theirs", 2241],
    ] as const)
      await serve(name, port, `--pid host --hostname ${name}`);
    await containers.ok("cp /bin/sleep /client/borg");
    const host = containers.machine.spawn("exec setpriv --reuid 1000 --clear-groups /client/borg 1000");
    const mine = await containers.longBackup("mine", "web", at(2240));
    const theirs = await containers.longBackup("theirs", "web", at(2241));
    await containers.ok("podman stop --time 10 mine");
    expect(await containers.inspect("mine", ".State.ExitCode")).toBe("0");
    expect(await containers.ok("ls /mine/repos/web")).not.toContain("lock");
    await containers.ok("echo end >/client/mine-more; echo end >/client/theirs-more");
    expect((await mine.ended).code).not.toBe(0);
    expect(await theirs.ended).toMatchObject({ code: 0 });
    expect(host.exitCode).toBeNull();
    host.kill();
    await containers.ok("pkill -f '^/client/borg 1000'");
  });
});

test("what a removed key opened is ended in the image too, and a backup of it leaves no lock", async () => {
  await serve("ending", 2242);
  await containers.drop("ending", "repos/stays", "other");
  await containers.exec("ending", "update-borgusers");
  const bystander = containers.machine.spawn(`exec ${ssh("other", 2242, "stays@127.0.0.1 borg serve")}`);
  const stays = finished(bystander);
  const backup = await containers.longBackup("ending", "web", at(2242));
  await containers.ok(`${ssh("web", 2242, "-M -S /client/master -f -N web@127.0.0.1")} >/dev/null 2>&1`);
  await containers.ok("cp /client/other.pub /ending/sshkeys/repos/web");
  expect((await containers.exec("ending", "index rebuild")).stdout).toContain(
    "account web: 2 connections ended\n",
  );
  expect(await containers.ok("ls /ending/repos/web")).not.toContain("lock");
  await containers.ok("echo end >/client/ending-more; ! ssh -S /client/master -O check x 2>/dev/null");
  expect((await backup.ended).code).not.toBe(0);
  expect(bystander.exitCode).toBeNull();
  bystander.stdin!.end();
  expect(await stays).toMatchObject({ code: 0 });
});

describe("capabilities that are missing", () => {
  const without = (...left: string[]) =>
    `--cap-drop ALL ${capabilities
      .filter((name) => !left.includes(name))
      .map((name) => `--cap-add ${name}`)
      .join(" ")}`;

  test("KILL: the server starts, and says what is lost", async () => {
    await serve("nokill", 2243, without("KILL"));
    expect(await containers.log("nokill")).toMatch(
      /WARNING: without the capability KILL, sessions cannot be asked to end/,
    );
    expect((await containers.log("nokill")).match(/WARNING/g)).toHaveLength(1);
  });

  const run = (options: string, words = "sshd") =>
    containers.run(`timeout 20 podman run --rm ${options} localhost/borgserver ${words}`);
  const reserved = "--sysctl net.ipv4.ip_unprivileged_port_start=1024";

  test("NET_BIND_SERVICE where the port needs it: no start, with what to do", async () => {
    const { code, stderr } = await run(`${without("NET_BIND_SERVICE")} ${reserved}`);
    expect(code).toBe(1);
    expect(stderr).toMatch(/NET_BIND_SERVICE, which port 22 needs\n {2}Start the container with --cap-add/);
  });

  test.each([
    ["with a port that does not", reserved, "sshd -p 2222"],
    ["where the kernel asks for it nowhere", "--sysctl net.ipv4.ip_unprivileged_port_start=0", "sshd"],
  ])("NET_BIND_SERVICE %s: not missed", async (_, options, words) => {
    const { stdout, stderr } = await run(`${without("NET_BIND_SERVICE")} ${options}`, words);
    expect(stdout + stderr).toContain("Server listening");
    expect(stdout + stderr).not.toContain("WARNING");
  });

  test("without those that it needs, a start stops", async () => {
    const { code, stderr } = await run(without("SETUID", "KILL"));
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("capabilities: SETUID"),
    });
  });
});

test("on a tenth of a processor, 60 logins at once are late and not denied", {
  timeout: 600_000,
}, async () => {
  await serve("slow", 2245);
  await containers.ok("podman update --cpus 0.1 slow");
  const printed = await containers.ok(
    `for n in $(seq 60); do { ${ssh("web", 2245, "web@127.0.0.1 borg serve")} </dev/null >/dev/null 2>&1; echo $?; } & done; wait`,
  );
  expect(printed).toBe("0\n".repeat(60));
});
