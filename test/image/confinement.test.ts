import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { programs, type Result } from "../machine/machine.ts";
import { Containers } from "./containers.ts";

let containers: Containers;

beforeAll(async () => {
  containers = await Containers.start();
  for (const name of ["web", "boss"]) await containers.machine.makeKey(name);
});
afterAll(() => containers?.stop());

async function serve(name: string, port: number, options = ""): Promise<void> {
  for (const account of ["web", "db"]) await containers.drop(name, `repos/${account}`, "web");
  await containers.drop(name, "admins/boss", "boss");
  await containers.serve(name, port, options);
  await containers.pin(name, port);
  await containers.ok(
    `echo secret >/${name}/repos/db/file; chown 1000:1000 /${name}/repos/db/file; chmod 600 /${name}/repos/db/file`,
  );
}

/** The launcher of borg, with the attacker in the place of the borg that it starts, behind the wall that it put up. */
const takenOver = `s|^raise SystemExit(main())|os.execv("/usr/local/lib/borgserver/attacker", ["attacker"])|`;

/** What the attacker achieved in place of the borg that this runs. */
async function achievedIn(name: string, run: () => Promise<Result>): Promise<string[]> {
  await containers.ok(
    `podman cp ${programs}/attacker ${name}:/usr/local/lib/borgserver/attacker
     podman exec ${name} sh -c 'cd /usr/local/lib/borgserver && chmod 755 attacker && cp -p borg borg.real && sed -i "$0" borg' '${takenOver}'`,
  );
  try {
    const { stdout } = await run();
    return stdout.trim().split("\n");
  } finally {
    await containers.ok(`podman exec ${name} sh -c 'cd /usr/local/lib/borgserver && mv borg.real borg'`);
  }
}

/** Every operation of borg that reaches the server. */
async function works(port: number): Promise<void> {
  const repository = `ssh://web@127.0.0.1:${port}/repos/web`;
  await containers.ok(`rm -rf /client/borg-web; head -c 3000000 /dev/urandom >/client/large`);
  for (const command of [
    `init -e repokey ${repository}`,
    `create ${repository}::a /client/large`,
    `create ${repository}::b /client/large /client/web.pub`,
    `check --verify-data ${repository}`,
    `check --repair ${repository}`,
    `list ${repository}::b`,
    `info ${repository}`,
    `key change-passphrase ${repository}`,
    `with-lock ${repository} true`,
    `delete ${repository}::a`,
    `prune --keep-last 1 ${repository}`,
    `compact ${repository}`,
    `break-lock ${repository}`,
  ]) {
    const env = { ...containers.machine.client("web"), BORG_NEW_PASSPHRASE: "secret" };
    const { code, stderr } = await containers.machine.run(`cd /client && borg ${command} </dev/null`, {
      env,
    });
    expect(`${command}: ${code} ${code === 0 ? "" : stderr}`).toBe(`${command}: 0 `);
  }
}

describe("a confined session", () => {
  const own =
    "echo x >$HOME/own && cat $HOME/own && mkdir $HOME/d && mv $HOME/own $HOME/d/own && rm -r $HOME/d";

  beforeAll(() => serve("confined", 2240));

  test("finds no set-id file in the image", async () => {
    const { stdout } = await containers.exec("confined", "find / -xdev -type f -perm /6000");
    expect(stdout).toBe("");
  });

  test("is what the start announces, and require is content with it", async () => {
    expect(await containers.log("confined")).toContain("sessions are confined by the kernel (Landlock)");
    await containers.serve("required", 2241, "--env BORG_SANDBOX=require");
  });

  test("of an operator is confined to the repository that it names, even with a compromised borg", async () => {
    const exec = (command: string) => () => containers.exec("confined", command);
    expect(await achievedIn("confined", exec("check /repos/web"))).toEqual([own]);
    expect(await achievedIn("confined", exec("sh -c 'cd /repos && compact web'"))).toEqual([own]);
    expect(await achievedIn("confined", exec("borg --version"))).toEqual([own, "ls /var/cache/borgserver"]);
    expect(await containers.ok("cat /confined/repos/db/file")).toBe("secret\n");
    await containers.ok("rm -rf /confined/repos/*; podman exec confined update-borgusers");
  });

  test("lets borg do all it does", () => works(2240));

  test("leaves operators all that borg does, with what their words name", async () => {
    const exec = (words: string) =>
      containers.exec("confined", `sh -c 'export BORG_PASSPHRASE=secret; cd /tmp && ${words}'`);
    for (const words of [
      "list --short /repos/web && info /repos/web && check --verify-data /repos/web && compact /repos/web",
      "create /repos/web::local /etc/hostname --exclude-from=/etc/hosts && list /repos/web::local",
      "mkdir -m 777 out && cd out && borg extract /repos/web::local && cmp etc/hostname /etc/hostname",
      "borg key export /repos/web /tmp/out/key && [ -s /tmp/out/key ]",
      "borg export-tar /repos/web::local /tmp/out/tar && [ -s /tmp/out/tar ]",
      `echo secret >/tmp/out/pass; unset BORG_PASSPHRASE; export BORG_PASSCOMMAND="cat /tmp/out/pass" BORG_REPO=/repos/web; borg list ::local`,
      "borg with-lock /repos/web cp /repos/web/config /tmp/out/config",
      "borg init --encryption none /repos/fresh && borg delete /repos/web::local && borg rename --help",
      "prune --keep-last 1 /repos/web && check all",
    ]) {
      const { code, stderr } = await exec(words);
      expect(`${words}: ${code} ${code === 0 ? "" : stderr}`).toBe(`${words}: 0 `);
    }
  });

  test("deletes its repository and begins anew, in the directory that stays", async () => {
    const repository = "ssh://web@127.0.0.1:2240/repos/web";
    const { code, stderr } = await containers.machine.borg("web", `delete ${repository}`);
    expect(`${code} ${code === 0 ? "" : stderr}`).toBe("0 ");
    expect(await containers.ok("ls -A /confined/repos/web")).toBe("");
    expect(await containers.machine.borg("web", `init -e none ${repository}`)).toMatchObject({ code: 0 });
  });

  test("opens no link that somebody planted in a repository", async () => {
    await containers.ok(
      `rm -rf /confined/repos/*; podman exec confined update-borgusers
       podman exec confined sh -c 'borg init -e none /repos/db && borg create /repos/db::secret /etc/hostname'
       cd /confined/repos/web && ln -s /repos/db/data /repos/db/index.* /repos/db/hints.* /repos/db/integrity.* . 2>/dev/null
       for file in config data $(cd ../db && ls -d index.* hints.* integrity.*); do ln -sfn /repos/db/$file $file; done`,
    );
    const listed = (name: string, options = "") =>
      containers.run(
        `podman run --rm ${options} --volume /${name}/repos:/repos localhost/borgserver list --short /repos/web`,
      );
    // That this shows the other's archive is what the wall is for.
    expect((await listed("confined", "--env BORG_SANDBOX=off")).stdout).toBe("secret\n");
    const behind = await listed("confined");
    expect({ ...behind, stderr: "" }).toEqual({ code: 2, stdout: "", stderr: "" });
    const all = await containers.exec("confined", "list --short all");
    expect(all.stdout).toContain("/repos/db:\nsecret\n");
    expect(all.stdout.match(/secret/g)).toHaveLength(1);
    expect(all.code).toBe(2);
    await containers.ok("rm -rf /confined/repos/*; podman exec confined update-borgusers");
  });
});

test("with BORG_SANDBOX=off the start says so, and borg's restriction is the only one", async () => {
  await serve("open", 2242, "--env BORG_SANDBOX=off");
  expect(await containers.log("open")).toContain(
    "sessions are not confined by the kernel (BORG_SANDBOX=off); borg alone restricts them",
  );
  await works(2242);
  // That this succeeds here shows that it is the kernel that refuses it above.
  const check = () => containers.exec("open", "check /repos/web");
  expect(await achievedIn("open", check)).toEqual(
    expect.arrayContaining(["cat /repos/db/file", "ls /repos/db"]),
  );
});

describe("where the kernel cannot confine", () => {
  const without = "--security-opt seccomp=/client/no-landlock.json";

  beforeAll(() =>
    containers.machine.write(
      "/client/no-landlock.json",
      JSON.stringify({
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["landlock_create_ruleset"], action: "SCMP_ACT_ERRNO", errnoRet: 38 }],
      }),
    ),
  );

  test("auto serves all the same and says so", async () => {
    await serve("auto", 2243, without);
    expect(await containers.log("auto")).toMatch(/sessions are not fully confined by the kernel: ./);
    await works(2243);
  });

  test("require refuses to start, with exit 4", async () => {
    const { code, stderr } = await containers.run(
      `podman run --rm ${without} --env BORG_SANDBOX=require localhost/borgserver`,
    );
    expect(code).toBe(4);
    expect(stderr).toMatch(/^BORG_SANDBOX: sessions cannot be fully confined by the kernel here: ./m);
  });
});
