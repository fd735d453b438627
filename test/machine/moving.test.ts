import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Machine } from "./machine.ts";

// Clients of other servers move to this one by the commands of docs/moving.md. Each other server is made here as it makes
// itself: its authorized_keys for an account that sshd serves, its folders, and repositories that clients began through it.

const doc = readFileSync("docs/moving.md", "utf8");

/** The shell blocks of a section, each without its indentation. */
function blocksOf(heading: string): string[] {
  const section = doc.split(/^## /m).find((each) => each.startsWith(`${heading}\n`))!;
  return [...section.matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)].map((match) =>
    match[1]!.replace(/^ +/gm, ""),
  );
}

const ran = new Set<string>();

/** Runs a block of the document where compose.yaml would be. */
async function runBlock(block: string, env: Record<string, string> = {}): Promise<string> {
  ran.add(block);
  return machine.ok(`set -e; cd /\n${block}`, { env });
}

const host = "backup.example.org";
const known = "/old/host-keys/ssh_host_ed25519_key";

/** `docker`, where every container is this machine: `run` mounts its folders for the command alone. */
const docker = `#!/bin/sh -e
command=$1
shift
case $command in
  exec)
    [ "$1" != -i ] || shift
    shift
    exec "$@"
    ;;
  run)
    folders=
    while [ "$1" != borgserver ]; do
      case $1 in
        -v) folders="$folders $2"; shift 2 ;;
        --rm) shift ;;
        *) exit 64 ;;
      esac
    done
    shift
    # First aside: a folder that is mounted may hide where another is from.
    exec unshare --mount sh -ec 'at=0
    for folder in $1; do
      at=$((at + 1)); mkdir -p /run/aside/$at; mount --bind "\${folder%%:*}" /run/aside/$at
    done
    at=0
    for folder in $1; do
      at=$((at + 1)); to=\${folder#*:}; to=\${to%:ro}; mkdir -p "$to"; mount --bind /run/aside/$at "$to"
      case $folder in *:ro) mount -o remount,bind,ro "$to" ;; esac
    done
    shift; exec "$@"' sh "$folders" "$@"
    ;;
esac
exit 64
`;

let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  await machine.write("/usr/local/sbin/docker", docker);
  await machine.ok(`chmod 755 /usr/local/sbin/docker; echo 127.0.0.1 ${host} >>/etc/hosts
    mkdir -p /old/host-keys /client/.ssh /run/sshd /home/borg
    ssh-keygen -q -t ed25519 -N '' -C '' -f ${known}
    for port in 2022 2222; do echo "[${host}]:$port $(cat ${known}.pub)"; done >/client/known_hosts
    cp /etc/passwd /old/passwd
    for user in borg borgwarehouse; do echo "$user:*:2000:2000::/home/$user:/bin/sh" >>/old/passwd; done`);
  // An account's borg is Debian's, and not this server's.
  await machine.write(
    "/old/sshd_config",
    `Port 2022
HostKey ${known}
PidFile /run/old-sshd.pid
AuthorizedKeysFile .ssh/authorized_keys
StrictModes no
UsePAM no
SetEnv PATH=/usr/bin:/bin
`,
  );
  const [hostKeys] = blocksOf("How it goes");
  await runBlock(hostKeys!);
  // As it is deployed, with changes seen as they are made: it makes directories while the other server's keys come over.
  expect(await machine.startServer({ WATCH_EVERY: "24h" }, "-p 2222")).toBeNull();
});
afterAll(() => machine?.stop());

beforeEach(async () => {
  await machine.ok(`umount -q /backup /home/borg/backups /home/borgwarehouse/repos || true
    rm -rf /moves /old/sshkeys /old/backup* /old/config /old/ssh /old/repos /old/authorized_keys /srv/borg /home/*/.ssh
    rm -rf /sshkeys/repos*/* /sshkeys/admins/* /sshkeys/settings/* /repos/*
    update-borgusers; mkdir -p /home/borg/.ssh /srv/borg`);
});

/** A client's key, new each time. @returns its public line */
async function key(name: string): Promise<string> {
  await machine.ok(`rm -rf /client/${name} /client/${name}.pub /client/borg-${name}`);
  return (await machine.makeKey(name)).trim();
}

/** The environment of a client, without the answer to borg's question about a repository that moved. */
function clientOf(name: string): Record<string, string> {
  const { BORG_RELOCATED_REPO_ACCESS_IS_OK: _, ...env } = machine.client(name);
  return env;
}

/** Runs what clients do while the other server serves, which has its account `borg` alone, and stops it. */
async function throughOldServer(home: string, work: () => Promise<void>): Promise<void> {
  await machine.ok(`chown -R 2000:2000 ${home} /old /srv/borg
    unshare --mount sh -ec 'mount --bind /old/passwd /etc/passwd; exec /usr/sbin/sshd -f /old/sshd_config'`);
  try {
    await work();
  } finally {
    await machine.ok("kill $(cat /run/old-sshd.pid)");
  }
}

/** A client's first backup, by which its borg knows the repository at this URL. */
async function backUp(name: string, url: string): Promise<void> {
  await machine.ok(`borg init -e repokey ${url} && cd /client && borg create ${url}::old known_hosts`, {
    env: clientOf(name),
  });
}

/** Runs the document's commands, those of the server and of the client, and what it says of both. */
async function move(heading: string, name: string, from: string): Promise<void> {
  const [server, client] = blocksOf(heading);
  const url = `ssh://web01@${host}:2222/repos/web01`;
  await runBlock(server!);
  const section = doc.slice(doc.indexOf(`## ${heading}\n`));
  const [, line] = /`moves` has a line such as `(.*?)`/.exec(section)!;
  expect((await machine.ok("cat /moves")).split("\n")).toContain(line);
  expect(section.slice(0, section.indexOf("\n## ") >>> 0)).toContain(`\`${from}\``);

  const asked = await machine.run(`borg list ${url}`, { env: clientOf(name) });
  expect(asked).toMatchObject({ code: 2, stderr: expect.stringMatching(/was previously located at/) });
  expect(await runBlock(client!, clientOf(name))).toMatch(/^old /);
  expect(await machine.ok(`borg list --short ${url}`, { env: clientOf(name) })).toMatch(/^old\n.*-.*T.*\n$/);
}

const listed = (name: string, account: string) =>
  machine.ok(
    `BORG_RELOCATED_REPO_ACCESS_IS_OK=yes borg list --short ssh://${account}@${host}:2222/repos/${account}`,
    {
      env: clientOf(name),
    },
  );

test("clients of Nold360's image, append-only and with an admin", async () => {
  const [web, db, me] = [await key("web01"), await key("db01"), await key("me")];
  const line = (name: string, more = "") =>
    `restrict,command="cd /backup/${name}; borg serve --restrict-to-path /backup/${name} --storage-quota 1G${more}"`;
  await machine.ok(`mkdir -p /backup /old/backup/web01 /old/backup/db01 /old/sshkeys/clients /old/sshkeys/host
    mount --bind /old/backup /backup
    cd /old/sshkeys/clients; cp /client/web01.pub web01; cp /client/db01.pub db01; cp /client/me.pub me`);
  await machine.write(
    "/home/borg/.ssh/authorized_keys",
    `${line("db01", " --append-only")} ${db}\n\n${line("", "")} ${me}\n\n${line("web01", " --append-only")} ${web}\n\n`,
  );
  const from = `ssh://borg@${host}:2022/backup/web01/my_first_repo`;
  await throughOldServer("/home/borg", async () => {
    await backUp("web01", from);
    for (const each of ["home", "etc"]) await backUp("db01", `ssh://borg@${host}:2022/backup/db01/${each}`);
  });
  await move("Nold360's image", "web01", from);

  for (const each of ["home", "etc"]) expect(await listed("db01", `db01-${each}`)).toBe("old\n");
  const pruned = (login: string, as: string) =>
    machine.run(
      `BORG_RELOCATED_REPO_ACCESS_IS_OK=yes borg delete ssh://${login}@${host}:2222/repos/web01::old`,
      {
        env: clientOf(as),
      },
    );
  expect((await pruned("web01", "web01")).code).toBe(2);
  expect((await pruned("me", "me")).code).toBe(0);
  expect(await machine.ok("index list")).toMatch(/web01 .*quota 1G/);
});

test("clients of sternmotor's image", async () => {
  const [web, db] = [await key("web01"), await key("db01")];
  const line = (name: string) =>
    `command="cd /backup/${name} && /opt/borg/bin/borg serve --restrict-to-path /backup/${name} "`;
  await machine.ok(`mkdir -p /opt/borg/bin /backup /old/backup/web01 /old/backup/db01 /old/sshkeys/clients /old/sshkeys/host
    ln -sf /usr/bin/borg /opt/borg/bin/borg; mount --bind /old/backup /backup
    cd /old/sshkeys/clients; cp /client/web01.pub web01; cp /client/db01.pub db01`);
  await machine.write("/home/borg/.ssh/authorized_keys", `${line("db01")} ${db}\n${line("web01")} ${web}\n`);
  const from = `ssh://borg@${host}:2022/backup/web01`;
  await throughOldServer("/home/borg", async () => {
    await backUp("web01", from);
    await backUp("db01", `ssh://borg@${host}:2022/backup/db01`);
  });
  await move("sternmotor's image", "web01", from);
  expect(await listed("db01", "db01")).toBe("old\n");
});

test("clients of AnotherStranger's image", async () => {
  const [web, db] = [await key("web01"), await key("db01")];
  const forced = `restrict,command="borg serve --storage-quota 900G --restrict-to-path /home/borg/backups"`;
  await machine.ok(`mkdir -p /old/backups /home/borg/backups; mount --bind /old/backups /home/borg/backups`);
  await machine.write("/home/borg/.ssh/authorized_keys", `# web\n${forced} ${web}\n# db\n${forced} ${db}\n`);
  const from = `ssh://borg@${host}:2022/./backups/web01`;
  await throughOldServer("/home/borg", async () => {
    await backUp("web01", from);
    await backUp("db01", `ssh://borg@${host}:2022/./backups/db01`);
  });
  await move("AnotherStranger's image", "web01", from);
  expect(await listed("db01", "db01")).toBe("old\n");
  expect(await machine.ok("cat /sshkeys/repos/web01")).toBe(`${web}\n${db}\n`);
});

test("clients of BorgWarehouse", async () => {
  const [web, db] = [await key("web01"), await key("db01")];
  const pool = "/home/borgwarehouse/repos";
  const line = (name: string, quota: number, more = "") =>
    `command="cd ${pool};borg serve${more} --restrict-to-repository ${pool}/${name} --storage-quota ${quota}G",restrict`;
  const entry = (id: number, alias: string, repositoryName: string, sshPublicKey: string, more: object) => ({
    ...{
      id,
      alias,
      repositoryName,
      status: false,
      lastSave: 0,
      alert: 90000,
      storageSize: 20,
      storageUsed: 0,
    },
    ...{ sshPublicKey, comment: "", lanCommand: false, appendOnlyMode: false, ...more },
  });
  await machine.ok(`mkdir -p ${pool} /old/repos /old/config /old/ssh /old/storage; mount --bind /old/repos ${pool}
    ln -s /old/ssh /home/borgwarehouse/.ssh
    mkdir /old/storage/0badcafe; ln -s /old/storage/0badcafe ${pool}/0badcafe`);
  await machine.write("/old/config/users.json", "[]");
  await machine.write(
    "/old/config/repo.json",
    JSON.stringify([
      entry(0, "web01", "a1b2c3d4", web, {}),
      entry(1, "Data base (prod)", "0badcafe", db, { appendOnlyMode: true, alert: 0, storageSize: 30 }),
    ]),
  );
  await machine.write(
    "/old/ssh/authorized_keys",
    `${line("a1b2c3d4", 20)} ${web}\n${line("0badcafe", 30, " --append-only")} ${db}\n`,
  );
  const from = `ssh://borgwarehouse@${host}:2022/./a1b2c3d4`;
  await throughOldServer("/home/borgwarehouse", async () => {
    await backUp("web01", from);
    await backUp("db01", `ssh://borgwarehouse@${host}:2022/./0badcafe`);
  });
  await machine.ok("rm /home/borgwarehouse/.ssh && mkdir /home/borgwarehouse/.ssh");
  await move("BorgWarehouse", "web01", from);
  expect(await listed("db01", "Data-base-prod")).toBe("old\n");
  const accounts = await machine.ok("index list");
  expect(accounts).toMatch(/web01 .*quota 20G, late after 25h/);
  expect(accounts).toMatch(/Data-base-prod .*appendonly.*quota 30G/);
});

test("clients of sshd with an authorized_keys of forced commands", async () => {
  const [web, db, me] = [await key("web01"), await key("db01"), await key("me")];
  await machine.ok("mkdir -p /srv/borg/web01 /srv/borg/db01");
  const serve = (words: string) => `restrict,command="borg serve ${words}"`;
  const lines = [
    `${serve("--append-only --restrict-to-repository /srv/borg/web01")},from="127.0.0.0/8" ${web}`,
    `${serve("--restrict-to-repository /srv/borg/web01")} ${me}`,
    `command="umask 077; nice -n 5 /usr/bin/borg serve --restrict-to-repository=/srv/borg/db01" ${db}`,
  ];
  await machine.write("/home/borg/.ssh/authorized_keys", `${lines.join("\n")}\n`);
  const from = `ssh://borg@${host}:2022/srv/borg/web01`;
  await throughOldServer("/home/borg", async () => {
    await backUp("web01", from);
    await backUp("db01", `ssh://borg@${host}:2022/srv/borg/db01`);
  });
  await machine.ok("mkdir /repos/web01"); // as the server does that takes up the keys before the repositories are moved
  await move("sshd and authorized_keys", "web01", from);
  expect(await listed("db01", "db01")).toBe("old\n");
  const full = await machine.run(
    `BORG_RELOCATED_REPO_ACCESS_IS_OK=yes borg delete ssh://web01-full@${host}:2222/repos/web01::old`,
    { env: clientOf("me") },
  );
  expect(full.code).toBe(0);
});

test("a mistake stops everything, a trial writes nothing, and what is there is left", async () => {
  const [web, db] = [await key("web01"), await key("db01")];
  const line = (name: string, of: string) =>
    `command="borg serve --storage-quota 1G --restrict-to-repository /srv/borg/${name}" ${of}\n`;
  const files = () => machine.ok("find /sshkeys -type f ! -path '*/host/*' | sort");
  const run = (input: string, words = "-") => machine.run(`borgserver import ${words}`, { input });

  expect(await run(`${line("web01", web)}${line("db01", "ssh-ed25519 AAAA")}`)).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(
      /^standard input:2: .*\n(.*\n)?borgserver: 1 problem, nothing was changed\n$/,
    ),
  });
  expect(await files()).toBe("");

  const both = `${line("web01", web)}${line("db01", db)}`;
  await machine.ok(
    "mkdir -p /srv/borg/web01 /srv/borg/db01; for name in web01 db01; do borg init -e none /srv/borg/$name; done",
    { env: clientOf("web01") },
  );
  const moves = "mv -T /srv/borg/web01 /repos/web01\nmv -T /srv/borg/db01 /repos/db01\n";
  expect(await run(both, "- --dry-run")).toEqual({
    code: 0,
    stdout: moves,
    stderr: `borgserver: /sshkeys/settings/web01: would be written, quota = "1G"
borgserver: /sshkeys/repos/web01: would be written, 1 key, until now /srv/borg/web01
borgserver: /sshkeys/settings/db01: would be written, quota = "1G"
borgserver: /sshkeys/repos/db01: would be written, 1 key, until now /srv/borg/db01
`,
  });
  expect(await files()).toBe("");

  await machine.write("/sshkeys/repos-appendonly/DB01", db);
  const taken = await run(both);
  expect(taken).toMatchObject({ code: 1, stdout: "mv -T /srv/borg/web01 /repos/web01\n" });
  expect(taken.stderr).toContain(
    "not taken over: standard input:2: /sshkeys/repos-appendonly/DB01 is there already",
  );
  expect(await files()).toBe(
    "/sshkeys/repos-appendonly/DB01\n/sshkeys/repos/web01\n/sshkeys/settings/web01\n",
  );
  expect(await run(line("web01", web))).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^(borgserver: .*: there already, .*\n){2}$/),
  });
  await machine.ok("update-borgusers");
});

test.each([
  ["/nowhere", /^borgserver: \/nowhere cannot be read \(ENOENT\)\n$/],
  ["/old/empty", /^borgserver: there is no key file, authorized_keys or repo.json in \/old\/empty/],
  [
    "/old/root",
    /\/old\/root:1: the key has no forced command.*\n(.*\n)?borgserver: nothing is taken over\n$/,
  ],
])("import %s says why it takes nothing over", async (path, said) => {
  const line = await key("root");
  await machine.ok("mkdir -p /old/empty");
  await machine.write("/old/root", line);
  expect(await machine.run(`borgserver import ${path}`)).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(said),
  });
});

test("the commands of every section were run", () => {
  const all = doc.split(/^## /m).flatMap((section) => blocksOf(section.split("\n")[0]!));
  expect(all.filter((block) => !ran.has(block))).toEqual([]);
  expect(all.length).toBe(11);
});
