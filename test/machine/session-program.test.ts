import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine, programs, type Result } from "./machine.ts";

/** What the session program asks for, and does with what it is answered (libexec/session.c). */

let machine: Machine;
beforeAll(async () => {
  machine = await Machine.start();
});
afterAll(() => machine?.stop());

const command = "borg serve --restrict-to-repository /repos/web";

/**
 * Runs the session program as sshd does, once.
 * @param answers of what serves sessions, one for each time that it is asked
 * @param first where its stdin comes from, if not from `input`
 */
async function ask(
  answers: string[],
  request: string | null,
  { input = "", first = "" } = {},
): Promise<Result & { asked: Record<string, string>[] }> {
  const given = answers.map((answer) => `'${answer}'`).join(" ");
  const result = await machine.run(
    `timeout 60 python3 ${programs}/answer_sessions.py ${given} >/client/asked & answering=$!
     until grep -q listening /client/asked 2>/dev/null; do sleep 0.02; done
     ${first} /usr/local/lib/borgserver/session -c '${command}'
     code=$?; kill $answering 2>/dev/null; exit $code`,
    {
      input,
      env: {
        USER: "web",
        SSH_CONNECTION: "192.0.2.1 5 192.0.2.2 22",
        ...(request !== null && { SSH_ORIGINAL_COMMAND: request }),
      },
    },
  );
  const asked = (await machine.ok("cat /client/asked; rm -f /client/asked")).split("\n").slice(1, -1);
  return { ...result, asked: asked.map((line) => JSON.parse(line)) };
}

describe("a request for borg serve", () => {
  test.each([
    ["borg serve --umask=077 --info", "--info "],
    ["borg serve", ""],
    ["borg serve --debug --debug-topic=repo", "--debug --debug-topic=repo "],
    ["borg serve --critical --error --warning --verbose -v", "--critical --error --warning --verbose -v "],
    ["borg serve --restrict-to-path / --umask 000 --storage-quota=1T --append-only", ""],
    ["borg serve --debug-topic=$(id) --debug-topic=a;b --debug-topic= *", ""],
    ["/usr/local/bin/borg1 serve", ""],
    ["BORG_HOST_ID=evil borg-1.4 serve --error", "--error "],
    ["sudo borg serve --umask=077 --info", "--info "],
    ["nice -n 19 borg serve --info", "--info "],
    ["env X=1 /opt/borg-1.2/bin/borg serve", ""],
    ["docker exec -i b borg serve", ""],
    ["\tborg\n serve  --info\t", "--info "],
  ])("%j is served, and of its words only these count: %j", async (request, options) => {
    const { code, asked } = await ask(["S,E0"], request);
    expect(asked).toEqual([
      { account: "web", command, options, connection: "192.0.2.1 5 192.0.2.2 22", descriptors: 3 },
    ]);
    expect(code).toBe(0);
  });
});

test.each([
  null,
  "",
  "whoami",
  "borg list /repos/web",
  'sh -c "borg serve"',
  "sudo -u backup other serve",
  "borg list serve",
  "A=1 B=2",
  "A=1 serve",
  "serve",
  "borg create --patterns-from /etc/shadow a::b c",
])("%j is no request for borg serve, and nobody is asked", async (request) => {
  const { code, stdout, stderr, asked } = await ask(["S,E0"], request);
  expect(asked).toEqual([]);
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: "",
    stderr: "borgserver: only borg can use this account, as in: borg list ssh://web@HOST/repos/web\n",
  });
});

describe("the answer", () => {
  test.each([0, 2, 137, 255])("that it ended with %d is the exit code", async (number) => {
    expect((await ask([`S,E${number}`], "borg serve")).code).toBe(number);
  });

  test("comes from a process that reads and writes what the client does", async () => {
    expect(await ask(["ECHO"], "borg serve", { input: "0123456789" })).toMatchObject({
      code: 0,
      stdout: "0123456789",
    });
  });

  test("that it is refused is told: to a person on stderr", async () => {
    expect(await ask(["Rwhy not."], "borg serve", { input: "x" })).toMatchObject({
      code: 1,
      stdout: "",
      stderr: "borgserver: why not.\n",
    });
  });

  test.each(["\\224", "\\206"])(
    "that it is refused is told: to a borg client by its protocol",
    async (byte) => {
      const { code, stdout, stderr } = await ask(["Rwhy not."], "borg serve", {
        first: `printf '${byte}' |`,
      });
      const told = "borgserver: why not.";
      expect(stdout.match(/[\x20-\x7e]{4,}/g)).toEqual([
        "exception_class",
        "Error",
        "exception_args",
        told,
        "exception_short",
        told,
        "exception_trace",
        "sysinfo",
      ]);
      expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    },
  );

  test("that never comes once it is served is an end that is told", async () => {
    expect(await ask(["S"], "borg serve")).toMatchObject({
      code: 1,
      stderr: "borgserver: the server ended the session.\n",
    });
  });

  test("is asked for again where the process ended before it served", async () => {
    const { code, asked } = await ask(["-", "-", "S,E0"], "borg serve");
    expect({ code, times: asked.length }).toEqual({ code: 0, times: 3 });
  });

  test("is waited for ten seconds, and then missed with one sentence", async () => {
    const began = performance.now();
    const { code, stderr } = await machine.run(
      "rm -f /run/borgserver/sessions; USER=web SSH_ORIGINAL_COMMAND='borg serve' /usr/local/lib/borgserver/session -c 'borg serve'",
    );
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "borgserver: sessions cannot be served at the moment: try again in a minute.\n",
    });
    expect(performance.now() - began).toBeGreaterThan(9000);
  });
});

test("outside of a login it says who starts sessions", async () => {
  for (const words of ["", "-c", "-c a b", "--version"])
    expect(await machine.run(`USER=web /usr/local/lib/borgserver/session ${words}`)).toMatchObject({
      code: 1,
      stderr: "borgserver: sshd alone starts sessions\n",
    });
});

test("whatever it is given, it stays within its memory", async () => {
  expect(await machine.ok(`python3 ${programs}/fuzz_session.py ${program} 1000 ${seed}`)).toBe("1000 runs\n");
});
const program = `${programs}/../../build/session.sanitized`;
const seed = Date.now() % 1_000_000;
