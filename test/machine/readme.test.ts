import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Machine } from "./machine.ts";

// What README shows of the program is what the program prints.

const readme = readFileSync("README.md", "utf8");
let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  // `docker exec borgserver COMMAND` runs COMMAND in the server's container, which is this machine.
  await machine.write("/usr/local/sbin/docker", '#!/bin/sh\nshift 2\nexec "$@"\n');
  await machine.ok("chmod 755 /usr/local/sbin/docker");
  await machine.ok(`echo 127.0.0.1 backup >>/etc/hosts; mkdir -m 700 -p /root/.ssh;
    printf 'IdentityFile /client/laptop\\nUserKnownHostsFile /client/known_hosts\\n' >/root/.ssh/config`);
  await machine.write("/laptop.pub", await machine.makeKey("laptop"));
  // Changes are seen when they are made, and no look comes between what the tests do.
  expect(await machine.startServer({ SSH_LOG_LEVEL: "VERBOSE", WATCH_EVERY: "24h" })).toBeNull();
  await machine.ok("borgserver known-hosts backup >/client/known_hosts");
});
afterAll(() => machine?.stop());

/** The examples of a session at a terminal, as they are printed: commands behind "$ ", and what they print. */
const examples = [...readme.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
const shown = new Set<string>();

/** Runs the commands of the example that has this one, and compares what they print. */
async function tryOut(command: string): Promise<void> {
  const example = examples.find((text) => text.includes(`$ ${command}\n`));
  expect(example).toBeDefined();
  let printed = "";
  for (const [line, each] of example!.matchAll(/^\$ (.*)\n/gm)) {
    const tail = /^docker logs --tail ([0-9]+) borgserver$/.exec(each!)?.[1];
    if (tail !== undefined) {
      await machine.logged(/: created\n$/);
      printed +=
        line +
        machine.log
          .split(/(?<=\n)/)
          .slice(-Number(tail))
          .join("");
      continue;
    }
    const { stdout, stderr } = await machine.run(`cd / && ${each}`);
    printed += line + stdout + stderr;
  }
  expect(printed).toBe(example);
  shown.add(example!);
}

test("a new key is taken up as it says", () => tryOut("docker logs --tail 3 borgserver"));

test("problems are listed as it says", async () => {
  await machine.ok(`ssh-keygen -q -t rsa -b 1024 -N '' -f /client/short
    (echo '# db01'; cat /client/short.pub) >/sshkeys/repos/db01; cp /client/laptop /sshkeys/repos/web01`);
  await tryOut("docker exec borgserver index rebuild");
  await machine.ok("cp /laptop.pub /sshkeys/repos/web01; rm /sshkeys/repos/db01; update-borgusers");
});

test("a client that asks for anything but borg is told as it says", () => tryOut("ssh web01@backup whoami"));

test("the help is the one that it shows", () => tryOut("docker exec borgserver borgserver --help"));

test("every example was tried out", () => {
  expect(examples.filter((example) => !shown.has(example))).toEqual([]);
});

test("a login that the index cannot decide leaves the line that it shows", async () => {
  const line = /^```\n(borgserver: login of web01 denied: .*)\n```$/m.exec(readme)![1]!;
  await machine.ok(
    "cp /var/lib/borgserver/index.sqlite /client/; echo damaged >/var/lib/borgserver/index.sqlite",
  );
  expect(await machine.ssh("laptop", "web01@backup borg serve")).toMatchObject({ code: 255 });
  await machine.logged(/login of web01 denied/);
  expect(machine.log.split(/\r?\n/)).toContain(line);
  await machine.ok("cat /client/index.sqlite >/var/lib/borgserver/index.sqlite");
});
