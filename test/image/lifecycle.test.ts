import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Containers } from "./containers.ts";

let containers: Containers;

beforeAll(async () => {
  containers = await Containers.start();
  await containers.machine.makeKey("web");
});
afterAll(() => containers?.stop());

const at = (port: number) => `ssh://web@127.0.0.1:${port}/repos/web`;

/** A server with one account and an empty repository of it. */
async function serve(name: string, port: number, options = ""): Promise<void> {
  await containers.drop(name, "repos/web", "web");
  await containers.serve(name, port, options);
  await containers.pin(name, port);
  expect(await containers.machine.borg("web", `init -e none ${at(port)}`)).toMatchObject({ code: 0 });
}

const release = (name: string) => containers.ok(`echo end >/client/${name}-more`);

describe("docker stop", () => {
  test("during a backup: no new login, the lock is released, the exit code is 0, and it is done in time", async () => {
    await serve("stopped", 2210);
    const { ended } = await containers.longBackup("stopped", "web", at(2210));
    const before = Date.now();
    await containers.ok("podman stop --time 10 stopped");
    const seconds = (Date.now() - before) / 1000;
    console.log(`stop during a backup: ${seconds.toFixed(2)} s`);
    expect(await containers.inspect("stopped", ".State.ExitCode")).toBe("0");
    expect(await containers.ok("ls /stopped/repos/web")).not.toContain("lock");
    await release("stopped");
    expect((await ended).code).not.toBe(0);
    // Killed by the runtime's own patience it would have taken all ten seconds.
    expect(seconds).toBeLessThan(10);

    await containers.ok("podman start stopped");
    await containers.listening("stopped");
    expect(await containers.machine.borg("web", `create ${at(2210)}::after /client/web.pub`)).toMatchObject({
      code: 0,
    });
    await containers.ok("podman kill --signal HUP stopped; podman wait stopped");
    expect(await containers.inspect("stopped", ".State.ExitCode")).toBe("0");
  });

  test("of a borg command reaches borg", async () => {
    await containers.ok(
      "mkdir -p /long && chown 1000:1000 /long && podman run --rm --volume /long:/repos localhost/borgserver init -e none /repos/a",
    );
    await containers.ok(
      "podman run --detach --name command --interactive --volume /long:/repos localhost/borgserver create /repos/a::x -",
    );
    await containers.ok(
      "until [ -e /long/a/lock.exclusive ]; do sleep 0.1; done; podman stop --time 10 command",
    );
    expect(await containers.ok("ls /long/a")).not.toContain("lock");
  });
});

test("when sshd dies by itself, the container ends with a failure", async () => {
  await containers.serve("dying", 2211);
  await containers.signalSshd("dying", "KILL");
  await containers.ok(
    `for i in $(seq 50); do [ "$(podman inspect --format '{{.State.Status}}' dying)" = exited ] && exit 0; sleep 0.2; done; exit 1`,
  );
  expect(await containers.inspect("dying", ".State.ExitCode")).toBe("1");
  expect(await containers.log("dying")).toContain("borgserver: sshd ended by itself");
});

test("orphans are reaped", async () => {
  await containers.serve("reaping", 2212);
  await containers.exec("reaping", "sh -c '(sleep 0.2 &)'");
  await containers.ok("sleep 1");
  expect(
    (await containers.exec("reaping", "sh -c 'grep -l \"^State:.Z\" /proc/[0-9]*/status || true'")).stdout,
  ).toBe("");
});

describe("locks", () => {
  test("heal after a container was killed in the middle of a backup and made anew under its host name", async () => {
    await serve("killed", 2213, "--hostname killed");
    const { ended } = await containers.longBackup("killed", "web", at(2213));
    await containers.ok("podman kill --signal KILL killed && podman rm --force killed");
    await release("killed");
    expect((await ended).code).not.toBe(0);
    expect(await containers.ok("ls /killed/repos/web")).toContain("lock.exclusive");
    await containers.serve("killed", 2213, "--hostname killed");
    expect(await containers.machine.borg("web", `create ${at(2213)}::next /client/web.pub`)).toMatchObject({
      code: 0,
    });
  });

  test("are not taken by another server on the same storage", async () => {
    await serve("left", 2214, "--hostname left");
    await containers.ok("cp -r /left/sshkeys /right-keys");
    await containers.ok(
      "podman run --detach --name right --hostname right --publish 127.0.0.1:2215:22 --volume /right-keys:/sshkeys --volume /left/repos:/repos localhost/borgserver",
    );
    await containers.listening("right");
    await containers.pin("right", 2215);
    const { ended } = await containers.longBackup("left", "web", at(2214));
    const { code, stderr } = await containers.machine.borg(
      "web",
      `create --lock-wait 1 ${at(2215)}::x /client/web.pub`,
    );
    expect(stderr).toContain("Failed to create/acquire the lock");
    expect(code).toBe(2);
    await release("left");
    expect(await ended).toMatchObject({ code: 0 });
    expect(await containers.machine.borg("web", `create ${at(2215)}::x /client/web.pub`)).toMatchObject({
      code: 0,
    });
  });
});

describe("health", () => {
  const health = (name: string) => containers.exec(name, "/usr/local/lib/borgserver/health");

  test("is good while logins can be answered, and leaves no line in the log", async () => {
    await containers.serve("healthy", 2216);
    const log = await containers.log("healthy");
    expect(await health("healthy")).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await containers.run("podman healthcheck run healthy")).toMatchObject({ code: 0 });
    expect(await containers.log("healthy")).toBe(log);
  });

  test("is bad when the index cannot answer", async () => {
    await containers.exec("healthy", "sh -c 'echo garbage >/var/lib/borgserver/index.sqlite'");
    expect(await health("healthy")).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("the index cannot answer"),
    });
    await containers.exec("healthy", "index rebuild");
    expect(await health("healthy")).toMatchObject({ code: 0 });
  });

  test("is bad when sshd does not accept connections, or does not run", async () => {
    await containers.signalSshd("healthy", "STOP");
    expect(await containers.run("ssh-keyscan -T 2 -p 2216 127.0.0.1")).toMatchObject({ stdout: "" });
    const stuck = containers.machine.spawn("ssh -p 2216 -o ConnectTimeout=5 127.0.0.1");
    await containers.ok("sleep 1");
    expect(await health("healthy")).toEqual({
      code: 1,
      stdout: "sshd does not accept connections\n",
      stderr: "",
    });
    stuck.kill();
    const elsewhere = await containers.run(
      "podman run --rm --entrypoint /usr/local/lib/borgserver/health localhost/borgserver",
    );
    expect(elsewhere).toMatchObject({ code: 1, stdout: "sshd does not listen\n" });
  });
});

describe("from run to the first login", () => {
  test.each([0, 1000])("with %s repositories more", async (count) => {
    const [name, port] = [`start${count}`, 2220 + (count > 0 ? 1 : 0)];
    await containers.drop(name, "repos/web", "web");
    await containers.ok(
      `mkdir -p /${name}/repos; for i in $(seq ${count}); do cp /${name}/sshkeys/repos/web /${name}/sshkeys/repos/host-$i; done`,
    );
    // Host keys are there as after any first start; the client accepts what it is shown.
    await containers.ok(
      `mkdir /${name}/sshkeys/host && for t in ed25519 rsa; do ssh-keygen -q -t $t -N '' -f /${name}/sshkeys/host/ssh_host_\${t}_key; done`,
    );
    const ssh = `ssh -i /client/web -p ${port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR`;
    const before = Date.now();
    await containers.ok(
      `podman run --detach --name ${name} --publish 127.0.0.1:${port}:22 --volume /${name}/sshkeys:/sshkeys --volume /${name}/repos:/repos localhost/borgserver`,
    );
    await containers.ok(
      `for i in $(seq 300); do ${ssh} web@127.0.0.1 borg serve </dev/null 2>/dev/null && exit 0; sleep 0.05; done; exit 1`,
    );
    console.log(
      `from run to the end of the first login, ${count} repositories more: ${((Date.now() - before) / 1000).toFixed(2)} s`,
    );
    expect((await containers.exec(name, "index list")).stdout.match(/^\S+ \(repo\)$/gm)).toHaveLength(
      count + 1,
    );
  });
});
