import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, clientKey, clientNames } from "../corpus/clients.ts";
import { caseNames, casesFolder, expectation, recipeNames, recipesFolder } from "../corpus/corpus.ts";
import { Machine, programs, unfolded } from "./machine.ts";

const names = [...caseNames, ...recipeNames];
const isRejected = (name: string) => expectation(name).some((line) => line.startsWith("problem"));
const rejected = names.filter(isRejected);
const accepted = names.filter((name) => !isRejected(name));
const client = clientKey("client").line;

/** For hundreds of logins, on a machine that has other work too; a bound on hangs alone. */
const longest = 600_000; // ms

let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  for (const name of clientNames) await machine.write(`/client/${name}`, clientKey(name).privateFile);
  await machine.makeKey("owner");
  await machine.ok("chmod 600 /client/*");
  // Accounts of all names exist, for a key of somebody else, so that it is the index that denies a login.
  await machine.ok(`cd /sshkeys/repos && while read -r name; do cp /client/owner.pub "$name"; done`, {
    input: lines(names),
  });
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
});
afterAll(() => machine?.stop());

const lines = (texts: readonly string[]) => texts.map((text) => `${text}\n`).join("");

interface Attempt {
  account: string;
  keys: readonly Client[];
}

/** Attempts to log in, several at a time. @returns of each "account keys exit-code borg-sessions", sorted */
async function logIn(attempts: readonly Attempt[]): Promise<string[]> {
  const printed = await machine.ok(`xargs -P 4 -L 1 ${programs}/log_in`, {
    input: lines(attempts.map(({ account, keys }) => `${account} ${keys.join(" ")}`)),
  });
  return printed.trimEnd().split("\n").sort();
}

/** What logIn is to return. A session whose client hangs up says so: it is borg serve, and nothing else. */
const answers = (attempts: readonly Attempt[], isLetIn: (attempt: Attempt) => boolean) =>
  attempts
    .map((attempt) => `${attempt.account} ${attempt.keys.join(" ")} ${isLetIn(attempt) ? "0 1" : "255 0"}`)
    .sort();

/** Puts cases and recipes into /sshkeys/repos, in the place of all that is there. */
async function putInPlace(wanted: readonly string[]): Promise<void> {
  await machine.ok(
    `cd /sshkeys/repos && rm -rf ..?* .[!.]* *
     while read -r name; do
       if [ -e ${casesFolder}/"$name" ]; then cp ${casesFolder}/"$name" .; else sh -eu ${recipesFolder}/"$name" "$name" "${client}"; fi </dev/null
     done`,
    { input: lines(wanted) },
  );
}

/** The largest memory that a command's process had, in KiB. */
async function memoryOf(command: string): Promise<number> {
  return Number(await machine.ok(`python3 ${programs}/peak_memory.py ${command}`));
}

describe("with every case in the folder", () => {
  beforeAll(() => putInPlace(names));

  test("each problem is listed with its file and line, and no other", async () => {
    const expected = rejected.flatMap((name) =>
      expectation(name)
        .map((line) => /^problem(?: (\d+))?: (.*)$/.exec(line))
        .filter((match) => match !== null)
        .map(([, line, text]) => `/sshkeys/repos/${name}${line ? `:${line}` : ""}: ${text}. `),
    );
    const { code, stderr } = await machine.run("index check");
    expect(code).toBe(3);
    const printed = unfolded(stderr).trimEnd().split("\n");
    expect(printed.pop()).toBe(`borgserver: ${expected.length} problems, nothing was changed`);
    const unexpected = printed.filter((line) => !expected.some((start) => line.startsWith(start)));
    const missing = expected.filter((start) => !printed.some((line) => line.startsWith(start)));
    expect({ unexpected, missing }).toEqual({ unexpected: [], missing: [] });
    expect(stderr).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}]|[^\P{Cc}\n]/u);
  });

  test("nothing of it opens anything: the index that was good goes on serving", {
    timeout: longest,
  }, async () => {
    expect(await machine.run("index rebuild")).toMatchObject({ code: 3 });
    const attempts = rejected.map((account) => ({ account, keys: ["client", "intruder"] as const }));
    expect(await logIn(attempts)).toEqual(answers(attempts, () => false));
    expect(await machine.ssh("owner", `${rejected[0]}@127.0.0.1 borg serve`)).toMatchObject({ code: 0 });
  });

  test("a terabyte in a file costs the memory of a mebibyte", async () => {
    const largest = await memoryOf("index check");
    await putInPlace(accepted);
    expect(largest).toBeLessThan((await memoryOf("index check")) + 128 * 1024);
  });
});

describe("with only the accepted cases", () => {
  beforeAll(async () => {
    await putInPlace(accepted);
    await machine.ok("update-borgusers");
  });

  /** The expectation that this key opens the account, from here and now. */
  const opens = (account: string, key: Client) =>
    expectation(account).some((line) => {
      const [, fingerprint, from = "127.0.0.1", until = "99991231000000Z"] =
        /^opens \d+: (\S+)(?: from (\S+))?(?: until (\S+))?$/.exec(line) ?? [];
      const isHere = from.split(",").includes("127.0.0.1");
      return fingerprint === clientKey(key).fingerprint && isHere && Number.parseInt(until, 10) > 2026e10;
    });

  test("each key that is expected to opens its account with a borg session, and no hidden one does", {
    timeout: longest,
  }, async () => {
    const attempts = accepted.flatMap((account) =>
      clientNames
        .filter((key) => ["client", "intruder"].includes(key) || opens(account, key))
        .map((key) => ({ account, keys: [key] })),
    );
    expect(await logIn(attempts)).toEqual(answers(attempts, ({ account, keys }) => opens(account, keys[0]!)));
  });
});

test("whatever bytes a name has, it is accepted or reported as a problem, in plain characters", async () => {
  const bytes = Array.from({ length: 255 }, (_, index) => index + 1).filter((byte) => byte !== 0x2f);
  const isGood = (byte: number) => /[A-Za-z0-9._-]/.test(String.fromCharCode(byte));
  await putInPlace(["plain"]);
  await machine.ok(
    `cd /sshkeys/repos && while read -r octal; do cp plain "$(printf "x\\\\\${octal}x")"; done`,
    {
      input: lines(bytes.map((byte) => byte.toString(8).padStart(3, "0"))),
    },
  );
  const { code, stderr } = await machine.run("index check");
  expect(code).toBe(3);
  expect(stderr.match(/: the name contains a character that is not allowed/g)).toHaveLength(
    bytes.filter((byte) => !isGood(byte)).length,
  );
  expect(stderr).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}]|[^\P{Cc}\n]/u);
  expect(stderr.match(/only by case/g)).toHaveLength(26);
  await machine.ok("cd /sshkeys/repos && LC_ALL=C find . -name 'x[!A-Za-z0-9._-]x' -delete");
  // Each letter once: names that differ by case alone are a problem.
  await machine.ok("cd /sshkeys/repos && for name in x[[:upper:]]x; do mv $name upper-$name; done");
  expect(await machine.ok("update-borgusers")).toMatch(/^index: 66 accounts/);
  const attempts = bytes
    .filter((byte) => /[._-]/.test(String.fromCharCode(byte)))
    .map((byte) => ({ account: `x${String.fromCharCode(byte)}x`, keys: ["client"] as const }));
  expect(await logIn(attempts)).toEqual(answers(attempts, () => true));
});

describe("while a file changes, each rebuild publishes one of its contents, or says what it met,", () => {
  test.each([
    ["renamed into place", "renamed"],
    ["emptied and written again", "rewritten"],
  ])("when it is %s", async (_, way) => {
    await machine.ok("rm -rf /sshkeys/repos/* /sshkeys/repos/.[!.]*");
    const whole: string[] = [];
    for (const who of ["client", "intruder"] as const) {
      await machine.write(`/client/content-${who}`, lines([clientKey(who).line, clientKey("p256").line]));
      await machine.ok(`cp /client/content-${who} /sshkeys/repos/web && index rebuild`);
      whole.push(await machine.ok("index list"));
    }
    expect(whole[0]).not.toBe(whole[1]);
    await machine.ok("update-borgusers");
    const printed = await machine.ok(
      `python3 ${programs}/alternate.py ${way} /sshkeys/repos/web /client/content-client /client/content-intruder & writer=$!
       for round in $(seq 40); do
         if index rebuild >/dev/null 2>/client/said; then index list; else cat /client/said; fi; echo --
       done
       kill $writer`,
    );
    const rounds = printed.split("--\n").slice(0, -1);
    expect(rounds).toHaveLength(40);
    for (const round of rounds)
      if (!whole.includes(round))
        expect(round).toMatch(/^\/sshkeys\/repos\/web: there is no key in this file\./);
    // A key that stands in both contents is let in again by the next rebuild.
    await machine.ok("cp /client/content-client /sshkeys/repos/web && index rebuild");
    expect(
      await logIn([
        { account: "web", keys: ["p256"] },
        { account: "web", keys: ["intruder"] },
      ]),
    ).toEqual(["web intruder 255 0", "web p256 0 1"]);
  });
});
