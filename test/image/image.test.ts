import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { programs } from "../machine/machine.ts";
import { Containers } from "./containers.ts";

let containers: Containers;

beforeAll(async () => {
  containers = await Containers.start();
  await containers.machine.makeKey("web");
  await containers.machine.makeKey("boss");
});
afterAll(() => containers?.stop());

describe("the image", () => {
  test("takes at most 205 MB over its Debian base", async () => {
    const size = async (image: string) =>
      Number(await containers.ok(`podman image inspect --format '{{.Size}}' ${image}`));
    const added = (await size("localhost/borgserver")) - (await size("debian:trixie-slim"));
    console.log(`image: ${(added / 1e6).toFixed(1)} MB over its Debian base`);
    expect(added).toBeLessThan(205e6);
  });

  test("has Apprise, which takes at most 35 MB and finds all that it imports", async () => {
    const size = Number(
      await containers.ok(
        "podman run --rm localhost/borgserver du --summarize --bytes /opt/apprise | cut -f 1",
      ),
    );
    console.log(`of that Apprise: ${(size / 1e6).toFixed(1)} MB`);
    expect(size).toBeLessThan(35e6);
    expect(
      await containers.ok(
        "podman run --rm localhost/borgserver /opt/apprise/bin/python -I -c 'import apprise; print(apprise.Apprise().add(\"ntfy://h/t\"))'",
      ),
    ).toBe("True\n");
  });

  test("has no host key in any layer, and nothing that only builds", async () => {
    const files = await containers.ok(
      "podman save localhost/borgserver | tar -x --to-command='case $TAR_FILENAME in *.tar) tar -t 2>/dev/null ;; *) cat >/dev/null ;; esac' -f -",
    );
    expect(files).toContain("usr/local/bin/borgserver");
    expect(files).not.toMatch(/ssh_host_.*_key/);
    expect(files).not.toMatch(/bin\/(gcc|cc|npm|node|pip3?|bun)$/m);
  });

  test("says what it is, and how its health is asked", async () => {
    const config = JSON.parse(await containers.ok("podman image inspect localhost/borgserver"))[0];
    expect(config.Labels).toMatchObject({
      "org.opencontainers.image.title": "borgserver",
      "org.opencontainers.image.licenses": "MIT",
    });
    expect(config.Healthcheck?.Test ?? config.HealthCheck?.Test).toEqual([
      "CMD",
      "/usr/local/lib/borgserver/health",
    ]);
    expect(config.Config.Cmd).toEqual(["sshd"]);
  });
});

describe("docker run", () => {
  test("of a program, of a borg command, of nothing", async () => {
    expect(await containers.ok("podman run --rm localhost/borgserver sh -c 'echo $0 is $(id -un)'")).toBe(
      "sh is root\n",
    );
    expect(await containers.ok("podman run --rm localhost/borgserver borg --version")).toMatch(
      /^borg 1\.4\./,
    );
    expect(await containers.ok("podman run --rm localhost/borgserver --version")).toMatch(/^borg 1\.4\./);
    const nothing = await containers.run(
      'podman run --rm --entrypoint \'["/usr/bin/tini", "--", "/usr/local/lib/borgserver/entrypoint"]\' localhost/borgserver \'\'',
    );
    expect(nothing).toMatchObject({ code: 2, stderr: expect.stringContaining("nothing to run") });
    expect((await containers.run("podman run --rm localhost/borgserver bogus")).code).toBe(2);
  });

  test("of a borg command on a repository, as its owner", async () => {
    await containers.ok(`mkdir -p /run1 && podman run --rm --volume /run1:/repos localhost/borgserver sh -c 'mkdir /repos/a; chown 1000:1000 /repos /repos/a' &&
      podman run --rm --volume /run1:/repos localhost/borgserver init -e none /repos/a`);
    expect(
      await containers.ok("podman run --rm --volume /run1:/repos localhost/borgserver list /repos/a"),
    ).toBe("");
    expect(await containers.ok("podman run --rm --volume /run1:/repos localhost/borgserver check all")).toBe(
      "/repos/a:\n",
    );
    expect(await containers.ok("find /run1 ! -user 1000 -o ! -group 1000")).toBe("");
  });
});

describe("docker exec", () => {
  const repository = "ssh://web@127.0.0.1:2201/repos/web";

  beforeAll(async () => {
    await containers.drop("one", "repos/web", "web");
    await containers.serve("one", 2201, "--hostname one");
    await containers.pin("one", 2201);
    const { machine } = containers;
    expect(await machine.borg("web", `init -e repokey ${repository}`)).toMatchObject({ code: 0 });
    expect(await machine.borg("web", `create ${repository}::a /client/web.pub`)).toMatchObject({ code: 0 });
  });

  test("the operator's commands", async () => {
    await containers.drop("one", "repos/later", "web");
    expect((await containers.exec("one", "index rebuild")).stdout).toBe(
      "index: 2 accounts (2 repo), 2 keys\naccount later: added\n",
    );
    expect((await containers.exec("one", "update-borgusers")).stdout).toBe(
      "index: 2 accounts (2 repo), 2 keys\n/repos/later: created\n",
    );
    expect((await containers.exec("one", "borgserver index list")).stdout).toMatch(
      /^later \(repo\)\n {2}SHA256:/,
    );
    expect(await containers.exec("one", "sh -c 'exit 7'")).toMatchObject({ code: 7 });
  });

  test("borg commands, with the passphrase from the environment or a terminal", async () => {
    expect(
      (await containers.run("podman exec --env BORG_PASSPHRASE=secret one list --short all")).stdout,
    ).toBe("/repos/web:\na\n");
    expect(
      (await containers.run("podman exec --env BORG_PASSPHRASE=secret one info /repos/web")).stdout,
    ).toContain("Location: /repos/web");
    expect(await containers.run("podman exec --env BORG_PASSPHRASE=secret one check all")).toMatchObject({
      code: 0,
    });
    expect(
      await containers.run(
        "podman exec --env BORG_PASSPHRASE=secret one borg create /repos/web::op /etc/hostname",
      ),
    ).toMatchObject({ code: 0 });
    for (const command of ["list /repos/web", "list all"]) {
      const { code, stdout } = await containers.run(
        `timeout 60 python3 ${programs}/on_terminal.py podman exec -ti one ${command}`,
      );
      expect(stdout).toMatch(/Enter passphrase for key \/repos\/web:[\s\S]*\na {10}/);
      expect(stdout).not.toContain("secret");
      expect(code).toBe(0);
    }
    expect(await containers.ok("find /one/repos ! -user 1000 -o ! -group 1000")).toBe("");
    expect(await containers.machine.borg("web", `create ${repository}::after /client/web.pub`)).toMatchObject(
      { code: 0 },
    );
  });
});

describe("a client", () => {
  const at = (repository: string) => `ssh://boss@127.0.0.1:2202/repos/${repository}`;
  const clients = {
    "Debian 12's borg 1.2": "/usr/bin/borg",
    "the newest borg 1.4":
      "podman run --rm --network host --volume /client:/client $(env | sed -n 's/^\\(BORG_[A-Z_]*\\)=.*/--env \\1/p') --entrypoint /opt/borg/bin/borg localhost/borgserver",
  };

  beforeAll(async () => {
    await containers.drop("two", "admins/boss", "boss");
    await containers.serve("two", 2202, "--hostname two");
    await containers.pin("two", 2202);
  });

  test.each(Object.entries(clients))("%s backs up and restores", async (name, borg) => {
    const repository = at(name.replace(/[^a-z0-9]/g, ""));
    const run = (command: string) =>
      containers.machine.ok(`cd /client && ${borg} ${command}`, {
        env: { ...containers.machine.client("boss"), PATH: "/usr/bin:/bin" },
      });
    await run(`init -e repokey ${repository}`);
    await run(`create ${repository}::a /client/boss.pub`);
    expect(await run(`list --short ${repository}`)).toBe("a\n");
    expect(await run(`extract --stdout ${repository}::a client/boss.pub`)).toBe(
      await containers.ok("cat /client/boss.pub"),
    );
    await run(`prune --keep-last 1 ${repository}`);
    await run(`compact ${repository}`);
  });

  test("of Borg 2 is told why it is refused", async () => {
    // It leaves out the port of a URL, hence -p.
    const client = containers.machine.client("boss");
    const env = { ...client, BORG_RSH: `${client.BORG_RSH} -p 2202` };
    const { code, stdout, stderr } = await containers.machine.run(
      "timeout 60 podman run --rm --network host --volume /client:/client --env BORG_RSH --env BORG_PASSPHRASE localhost/borg2 --repo ssh://boss@127.0.0.1//repos/new repo-create --encryption aes256-ocb </dev/null",
      { env },
    );
    expect(stdout + stderr).toContain("this server works with Borg 1.x clients");
    expect(code).not.toBe(0);
    expect(await containers.ok("ls /two/repos")).not.toMatch(/^new$/m);
  });
});
