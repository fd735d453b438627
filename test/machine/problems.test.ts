import { afterAll, beforeAll, expect, test } from "vitest";
import { Machine, unfolded } from "./machine.ts";

let machine: Machine;
let key: string;

beforeAll(async () => {
  machine = await Machine.start();
  key = await machine.makeKey("web");
  await machine.write("/sshkeys/repos/web", key);
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
});
afterAll(() => machine?.stop());

/** What has to be said of each bad thing: file, line, and a word of the reason. */
const problems: [string, RegExp][] = [
  [`mkdir /sshkeys/client`, /^\/sshkeys\/client: .*does not read this folder/],
  [`mkdir /sshkeys/repos/sub`, /^\/sshkeys\/repos\/sub: .*folder/],
  [`mkfifo /sshkeys/repos/fifo`, /^\/sshkeys\/repos\/fifo: .*not a regular file/],
  [`mknod /sshkeys/repos/device c 1 3`, /^\/sshkeys\/repos\/device: .*not a regular file/],
  [`ln -s nowhere /sshkeys/repos/dangling`, /^\/sshkeys\/repos\/dangling: .*ENOENT/],
  [`ln -s loop /sshkeys/repos/loop`, /^\/sshkeys\/repos\/loop: .*ELOOP/],
  [`: >/sshkeys/repos/empty`, /^\/sshkeys\/repos\/empty: there is no key/],
  [`printf '# soon\\n\\n' >/sshkeys/repos/comments`, /^\/sshkeys\/repos\/comments: there is no key/],
  [`printf 'Hello\\n' >/sshkeys/repos/prose`, /^\/sshkeys\/repos\/prose:1: .*not an OpenSSH public key/],
  [`cp /client/web /sshkeys/repos/private`, /^\/sshkeys\/repos\/private: .*private key/],
  [`echo ssh-dss AAAAB3NzaC1kc3MAAACB >/sshkeys/repos/dsa`, /^\/sshkeys\/repos\/dsa:1: DSA/],
  [
    `ssh-keygen -q -t rsa -b 1024 -N '' -f /client/rsa; cp /client/rsa.pub /sshkeys/repos/rsa`,
    /^\/sshkeys\/repos\/rsa:1: RSA keys under 2048 bits .* 1024/,
  ],
  [
    `ssh-keygen -q -s /client/web -I x -n web /client/web.pub; cp /client/web-cert.pub /sshkeys/repos/cert`,
    /^\/sshkeys\/repos\/cert:1: certificates/,
  ],
  [
    `(echo; printf 'command="id" '; cat /client/web.pub) >/sshkeys/repos/options`,
    /^\/sshkeys\/repos\/options:2: the option command before the key is not accepted/,
  ],
  [`tr -d '\\n' </client/web.pub | head -c 60 >/sshkeys/repos/cut`, /^\/sshkeys\/repos\/cut:1: /],
  [
    `printf '\\357\\273\\277' | cat - /client/web.pub >/sshkeys/repos/bom`,
    /^\/sshkeys\/repos\/bom: .*byte order mark/,
  ],
  [`iconv -t UTF-16 </client/web.pub >/sshkeys/repos/utf16`, /^\/sshkeys\/repos\/utf16: .*UTF-16/],
  [`cp /client/web.pub /sshkeys/repos/root`, /^\/sshkeys\/repos\/root: "root" is an account of the system/],
  [`cp /client/web.pub /sshkeys/admins/sshd`, /^\/sshkeys\/admins\/sshd: "sshd" is an account of the system/],
  [`cp /client/web.pub /sshkeys/admins/borg`, /^\/sshkeys\/admins\/borg: "borg" is an account of the system/],
  [`cp /client/web.pub /sshkeys/admins/borgkeys`, /^\/sshkeys\/admins\/borgkeys: "borgkeys" is an account/],
  [`cp /client/web.pub /sshkeys/repos/all`, /^\/sshkeys\/repos\/all: "all" means every repository/],
  [`cp /client/web.pub /sshkeys/repos/1234`, /^\/sshkeys\/repos\/1234: .*digits/],
  [`cp /client/web.pub /sshkeys/repos/-x`, /^\/sshkeys\/repos\/-x: .*must start with/],
  [`cp /client/web.pub "/sshkeys/repos/a b"`, /^\/sshkeys\/repos\/a b: .*character/],
  [`cp /client/web.pub "$(printf '/sshkeys/repos/x\\377y')"`, /^\/sshkeys\/repos\/x\\xffy: .*character/],
  [`cp /client/web.pub /sshkeys/repos/laptop.pub`, /^\/sshkeys\/repos\/laptop\.pub: .*Rename the file/],
  [
    `cp /client/web.pub /sshkeys/admins/me.disabled`,
    /^\/sshkeys\/admins\/me\.disabled: .*would still be an account/,
  ],
  [`cp /client/web.pub /sshkeys/admins/WEB`, /^\/sshkeys\/admins\/WEB: .*\/sshkeys\/repos\/web only by case/],
  [
    `cp /client/web.pub "$(printf '/sshkeys/repos/x\\033[2Jy')"`,
    /^\/sshkeys\/repos\/x\\x1b\[2Jy: .*character/,
  ],
  [
    `cp /client/web.pub /sshkeys/repos-appendonly/web`,
    /^\/sshkeys\/repos-appendonly\/web: .*\/sshkeys\/repos\/web exists too/,
  ],
];
const undo =
  "find /sshkeys -mindepth 1 -maxdepth 2 ! -path /sshkeys/repos/web ! -path '/sshkeys/host*' ! -name repos ! -name repos-appendonly ! -name repos-restore ! -name admins -exec rm -rf {} +; ls -R /sshkeys";

test("every problem is listed at once, with exit 3, and the old index still serves", async () => {
  const index = await machine.ok(
    "readlink /var/lib/borgserver/current; getent passwd; cat /etc/passwd /etc/shadow; ls /repos",
  );
  for (const [damage] of problems) await machine.ok(damage);
  try {
    for (const command of [
      "index rebuild",
      "index check",
      "update-borgusers",
      "update-borgusers --dry-run",
    ]) {
      const { code, stdout, stderr } = await machine.run(command);
      expect({ command, code, stdout }).toEqual({ command, code: 3, stdout: "" });
      const lines = unfolded(stderr).trim().split("\n");
      for (const [, said] of problems) expect(lines.filter((line) => said.test(line))).toHaveLength(1);
      expect(lines).toHaveLength(problems.length + 1);
      expect(lines.at(-1)).toBe(`borgserver: ${problems.length} problems, nothing was changed`);
      expect(stderr).not.toContain("OPENSSH");
      expect(stderr).not.toContain((await machine.ok("sed -n 3p /client/web")).trim());
    }
    expect(
      await machine.ok(
        "readlink /var/lib/borgserver/current; getent passwd; cat /etc/passwd /etc/shadow; ls /repos",
      ),
    ).toBe(index);
    expect(await machine.ssh("web", "web@127.0.0.1 borg serve")).toMatchObject({ code: 0 });
  } finally {
    await machine.ok(undo);
  }
  expect(await machine.ok("index rebuild")).toBe("index: 1 account (1 repo), 1 key\n");
});

test("a problem stops the start, and says so on the way", async () => {
  await machine.stopServer();
  await machine.ok("cp /client/web /sshkeys/repos/private; cp /client/web.pub /sshkeys/repos/root");
  const refusal = await machine.startServer({ PUID: "0" });
  expect(refusal?.code).toBe(3);
  expect(refusal?.stderr).toMatch(
    /^PUID: .*\n {2}Set PUID .*\n\/sshkeys\/repos\/private: .*private key.*\n {2}Remove it.*\n\/sshkeys\/repos\/root: "root" is an account of the system\..*\nborgserver: 3 problems, nothing was changed\n$/,
  );
  await machine.ok("rm /sshkeys/repos/private /sshkeys/repos/root");
  expect(await machine.startServer()).toBeNull();
});

test("what is skipped is said by index check, and by nothing else", async () => {
  await machine.ok(`
    mkdir /sshkeys/@eaDir "/sshkeys/System Volume Information" '/sshkeys/repos/#recycle' && cp /client/web.pub /sshkeys/web
    cp /client/web.pub /sshkeys/repos/web~ && touch /sshkeys/repos/Thumbs.db "$(printf '/sshkeys/repos/.\\033[2J\\377')"`);
  expect(await machine.ok("index check")).toBe(
    `no problems: 1 account (1 repo), 1 key
${["@eaDir", "System Volume Information", "web", "repos/#recycle", "repos/.\\x1b[2J\\xff", "repos/Thumbs.db", "repos/web~"].map((name) => `skipped: /sshkeys/${name}\n`).join("")}`,
  );
  for (const command of [
    "index rebuild",
    "update-borgusers",
    "update-borgusers --dry-run",
    "borgserver prepare",
  ]) {
    const { code, stdout, stderr } = await machine.run(command);
    expect(code).toBe(0);
    expect(stdout + stderr).not.toMatch(/skipped|eaDir/);
  }
  await machine.ok(undo);
  expect(await machine.ok("index check")).toBe("no problems: 1 account (1 repo), 1 key\n");
});

test("hidden names are skipped, and symlinked files count, as Kubernetes mounts them", async () => {
  await machine.ok(`
    mkdir /sshkeys/repos/..2026 && cp /client/web.pub /sshkeys/repos/..2026/pod && chmod 644 /sshkeys/repos/..2026/pod
    ln -s ..2026 /sshkeys/repos/..data && ln -s ..data/pod /sshkeys/repos/pod && mkdir /sshkeys/.git /sshkeys/lost+found /sshkeys/repos/lost+found`);
  expect(await machine.ok("update-borgusers")).toContain("account pod: added");
  expect(await machine.ssh("web", "pod@127.0.0.1 borg serve")).toMatchObject({ code: 0 });
});

test("files with CR LF, with comments and with a key twice are fine", async () => {
  await machine.write(
    "/sshkeys/repos/crlf",
    `# from a Windows machine\r\n\r\n${key.trim()}\r\n  ${key.trim()}\r\n`,
  );
  expect(await machine.ok("update-borgusers")).toContain("account crlf: added");
  expect(await machine.ssh("web", "crlf@127.0.0.1 borg serve")).toMatchObject({ code: 0 });
  expect(await machine.ok("index list")).toContain("crlf (repo)\n  SHA256:");
});
