import { afterAll, beforeAll, expect, test } from "vitest";
import { Containers } from "./containers.ts";

let containers: Containers;
beforeAll(async () => {
  containers = await Containers.start();
  await containers.machine.makeKey("web");
});
afterAll(() => containers?.stop());

test("no account or group of the image has an id of the server's own, or one of a NAS, but the server's", async () => {
  const own = await containers.ok(
    "podman run --rm localhost/borgserver sh -c 'cut -d: -f1,3 /etc/passwd /etc/group | grep -E \":(60900|60901|60902|60903|60904|60905|60906)$\" | sort'",
  );
  expect(own).toBe(
    "borg-admin:60904\nborg-appendonly:60903\nborg-repo:60902\nborg-restore:60905\nborgkeys:60901\nborgkeys:60901\nborgteller:60906\nborgteller:60906\nsshd:60900\nsshd:60900\n",
  );
});

test.each([
  ["nas", 2231, "998", "996"],
  ["nobody", 2232, "65534", "65534"],
  ["nfs", 2233, "4294967294", "4294967294"],
  ["large", 2234, "2147483648", "100"],
])("a server whose repositories belong to others' ids: %s", async (name, port, uid, gid) => {
  await containers.drop(name, "repos/web", "web");
  await containers.serve(name, port, `--env PUID=${uid} --env PGID=${gid}`);
  await containers.pin(name, port);
  const repository = `ssh://web@127.0.0.1:${port}/repos/web`;
  const borg = (command: string) => containers.machine.borg("web", command);
  expect(await borg(`init -e none ${repository}`)).toMatchObject({ code: 0 });
  expect(await borg(`create ${repository}::a /client/web.pub`)).toMatchObject({ code: 0 });
  expect(await containers.exec(name, "list --short all")).toMatchObject({
    code: 0,
    stdout: "/repos/web:\na\n",
  });
  expect(await containers.ok(`find /${name}/repos -printf '%U:%G\\n' | sort -u`)).toBe(`${uid}:${gid}\n`);
  await containers.ok(`podman rm --force --time 5 ${name}`);
});

test("every zone of the database that is taken is the same zone to keys and to borg", async () => {
  const print = `for zone in US/Eastern CET Asia/Calcutta EST5EDT Europe/Berlin America/Argentina/Buenos_Aires GB-Eire UTC Etc/GMT+3; do
    export TZ=$zone
    mkdir -p /sshkeys/repos && echo "expiry-time=\\"20300701120000\\" $(cat /key.pub)" >/sshkeys/repos/web
    borgserver prepare >/dev/null 2>&1 || { echo "$zone refused"; continue; }
    echo "$zone $(index list --json | grep -o "[0-9]\\{14\\}Z") $(date --utc --date "$(date --date "2030-07-01 12:00:00" +@%s)" +%Y%m%d%H%M%SZ)"
  done`;
  await containers.machine.write("/client/zones.sh", print);
  const printed = await containers.ok(
    "podman run --rm --volume /client/zones.sh:/zones.sh --volume /client/web.pub:/key.pub localhost/borgserver sh /zones.sh",
  );
  const lines = printed.trim().split("\n");
  expect(lines).toHaveLength(9);
  for (const line of lines) {
    const [zone, ofKey, ofLibrary] = line.split(" ");
    expect({ zone, time: ofKey }).toEqual({ zone, time: ofLibrary });
  }
  const refused = await containers.run("podman run --rm --env TZ=us/eastern localhost/borgserver");
  expect(refused).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('TZ: borg does not know the time zone "us/eastern"'),
  });
});

test("an /etc that is an empty volume is reported with what to do", async () => {
  const empty = await containers.run(
    "mkdir -p /empty && podman run --rm --volume /empty:/etc localhost/borgserver",
  );
  expect(empty).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("there is no /etc/passwd, and so no account\n  If /etc is a volume"),
  });
});

test("a container whose root is remapped says which ids it lacks", async () => {
  const few = await containers.run(
    "podman run --rm --uidmap 0:100000:1000 --gidmap 0:100000:1000 localhost/borgserver",
  );
  expect(few.code).not.toBe(0);
  const enough = await containers.run(
    "podman run --rm --uidmap 0:100000:65536 --gidmap 0:100000:65536 --env PUID=70000 localhost/borgserver",
  );
  expect(enough.stderr).toMatch(/PUID: this container has no id 70000: its user namespace has 0 to 65535$/m);
});
