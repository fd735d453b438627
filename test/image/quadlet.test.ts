import { afterAll, beforeAll, expect, test } from "vitest";
import { Containers } from "./containers.ts";

let containers: Containers;

beforeAll(async () => {
  containers = await Containers.start();
  await containers.machine.makeKey("web");
});
afterAll(() => containers?.stop());

test("what podman makes of the Quadlet file is a server that clients can back up to", async () => {
  const unit = await containers.ok(
    `podman run --rm --volume ${process.cwd()}/deploy/quadlet:/etc/containers/systemd:ro localhost/quadlet /usr/libexec/podman/quadlet -dryrun`,
  );
  expect(unit).toContain("---borgserver.service---");
  expect(unit).toContain("[Install]\nWantedBy=multi-user.target\n");
  const start = /^ExecStart=\S*podman run( .*) ghcr\.io\/OWNER\/borgserver:\S+$/m.exec(unit)![1]!;
  // What only systemd can give, or set.
  const options = start.replace(/ --(name|cidfile|cgroups|sdnotify)[ =]\S+| -d| --(replace|rm)(?= )/g, "");
  expect(options).not.toMatch(/%/);

  await containers.ok("mkdir -p /srv/borgserver/repos /srv/borgserver/sshkeys/repos");
  await containers.ok("cp /client/web.pub /srv/borgserver/sshkeys/repos/web");
  await containers.ok(`podman run --detach --name quadlet ${options} localhost/borgserver`);
  await containers.listening("quadlet");
  expect(await containers.log("quadlet")).not.toContain("WARNING");
  expect(await containers.inspect("quadlet", ".Config.Hostname")).toBe("borgserver");
  expect(await containers.inspect("quadlet", ".HostConfig.ReadonlyRootfs")).toBe("true");
  await containers.pin("quadlet", 2222);
  const { machine } = containers;
  const repository = "ssh://web@127.0.0.1:2222/repos/web";
  expect(await machine.borg("web", `init -e none ${repository}`)).toMatchObject({ code: 0 });
  expect(await machine.borg("web", `create ${repository}::a /client/web.pub`)).toMatchObject({ code: 0 });
  expect(await containers.ok("ls /srv/borgserver/repos")).toBe("web\n");
});
