import { afterEach, beforeEach, expect, test } from "vitest";
import { Machine } from "./machine.ts";

let machine: Machine;

beforeEach(async () => {
  machine = await Machine.start();
  await machine.drop("repos/web");
});
afterEach(() => machine?.stop());

const folder = "/sshkeys/host";

test("host keys are made at the first start, survive the second, and can be pinned before a client connects", async () => {
  expect(await machine.startServer()).toBeNull();
  const first = await machine.ok(`cd ${folder} && ls -l --time-style=full-iso && sha256sum *`);
  expect(await machine.ok(`ls ${folder}`)).toBe(
    "ssh_host_ed25519_key\nssh_host_ed25519_key.pub\nssh_host_rsa_key\nssh_host_rsa_key.pub\n",
  );
  for (const line of (
    await machine.ok(
      `ssh-keygen -lf ${folder}/ssh_host_ed25519_key; ssh-keygen -lf ${folder}/ssh_host_rsa_key`,
    )
  )
    .trim()
    .split("\n"))
    expect(machine.log).toContain(`host key ${line.split(" ")[1]}`);
  await machine.pinHostKeys();
  expect(await machine.ssh("web", "web@127.0.0.1 borg serve")).toMatchObject({ code: 0 });
  await machine.stopServer();
  expect(await machine.startServer()).toBeNull();
  expect(await machine.ok(`cd ${folder} && ls -l --time-style=full-iso && sha256sum *`)).toBe(first);
  expect(await machine.ssh("web", "web@127.0.0.1 borg serve")).toMatchObject({ code: 0 });
});

test("a first start that fails or is killed while it writes a host key does not stop the next", async () => {
  // The kernel ends ssh-keygen in the middle of the RSA key (setrlimit(2), SIGXFSZ), as on a full disk.
  const cut = 'prlimit --core=0 --fsize=1024 /usr/bin/ssh-keygen "$@"';
  await machine.write("/usr/local/sbin/ssh-keygen", `#!/bin/sh\n${cut}\n`);
  await machine.ok("chmod 755 /usr/local/sbin/ssh-keygen");
  expect(await machine.run("borgserver prepare")).toMatchObject({ code: 4 });
  expect(await machine.run(`ls ${folder}/ssh_host_rsa_key*`)).toMatchObject({ stdout: "" });
  await machine.write("/usr/local/sbin/ssh-keygen", `#!/bin/sh\n${cut} || kill -KILL $PPID\n`);
  expect((await machine.run("borgserver prepare")).code).not.toBe(4);
  expect(await machine.ok(`stat -c %s ${folder}/ssh_host_rsa_key*`)).toBe("1024\n");
  await machine.ok("rm /usr/local/sbin/ssh-keygen");
  expect(await machine.startServer()).toBeNull();
  expect(await machine.ok(`ls ${folder}`)).toBe(
    "ssh_host_ed25519_key\nssh_host_ed25519_key.pub\nssh_host_rsa_key\nssh_host_rsa_key.pub\n",
  );
  await machine.pinHostKeys();
  expect(await machine.ssh("web", "web@127.0.0.1 borg serve")).toMatchObject({ code: 0 });
});

test("known-hosts writes what ssh looks up", async () => {
  expect(await machine.run("borgserver known-hosts backup")).toMatchObject({ code: 4, stdout: "" });
  expect(await machine.startServer()).toBeNull();
  const scanned = async (port: string) =>
    (await machine.ok(`ssh-keyscan -t ed25519,rsa -p ${port} 127.0.0.1 2>/dev/null`))
      .trim()
      .split("\n")
      .sort();
  expect((await machine.ok("borgserver known-hosts 127.0.0.1")).trim().split("\n").sort()).toEqual(
    await scanned("22"),
  );
  expect(await machine.ok("borgserver known-hosts Backup.Example.org:2222")).toMatch(
    /^\[backup\.example\.org\]:2222 ssh-ed25519 \S+\n\[backup/,
  );
  expect(await machine.ok("borgserver known-hosts '[::1]:2222'")).toMatch(/^\[::1\]:2222 ssh-ed25519 /);
  for (const bad of ["'a b'", "host:0", "host:99999", "host:port", "'*'", "''"])
    expect(await machine.run(`borgserver known-hosts ${bad}`)).toMatchObject({ code: 2, stdout: "" });
});

test.each([
  [
    "a private key that ssh-keygen cannot read",
    `sed -i 5d ${folder}/ssh_host_rsa_key`,
    "cannot read this host key",
  ],
  ["an empty private key", `: >${folder}/ssh_host_ed25519_key`, "cannot read this host key"],
  [
    "a private key with a passphrase",
    `ssh-keygen -q -p -N secret -f ${folder}/ssh_host_rsa_key`,
    'cannot read this host key: it has a passphrase, which nobody can type when sshd starts\n  Remove the passphrase with: ssh-keygen -p -N "" -f ssh_host_rsa_key',
  ],
  [
    "a PEM key with a passphrase",
    `ssh-keygen -q -p -m PEM -N secret -f ${folder}/ssh_host_rsa_key`,
    "cannot read this host key: it has a passphrase",
  ],
  [
    "a PKCS #8 key with a passphrase",
    `ssh-keygen -q -p -m PKCS8 -N secret -f ${folder}/ssh_host_rsa_key`,
    "cannot read this host key: it has a passphrase",
  ],
  [
    "a passphrase behind CR LF",
    `ssh-keygen -q -p -N secret -f ${folder}/ssh_host_rsa_key; sed -i 's/$/\r/' ${folder}/ssh_host_rsa_key`,
    "cannot read this host key: it has a passphrase",
  ],
  [
    "a DSA key",
    `ssh-keygen -q -t dsa -N '' -f ${folder}/ssh_host_dsa_key`,
    "this is a DSA key, which sshd does not serve",
  ],
  [
    "a DSA key in PEM, with a passphrase",
    `ssh-keygen -q -t dsa -m PEM -N secret -f ${folder}/ssh_host_dsa_key`,
    "this is a DSA key, which sshd does not serve",
  ],
  [
    "a public key in the place of a private one",
    `cp ${folder}/ssh_host_rsa_key.pub ${folder}/ssh_host_rsa_key`,
    "this is a public key, not the private half",
  ],
  [
    "PuTTY's form",
    `printf 'PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n' >${folder}/ssh_host_rsa_key`,
    "it is in PuTTY's form",
  ],
  [
    "a public half that does not match",
    `cp /client/web.pub ${folder}/ssh_host_ed25519_key.pub`,
    "not the public half",
  ],
  [
    "a private key that is a symlink to what is not mounted",
    `mv ${folder}/ssh_host_rsa_key /client/; ln -s /client/lost ${folder}/ssh_host_rsa_key`,
    "host key cannot be read (ENOENT)",
  ],
  ["a FIFO", `mkfifo ${folder}/ssh_host_ecdsa_key`, "not a regular file"],
  [
    "a FIFO for a public half",
    `rm -f ${folder}/ssh_host_ed25519_key.pub; mkfifo ${folder}/ssh_host_ed25519_key.pub`,
    "ssh_host_ed25519_key.pub: this is not a regular file",
  ],
  [
    "a key that sshd would not serve",
    `ssh-keygen -q -t rsa -b 1024 -N '' -f /client/short; cp /client/short ${folder}/ssh_host_rsa_key; cp /client/short.pub ${folder}/ssh_host_rsa_key.pub`,
    "sshd does not serve this host key: RSA keys under 2048 bits",
  ],
  ["a public half alone", `rm ${folder}/ssh_host_rsa_key`, "private half of this host key is missing"],
])("%s stops the start, and nothing is replaced", async (_, damage, message) => {
  expect(await machine.startServer()).toBeNull();
  await machine.stopServer();
  await machine.ok(damage);
  const state = () => machine.ok(`cd ${folder} && ls -l && find . -type f | sort | xargs sha256sum`);
  const before = await state();
  const refusal = await machine.startServer();
  expect(refusal?.code).toBe(4);
  expect(refusal?.stderr).toContain(message);
  expect(refusal?.stderr).toContain("nothing was changed");
  expect(await state()).toBe(before);
});

test("a failed check during a running server leaves its host keys alone", async () => {
  expect(await machine.startServer()).toBeNull();
  const scan = () => machine.ok("ssh-keyscan -t ed25519,rsa 127.0.0.1 2>/dev/null | sort");
  const before = await scan();
  await machine.ok(`echo broken >${folder}/ssh_host_rsa_key`);
  expect(await machine.run("borgserver prepare")).toMatchObject({ code: 4 });
  expect(await scan()).toBe(before);
});

test("loose modes, a missing public half and a read-only mount do not stop the start", async () => {
  expect(await machine.startServer()).toBeNull();
  await machine.stopServer();
  await machine.pinHostKeys();
  await machine.ok(
    `rm ${folder}/*.pub; chmod 644 ${folder}/*; chown 1000 ${folder}/*; mount --bind /sshkeys /sshkeys; mount -o remount,ro,bind /sshkeys`,
  );
  expect(await machine.startServer()).toBeNull();
  expect(await machine.ssh("web", "web@127.0.0.1 borg serve")).toMatchObject({ code: 0 });
  expect(await machine.run("borgserver known-hosts 127.0.0.1")).toMatchObject({ code: 0 });
});

test.each([
  ["carriage returns", "sed -i 's/$/\r/' *_key *.pub"],
  ["carriage returns alone", "for key in *_key; do tr '\\n' '\\r' <$key >x; cat x >$key; done; rm x"],
  ["no last line break", 'for key in *_key; do printf %s "$(cat $key)" >x; cat x >$key; done; rm x'],
  ["blanks and empty lines around", "sed -i 's/$/ /; 1i\\\n' *_key"],
  ["a byte order mark", "sed -i '1s/^/\\xef\\xbb\\xbf/' *_key *.pub"],
])("a host key with %s is served as the key that it is, and left as it is", async (_, damage) => {
  await machine.ok(
    `mkdir -p ${folder} && cd ${folder} && ssh-keygen -q -t ecdsa -m PEM -N '' -f ssh_host_ecdsa_key`,
  );
  expect(await machine.startServer()).toBeNull();
  const scan = () => machine.ok("ssh-keyscan -t ed25519,rsa,ecdsa 127.0.0.1 2>/dev/null | sort");
  const before = await scan();
  expect(before.split("\n")).toHaveLength(4);
  await machine.stopServer();
  await machine.ok(`cd ${folder} && ${damage}`);
  const state = () => machine.ok(`cd ${folder} && ls -l && sha256sum *`);
  const left = await state();
  expect(await machine.startServer()).toBeNull();
  expect(await scan()).toBe(before);
  expect(await state()).toBe(left);
});

test("a host key of another type that the operator brought is served too", async () => {
  await machine.ok(`mkdir -p ${folder} && ssh-keygen -q -t ecdsa -N '' -f ${folder}/ssh_host_ecdsa_key`);
  expect(await machine.startServer()).toBeNull();
  expect(await machine.ok("borgserver known-hosts h")).toContain("h ecdsa-sha2-nistp256 ");
  expect(await machine.ok("ssh-keyscan -t ecdsa 127.0.0.1 2>/dev/null")).toContain("ecdsa-sha2-nistp256");
});

test("host keys that cannot be made stop the start", async () => {
  await machine.ok("mount --bind /sshkeys /sshkeys; mount -o remount,ro,bind /sshkeys");
  const refusal = await machine.startServer();
  expect(refusal?.code).toBe(4);
  expect(refusal?.stderr).toMatch(/ssh_host_ed25519_key: the host key is missing, and could not be made/);
});

test("a ssh-keygen that is killed says nothing of any key", async () => {
  expect(await machine.startServer()).toBeNull();
  await machine.write("/usr/local/sbin/ssh-keygen", "#!/bin/sh\nkill -KILL $$\n");
  await machine.ok("chmod 755 /usr/local/sbin/ssh-keygen");
  for (const command of ["index check", "borgserver prepare"])
    expect(await machine.run(command)).toEqual({
      code: 1,
      stdout: "",
      stderr: "borgserver: ssh-keygen was ended by SIGKILL. Run this again.\n",
    });
  await machine.write("/usr/local/sbin/ssh-keygen", "#!/bin/sh\necho No user exists >&2; exit 255\n");
  expect(await machine.run("index check")).toMatchObject({
    code: 1,
    stderr: "borgserver: ssh-keygen failed, so no key could be judged: No user exists\n",
  });
});
