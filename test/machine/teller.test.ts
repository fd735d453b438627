import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine, programs, type Result } from "./machine.ts";

/** The process that speaks with the world, by itself: what it sends, to whom it does not, and what it cannot do taken over. */

let machine: Machine;
const lib = "/usr/local/lib/borgserver";
const port = 8099;
/** Another machine: a network namespace, with the same sink. */
const far = "10.77.0.2";

beforeAll(async () => {
  machine = await Machine.start({
    binds: [`${join(import.meta.dirname, "../../build/apprise")}:/opt/apprise`],
  });
  await machine.ok(
    `ip netns add far && ip link add near type veth peer name far netns far
     ip addr add 10.77.0.1/24 dev near && ip link set near up
     ip netns exec far sh -c 'ip addr add ${far}/24 dev far && ip link set far up && ip link set lo up'
     for address in 169.254.169.254/32 100.100.100.200/32 168.63.129.16/32 192.0.0.192/32 10.9.8.7/32 203.0.113.5/32; do
       ip addr add $address dev lo
     done
     for address in fd00:ec2::254/128 fd12:3456::1/128 64:ff9b::7f00:1/128; do ip addr add $address dev lo nodad; done
     printf '127.0.0.1 sneaky.example\\n${far} far.example\\n169.254.169.254 metadata.example\\n' >>/etc/hosts`,
  );
  await machine.drop("repos/web", "repos/db");
  machine.spawn(`exec python3 -I ${programs}/sink.py ${port} /client/sunk`);
  machine.spawn(`exec ip netns exec far python3 -I ${programs}/sink.py ${port} /client/sunk-far`);
  await machine.ok(
    `until ss -Htln sport = ${port} | grep -q . && ip netns exec far ss -Htln sport = ${port} | grep -q .; do sleep 0.05; done`,
  );
}, 60_000);
afterAll(() => machine?.stop());

const message = { title: "borgserver backup: a title", body: "web: *late*: <b>26 h</b>", level: "warning" };
const send = (urls: string[], isPrivate = true) => ({ send: { ...message, urls }, private: isPrivate });
const ping = (url: string, failed = false, isPrivate = true) => ({
  ping: { url, failed },
  private: isPrivate,
});

interface Answer {
  id: number | null;
  results: (string | null)[];
}

/** Has a teller obey these, and end. @returns what it answered, by the orders' place, and how it ended */
async function obeyed(orders: object[], input = ""): Promise<{ answers: Answer[]; ended: Result }> {
  const lines = [{ listen: null }, ...orders.map((order, id) => ({ id, ...order }))];
  const ended = await machine.run(`env -i python3 -I ${lib}/teller.py`, {
    input: `${lines.map((line) => JSON.stringify(line)).join("\n")}\n${input}`,
  });
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  const answers = ended.stdout
    .split("\n")
    .filter(Boolean)
    .map((line): Answer => JSON.parse(line));
  return { answers: answers.sort((a, b) => (a.id ?? -1) - (b.id ?? -1)), ended };
}

/** What came of each order, which each has one address. */
async function results(orders: object[]): Promise<(string | null | undefined)[]> {
  const { answers } = await obeyed(orders);
  expect(answers.map(({ id }) => id)).toEqual(orders.map((_, id) => id));
  return answers.map(({ results }) => results[0]);
}

async function sunk(file = "/client/sunk"): Promise<{ path: string; body: string }[]> {
  const text = await machine.ok(`cat ${file} 2>/dev/null; rm -f ${file}`);
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

describe("what it sends", () => {
  test("a message reaches each kind of address as it is written, and a ping the address or /fail", async () => {
    expect(
      await results([
        send([`ntfy://127.0.0.1:${port}/topic`]),
        send([`json://127.0.0.1:${port}/hook`]),
        ping(`http://127.0.0.1:${port}/hc/token?x=1`),
        ping(`http://127.0.0.1:${port}/hc/token?x=1`, true),
      ]),
    ).toEqual([null, null, null, null]);
    const found = (await sunk()).sort((a, b) => (a.path < b.path ? -1 : 1));
    expect(found.map(({ path }) => path)).toEqual(["/", "/hc/token/fail?x=1", "/hc/token?x=1", "/hook"]);
    expect(JSON.parse(found[0]!.body)).toMatchObject({
      ...{ topic: "topic", title: message.title, message: message.body },
    });
    expect(JSON.parse(found[3]!.body)).toMatchObject({
      ...{ title: message.title, message: message.body, type: "warning" },
    });
  });

  test("a mail has the title as its subject, and what its server answers is said", async () => {
    machine.spawn(`exec python3 -I ${programs}/mail_sink.py 2525 /client/sunk-mail`);
    await machine.ok("until ss -Htln sport = 2525 | grep -q .; do sleep 0.05; done");
    const to = (name: string) => `mailto://127.0.0.1:2525?from=backup@example.org&to=${name}@example.org`;
    expect(
      await results([send([to("operator")]), send([to("refused")]), send([to("operator")], false)]),
    ).toEqual([null, "it answered with 550", expect.stringContaining("PING_PRIVATE=1")]);
    const [mail, ...others] = await sunk("/client/sunk-mail");
    expect(others).toEqual([]);
    expect(mail?.body).toMatch(/^Subject: borgserver backup: a title$/m);
    expect(mail?.body).toMatch(/^Content-Type: text\/plain/m);
    expect(mail?.body).toContain(message.body);
  });

  test("each address has a result of its own, in words", async () => {
    const { answers } = await obeyed([
      send([
        `json://127.0.0.1:${port}/hook`,
        `json://127.0.0.1:${port}/503`,
        "json://127.0.0.1:9/",
        `jsons://127.0.0.1:${port}/`,
        ...["syslog://", "macosx://", "mqtt://127.0.0.1/topic", "nonsense://127.0.0.1", "no address"],
      ]),
    ]);
    expect(answers[0]?.results).toEqual([
      null,
      "it answered with 503",
      "it could not be reached",
      "its certificate is not one that is trusted",
      "addresses of this kind reach this machine alone",
      "addresses of this kind reach this machine alone",
      "what Apprise needs for addresses of this kind is not installed",
      "this is not an address that Apprise knows",
      "this is not an address that Apprise knows",
    ]);
    expect(
      await results([
        ping(`http://127.0.0.1:${port}/404`),
        ping("http://127.0.0.1:9/"),
        ping(`http://127.0.0.1:${port}/to/${encodeURIComponent(`http://127.0.0.1:${port}/500`)}`),
      ]),
    ).toEqual(["it answered with 404", "it could not be reached", "it answered with 500"]);
    await sunk();
  });

  test("an address that does not answer, or a byte a second, is waited for no longer than it says", async () => {
    const begun = performance.now();
    expect(
      await results([
        ...[ping(`http://127.0.0.1:${port}/slow`), ping(`http://127.0.0.1:${port}/drip`)],
        ...[send([`json://127.0.0.1:${port}/slow`]), send([`json://127.0.0.1:${port}/drip`])],
        send([`json://127.0.0.1:${port}/hook`]), // after one of these, as four are sent at once
      ]),
    ).toEqual([...Array(4).fill("it did not answer in time"), null]);
    expect(performance.now() - begun).toBeLessThan(35_000);
    await sunk();
  }, 60_000);

  test("what is no order is answered where it has a number, and the next one is obeyed", async () => {
    const wrong = [
      ...[{}, { send: {} }, { send: null }, { send: { ...message, urls: "ntfy://x" } }],
      ...[{ send: { urls: [7], title: 1, body: null, level: [] } }, { ping: { url: 7 } }, { ping: [] }],
      { run: "touch /tmp/x" },
    ];
    const good = send([`json://127.0.0.1:${port}/hook`]);
    const { answers } = await obeyed(
      [...wrong, good],
      `garbage\n[]\nnull\n7\n"x"\n{"id":\n${"x".repeat(1e6)}\n`,
    );
    expect(answers.map(({ id }) => id)).toEqual([null, ...[...wrong, good].map((_, id) => id)]);
    expect(answers.at(-1)?.results).toEqual([null]);
    for (const { results } of answers.slice(0, -1)) expect(results[0]).toEqual(expect.any(String));
    expect(await sunk()).toHaveLength(1);
  }, 60_000);
});

describe("what settings files name", () => {
  const own = (host: string, path = "/") => `http://${host}:${port}${path}`;
  const leading = (to: string) => own(far, `/to/${encodeURIComponent(to)}`);
  const near =
    "it is an address of this machine or of its link, which settings files may name with PING_PRIVATE=1 alone";

  const hosts = [
    ...["127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "localhost"],
    ...["169.254.169.254", "[::ffff:169.254.169.254]", "100.100.100.200", "168.63.129.16"],
    ...[
      "192.0.0.192",
      "[fd00:ec2::254]",
      "[64:ff9b::7f00:1]",
      "10.9.8.7",
      "[fd12:3456::1]",
      "203.0.113.5",
      "10.77.0.1",
    ],
    ...["sneaky.example", "metadata.example", "2130706433", "0x7f.1", "127.1"],
  ];

  test("never reaches this machine or its link, by whatever address or name; the operator's own does", async () => {
    expect(await results(hosts.map((host) => ping(own(host), false, false)))).toEqual(hosts.map(() => near));
    expect(await sunk()).toEqual([]);
    expect(await results(hosts.map((host) => ping(own(host))))).toEqual(hosts.map(() => null));
    expect(await sunk()).toHaveLength(hosts.length);
  }, 120_000);

  test("nor by a redirect, a message, or another kind of connection", async () => {
    const orders = (isPrivate: boolean) => [
      ping(leading(own("127.0.0.1", "/led")), false, isPrivate),
      ping(leading(own("metadata.example", "/led")), false, isPrivate),
      ping(leading(leading(own("[::1]", "/led"))), false, isPrivate),
      send([`json://sneaky.example:${port}/led`], isPrivate),
      send([`json://${far}:${port}/to/${encodeURIComponent(own("127.0.0.1", "/led"))}`], isPrivate),
      send(["rsyslog://127.0.0.1:514"], isPrivate),
    ];
    expect(await results(orders(false))).toEqual(Array(6).fill(near));
    expect(await sunk()).toEqual([]);
    expect(await results(orders(true))).toEqual(Array(6).fill(null));
    expect((await sunk()).map(({ path }) => path)).toEqual(Array(5).fill("/led"));
    await sunk("/client/sunk-far");
  }, 60_000);

  test("reaches other machines, those of the same network too, where a redirect stays among them", async () => {
    expect(
      await results([
        ping(own(far, "/plain"), false, false),
        ping(own("far.example", "/name"), true, false),
        ping(leading(own(far, "/led")), false, false),
        send([`ntfy://${far}:${port}/topic`], false),
      ]),
    ).toEqual([null, null, null, null]);
    expect((await sunk("/client/sunk-far")).map(({ path }) => path).sort()).toEqual(
      ["/", "/led", "/name/fail", "/plain", leading(own(far, "/led")).slice(own(far, "").length)].sort(),
    );
    const often = leading(leading(leading(leading(own(far, "/led")))));
    expect(await results([ping(often, false, false)])).toEqual(["it redirects too often"]);
    await sunk("/client/sunk-far");
  }, 60_000);

  test("is judged by where it leads each time, however often a name server changes its mind", async () => {
    machine.spawn(`exec python3 -I ${programs}/name_server.py ${far} 127.0.0.1 ${far} 169.254.169.254`);
    await machine.ok(
      "until ss -Hluan sport = 53 | grep -q .; do sleep 0.05; done; rm -f /etc/resolv.conf; echo nameserver 127.0.0.1 >/etc/resolv.conf",
    );
    const changing = (isPrivate: boolean) =>
      results(Array.from({ length: 8 }, () => ping(own("changing.example"), false, isPrivate)));
    expect((await changing(false)).sort()).toEqual([near, near, near, near, null, null, null, null]);
    expect(await sunk()).toEqual([]);
    expect(await sunk("/client/sunk-far")).toHaveLength(4);
    expect(await changing(true)).toEqual(Array(8).fill(null));
    expect(await sunk()).toHaveLength(4);
    await sunk("/client/sunk-far");
  }, 60_000);

  test("is judged by each form that an address has", async () => {
    const nearby = [
      ...[
        "0.1.2.3",
        "127.0.0.1",
        "169.254.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.0.8",
        "100.100.100.200",
      ],
      ...[
        "::",
        "::1",
        "fe80::1",
        "fe80::1%lo",
        "fec0::1",
        "ff02::1",
        "100::1",
        "::7f00:1",
        "::ffff:a9fe:a9fe",
      ],
      ...[
        "::ffff:0:127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
      ],
      ...["2001:0:7f00:1::", "fd00:ec2::254", "fd20:ce::254", "fd00:42::42", "fd00:c1::a9fe:a9fe"],
    ];
    const distant = [
      ...[
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "8.8.8.8",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
      ],
      ...["2001:4860:4860::8888", "fd12::1", "2002:808:808::1"],
    ];
    const judged = await machine.ok(
      `/opt/apprise/bin/python -I -c 'import sys; sys.path.append("${lib}"); import sender; print(*map(sender.is_near, sys.argv[1:]))' ${[...nearby, ...distant].join(" ")}`,
    );
    expect(judged.trim().split(" ")).toEqual([...nearby.map(() => "True"), ...distant.map(() => "False")]);
  });
});

test("no command line, environment, log or result has a part of an address", {
  timeout: 60_000,
}, async () => {
  const secrets = [
    ...[`json://user:SECRET1@127.0.0.1:${port}/slow`, `ntfy://user:SECRET2@127.0.0.1:9/SECRET3`],
    ...[
      "json://SECRET4:SECRET5@nowhere.invalid/SECRET6",
      "SECRET7://SECRET8",
      "mailto://SECRET9:x@",
      "slack://SECRET",
    ],
    ...[
      `jsons://127.0.0.1:${port}/SECRET`,
      `json://127.0.0.1:${port}/SECRET/404`,
      "tgram://SECRET/SECRET",
      "SECRET",
    ],
  ];
  const orders = [
    ...secrets.map((url) => send([url])),
    ...secrets.map((url) => send([url], false)),
    ...[ping("http://SECRET:SECRET@127.0.0.1:9/SECRET"), ping(`http://127.0.0.1:${port}/SECRET/404`)],
    ping("http://[SECRET"),
  ];
  const running = obeyed(orders);
  await machine.ok("until pgrep -f sender.py >/dev/null; do sleep 0.02; done");
  const seen: string[] = [];
  for (let tries = 0; tries < 10; tries++)
    seen.push(
      await machine.ok("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' || true"),
    );
  expect(seen.join("")).toContain("sender.py");
  expect(seen.join("")).not.toContain("SECRET");
  const { answers, ended } = await running;
  expect(answers).toHaveLength(orders.length);
  expect(ended.stdout + ended.stderr).not.toMatch(/SECRET|127\.0\.0\.1|nowhere/);
  await sunk();
});

describe("notify-test", () => {
  const environment = { NOTIFY: `ntfy://127.0.0.1:${port}/secret json://127.0.0.1:${port}/403` };
  const tried = () => machine.run("borgserver notify-test");
  const restart = async (env: Record<string, string>) => {
    await machine.stopServer();
    expect(await machine.startServer(env)).toBeNull();
  };
  afterAll(async () => {
    await machine.stopServer();
    await machine.ok("rm -rf /sshkeys/settings");
    await sunk();
  });

  test("says that there is nothing to try", async () => {
    await restart({});
    expect(await tried()).toMatchObject({
      ...{ code: 4, stdout: "" },
      stderr:
        "borgserver: there is no address to try\n  Set NOTIFY and restart the server, or write notify into a settings file.\n",
    });
  });

  test("tries each address, and says what each is without its secret", async () => {
    await machine.write(
      "/sshkeys/settings/web",
      `notify = ["json://${far}:${port}/of-web", "json://127.0.0.1:${port}/"]\n`,
    );
    await machine.write("/sshkeys/settings/default", `notify = "json://${far}:${port}/of-all"\n`);
    await restart(environment);
    expect(await tried()).toEqual({
      ...{ code: 1, stderr: "" },
      stdout: `address 1 of NOTIFY (ntfy): taken
address 2 of NOTIFY (json): not taken: it answered with 403
the notify address of db (json): taken
the notify address of web (json): taken
the notify address of web (json): not taken: it is an address of this machine or of its link, which settings files may name with PING_PRIVATE=1 alone
`,
    });
    await restart({ NOTIFY: `ntfy://127.0.0.1:${port}/secret`, PING_PRIVATE: "1" });
    await sunk();
    expect(await tried()).toMatchObject({ code: 0, stderr: "" });
    const bodies = (await sunk()).map(({ body }) => JSON.parse(body));
    expect(bodies.find(({ topic }) => topic !== undefined)).toMatchObject({
      ...{ topic: "secret", title: "borgserver backup: a test" },
      message: "This address is told what happens to the repositories of this server.",
    });
  }, 60_000);
});

describe("a teller that was taken over", () => {
  interface Outcome {
    name: string;
    may: boolean;
    since: number;
    errno: string | null;
  }
  const attack = "/usr/local/lib/attack/teller_attacks.py";
  const outcomes = (text: string): Outcome[] =>
    text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  const succeeded = (found: Outcome[]) => found.filter(({ errno }) => errno === null).map(({ name }) => name);
  const names = (found: Outcome[], may: boolean) =>
    found.filter((each) => each.may === may).map(({ name }) => name);
  let asRoot: Outcome[];
  let landlock: number;

  beforeAll(async () => {
    await machine.write("/sshkeys/settings/web", `notify = "json://${far}/secret"\n`);
    expect(
      await machine.startServer({ STATUS_LISTEN: "127.0.0.1:9100", NOTIFY: "json://127.0.0.1/secret" }),
    ).toBeNull();
    machine.spawn("exec setpriv --reuid borgteller --regid borgteller --clear-groups sleep 1000");
    await machine.ok(
      `until [ -e /run/borgserver/published/state.json ] && own=$(pgrep -u borgteller -x sleep); do sleep 0.05; done
       install -d /usr/local/lib/attack && install -m 755 ${programs}/teller_attacks.py ${programs}/attacks.py /usr/local/lib/attack
       echo "{\\"keeper\\": $(pgrep -of 'borgserver keep'), \\"sshd\\": $(pgrep -ox sshd), \\"own\\": $own, \\"port\\": ${port}}" >/usr/local/lib/attack/targets.json
       mkdir -p /repos/web && touch /repos/web/config /run/borgserver/published/teller-test && chown -R 1000:1000 /repos/web
       sed 's#^PROGRAM = .*#PROGRAM = "${attack}"#' ${lib}/teller.py >/client/teller.py`,
    );
    asRoot = outcomes(await machine.ok(`exec ${attack}`));
    landlock = Number(
      await machine.ok(
        `python3 -I -c 'import sys; sys.path.append("${lib}"); import wall; print(wall.landlock_version())'`,
      ),
    );
  }, 60_000);
  afterAll(() => machine.stopServer());

  test("tries what root succeeds with", () => {
    expect(asRoot.length).toBeGreaterThan(100);
    expect(asRoot.filter(({ errno }) => errno !== null)).toEqual([]);
  });

  test("is refused all but to read what is published, and to speak with the network", async () => {
    const { stdout, stderr } = await machine.run("env -i python3 -I /client/teller.py");
    expect(stderr).toBe("");
    const found = outcomes(stdout);
    expect(found.map(({ name }) => name)).toEqual(asRoot.map(({ name }) => name));
    const expected = found.filter(({ may, since }) => may || (landlock > 0 && landlock < since));
    expect(succeeded(found)).toEqual(expected.map(({ name }) => name));
  });

  test("is refused some of it by the wall alone, and most by its account", async () => {
    const plain = outcomes(
      await machine.ok(`exec setpriv --reuid borgteller --regid borgteller --clear-groups ${attack}`),
    );
    const walls = succeeded(plain).filter((name) => !names(plain, true).includes(name));
    for (const name of [
      "read /sshkeys/repos/web",
      "read /run/borgserver/settings.json",
      "make a file in /tmp",
    ])
      expect(walls).toContain(name);
    expect(walls.length).toBeLessThan(asRoot.length / 2);
  });

  test("fills neither the log nor the keeper's memory", async () => {
    await machine.stopServer();
    await machine.write(
      "/usr/local/lib/attack/flood",
      `#!/usr/bin/python3
import os
os.write(1, b'null\\n7\\n[]\\n')
for _ in range(500): os.write(1, b'{"failed": "flooded"}\\n')
for _ in range(5000): os.write(2, b"flooded\\n")
while True: os.write(1, b"x" * 1000000)
`,
    );
    await machine.ok(
      `chmod 755 /usr/local/lib/attack/flood
       cp ${lib}/teller.py /client/whole.py && sed -i 's#^PROGRAM = .*#PROGRAM = "/usr/local/lib/attack/flood"#' ${lib}/teller.py`,
    );
    expect(await machine.startServer({ STATUS_LISTEN: "127.0.0.1:9100" })).toBeNull();
    await machine.logged(/the teller ended \(SIGKILL\); it is started again in 2 s/);
    expect(machine.log.match(/flooded/g)?.length).toBe(21);
    expect(machine.log).not.toContain("goes on after a fault");
    expect(machine.log).toContain("borgserver: the page cannot be served: flooded\n");
    expect(machine.log).toContain("borgserver: what the teller says beyond that is left out\n");
    const most = await machine.ok("grep VmHWM /proc/$(pgrep -of 'borgserver keep')/status");
    expect(Number(/[0-9]+/.exec(most)?.[0])).toBeLessThan(300_000);
    await machine.stopServer();
    await machine.ok(`mv /client/whole.py ${lib}/teller.py`);
  }, 60_000);

  test("is closed in by what there is, where the kernel has no Landlock, and that is said once a start", async () => {
    await machine.ok(
      `cp ${lib}/wall.py /client/wall.py && install -m 644 ${programs}/landlock.py ${lib}
       printf '\\nimport landlock\\n\\nlandlock.pretend(sys.modules[__name__])\\n' >>${lib}/wall.py
       echo 0 >/client/landlock; rm -f /run/borgserver/teller-told`,
    );
    const lacking = "borgserver: the teller is not fully confined: the kernel has no Landlock\n";
    const first = await machine.run("env -i python3 -I /client/teller.py");
    expect(first.stderr).toBe(lacking);
    const found = outcomes(first.stdout);
    for (const name of [
      "read /repos/web/config",
      "ask for a session",
      "become root",
      "signal keeper",
      "read /etc/shadow",
    ])
      expect(succeeded(found)).not.toContain(name);
    expect(succeeded(found)).toContain("read /run/borgserver/settings.json");
    expect((await machine.run("env -i python3 -I /client/teller.py")).stderr).toBe("");
    await machine.ok(`mv /client/wall.py ${lib}/wall.py; rm /client/landlock`);
  });
});
