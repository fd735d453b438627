import { afterAll, beforeAll, expect, test } from "vitest";
import { finished, idOf, Machine, unfolded } from "./machine.ts";

// An older server wrote its accounts into /etc/passwd and /etc/shadow; the installation removes them once.

let machine: Machine;
beforeAll(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web");
  // Odd but legal: a Latin-1 comment, NIS entries, another program's account with the repositories' owner's id.
  await machine.ok(
    `printf 'guest:x:1000:100:Ren\\351e,,,:/home/guest:/bin/sh\\n\\n+nis::::::\\n' >>/etc/passwd; printf '+nis::::::::\\n' >>/etc/shadow
     chmod 640 /etc/shadow; cp -a /etc/passwd /etc/shadow /client/`,
  );
});
afterAll(() => machine?.stop());

const install = "/usr/local/lib/borgserver/install system";
const old = `cp -a /client/passwd /client/shadow /etc/
  { head -n 5 /client/passwd; printf 'borg:x:1000:60904:borgserver:/repos:/bin/sh\\nweb:x:1000:60902:borgserver:/repos/web:/bin/sh\\n'; tail -n +6 /client/passwd; echo 'db:x:1000:60903:borgserver:/repos/db:/bin/sh'; } >/etc/passwd
  { head -n 3 /client/shadow; printf 'borg:*:::::::\\nweb:*:::::::\\n'; tail -n +4 /client/shadow; echo 'db:*:::::::'; } >/etc/shadow`;
const isClean = `cmp /client/passwd /etc/passwd && cmp /client/shadow /etc/shadow &&
  [ "$(stat -c '%U %G %a' /etc/passwd /etc/shadow)" = "$(stat -c '%U %G %a' /client/passwd /client/shadow)" ] && ! ls /etc/*.borgserver 2>/dev/null`;

test("a start says what to do while they are there, and they are removed byte by byte", async () => {
  await machine.ok(old);
  const { code, stderr } = await machine.run("borgserver prepare");
  expect({ code, stderr: unfolded(stderr) }).toEqual({
    code: 1,
    stderr:
      "borgserver: /etc/passwd has accounts of an older server: borg and 2 more. Remove them: /usr/local/lib/borgserver/install system\n",
  });
  await machine.ok(`${install} && ${isClean}`);
  expect(await machine.run("borgserver prepare")).toMatchObject({ code: 0 });
  expect(await machine.ok("getent passwd web")).toBe(
    `web:*:${idOf("web")}:60902:borgserver:/:/usr/local/lib/borgserver/session\n`,
  );
  await machine.ok(`${install} && ${isClean}`);
});

test("killed or failed at any call that changes a file, the next run finishes it", async () => {
  const calls = (
    await machine.ok(`${old}
      strace -f -y -qq -e signal=none -e trace=?open,openat,write,pwrite64,fsync,?rename,renameat,renameat2,?unlink,unlinkat,fchown,fchmod -o /client/trace borgserver remove-old-accounts
      grep -E '/etc/[a-z]+\\.borgserver' /client/trace | sed -E 's/^[0-9]+ +//; s/\\(.*//'`)
  )
    .trimEnd()
    .split("\n");
  expect(calls.filter((name) => name.startsWith("rename"))).toHaveLength(2);
  const counts = new Map<string, number>();
  for (const name of calls) {
    const nth = (counts.get(name) ?? 0) + 1;
    counts.set(name, nth);
    for (const fault of ["signal=KILL", "error=EIO"])
      await machine.ok(`${old}
        strace -f -qq -P /etc/passwd.borgserver -P /etc/shadow.borgserver -P /etc/passwd -P /etc/shadow -e trace=${name} -e inject=${name}:${fault}:when=${nth} -o /client/trace borgserver remove-old-accounts >/client/said 2>&1
        [ $? != 0 ] || grep -q INJECTED /client/trace || exit 1
        # Nobody is without a password field but those that are to go, and no other line changed.
        grep -av :borgserver: /etc/passwd | cmp - /client/passwd || exit 1
        grep -Ev '^(borg|web|db):' /etc/shadow | cmp - /client/shadow || exit 1
        ${install} && ${isClean}`);
  }
});

test("it waits for programs that change accounts, and they for it", async () => {
  await machine.ok(old);
  // lckpwdf(3), as useradd(8) takes it.
  const holder = machine.spawn(
    `/usr/bin/python3 -c 'import ctypes, time; print(ctypes.CDLL(None).lckpwdf(), flush=True); time.sleep(3)'`,
  );
  const released = finished(holder);
  await new Promise((resolve) => holder.stdout!.once("data", resolve));
  const removal = machine.run("borgserver remove-old-accounts");
  expect(await machine.ok("sleep 1; grep -ac :borgserver: /etc/passwd")).toBe("3\n");
  expect(await released).toMatchObject({ stdout: "0\n" });
  expect(await removal).toMatchObject({ code: 0, stderr: "" });
  await machine.ok(isClean);
});

test("other words in the line of accounts stay", async () => {
  for (const [before, after] of [
    ["passwd:         files systemd", "passwd:         files cache systemd"],
    ["passwd: files", "passwd: files cache"],
    ["passwd: compat ldap # cache", "passwd: compat cache ldap # cache"],
    ["passwd: files [NOTFOUND=continue] sss", "passwd: files [NOTFOUND=continue] cache sss"],
    ["passwd: cache files", "passwd: cache files"],
    ["passwd: files ldap cache", "passwd: files ldap cache"],
  ]) {
    await machine.ok(
      `printf '# accounts\\n%s\\ngroup: files\\n' '${before}' >/etc/nsswitch.conf; ${install}; ${install}`,
    );
    expect(await machine.ok("cat /etc/nsswitch.conf; stat -c %a /etc/nsswitch.conf")).toBe(
      `# accounts\n${after}\ngroup: files\n644\n`,
    );
  }
  await machine.ok(`printf 'group: files\\n' >/etc/nsswitch.conf; ${install}`);
  expect(await machine.ok("cat /etc/nsswitch.conf")).toBe("group: files\npasswd: files cache\n");
});

test.each([
  ["the word is missing", "sed -i 's/ cache//' /etc/nsswitch.conf"],
  ["a link is missing", "rm /etc/passwd.cache /etc/passwd.cache.ixname"],
])("a start and the health check say that the accounts are not known where %s", async (_, damage) => {
  await machine.ok(install);
  expect(await machine.startServer()).toBeNull();
  const said = "the system does not know the accounts that are published in /var/lib/borgserver/current: ";
  try {
    await machine.ok(damage);
    expect(await machine.run("/usr/local/lib/borgserver/health")).toMatchObject({
      code: 1,
      stdout: expect.stringContaining(`every login is denied: ${said}`),
    });
    expect(await machine.run("borgserver prepare")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(said),
    });
    await machine.ok(install);
    expect(await machine.run("/usr/local/lib/borgserver/health")).toMatchObject({ code: 0 });
  } finally {
    await machine.stopServer();
  }
});
