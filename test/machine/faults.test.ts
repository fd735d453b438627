import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine, programs, unfolded } from "./machine.ts";

// A command is killed, or the kernel fails it, at each system call with which it changes a file of the server.
// strace(1) tells the calls of a run that nothing disturbs; then each of them in turn is the one that goes wrong.

const state = "/var/lib/borgserver";
/** The folder of the publication that is interrupted. */
const generation = `${state}/generation-2`;
let machine: Machine;

beforeAll(async () => {
  machine = await Machine.start();
  for (const key of ["a", "b"]) {
    await machine.makeKey(key);
    await machine.ok(`ssh-keygen -lf /client/${key}.pub | cut -d ' ' -f 2 >/client/${key}.fingerprint`);
  }
  await machine.ok(
    `cd /sshkeys/repos; for n in stay leave move; do cp /client/a.pub $n; done; cp /client/b.pub bystander
     printf 'guest:x:1000:100:Ren\\351e,,,:/home/guest:/bin/sh\\n+nis::::::\\n' >>/etc/passwd
     printf '+nis::::::::\\n' >>/etc/shadow`,
  );
  expect(await machine.startServer()).toBeNull();
  await machine.pinHostKeys();
  // The change that is interrupted: an account goes, one comes, one has another key, one another role.
  await machine.ok(
    `cd /sshkeys/repos; rm leave; cp /client/b.pub come; cp /client/b.pub stay; mv move ../repos-appendonly/move
     mkdir /repos/stay/data; echo 1 >/repos/stay/data/file; chown -R 1000:1000 /repos/stay/data`,
  );
  await bash("keep; foreign >/client/foreign; answers >/client/before");
});
afterAll(() => machine?.stop());

/** Runs a script of the functions of test/programs/faults.sh; to enter the machine for each would take longer than they do. */
async function bash(script: string): Promise<string> {
  await machine.write("/client/script", `. ${programs}/faults.sh\n${script}`);
  return machine.ok("bash /client/script");
}

/** Calls that change files. Not every architecture has all of them: strace passes over a name with ?. */
const changing = [
  ...["open", "openat", "write", "pwrite64", "writev", "pwritev", "copy_file_range", "sendfile", "ftruncate"],
  ...["fsync", "fdatasync", "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat"],
  ...[
    "symlink",
    "symlinkat",
    "utimensat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "chmod",
    "fchmod",
    "fchmodat",
  ],
];

/** A system call: the nth of its name that the command makes on this path. The runtime's own come when they will. */
interface Call {
  name: string;
  nth: number;
  path: string;
  /** As strace shows it. */
  text: string;
}

/** Runs a command as it should go, keeps what came of it, and tells by which calls; `others` are of other threads and programs. */
async function changesOf(command: string): Promise<{ calls: Call[]; others: string[] }> {
  const trace = await bash(`restore
    strace -f -y -s 0 -qq -e signal=none -e trace=${changing.map((name) => `?${name}`)} -o /client/trace ${command} >/dev/null 2>&1
    state >/client/wanted; answers >/client/after; cat /client/trace`);
  const lines = trace.trimEnd().split("\n");
  const first = lines[0]?.split(" ")[0];
  const counts = new Map<string, number>();
  const calls: Call[] = [];
  const others: string[] = [];
  for (const line of lines) {
    const [, thread, text = "", name = "", place, folder] =
      /^([0-9]+) +((\w+)\((?:AT_FDCWD<[^>]*>, )?(?:"([^"]*)"|[0-9]+<([^>]*)>).*)/.exec(line) ?? [];
    // A symlink's own path stands behind where it leads.
    const [, link] = /^symlink(?:at)?\(.*"([^"]*)"\)/.exec(text) ?? [];
    const path = link ?? place ?? folder ?? "";
    const nth = (counts.get(`${name} ${path}`) ?? 0) + 1;
    if (thread === first) counts.set(`${name} ${path}`, nth);
    if (!/^(\/etc\/(passwd|shadow)|\/var\/lib\/borgserver|\/repos|\/run\/borgserver|\/sshkeys)/.test(path))
      continue;
    if (/ = -1 E/.test(text) || (name.startsWith("open") && !text.includes("O_CREAT"))) continue;
    if (thread === first) calls.push({ name, nth, path, text });
    else others.push(text);
  }
  return { calls, others };
}

/**
 * All calls but some of those that build the index, which nobody reads before it is published: of each name the
 * first and the last on a file.
 */
function distinct(calls: Call[]): Call[] {
  return calls.filter((call) => {
    const same = calls.filter(({ name, path }) => name === call.name && path === call.path);
    return !call.path.startsWith(`${generation}/index.sqlite`) || call === same[0] || call === same.at(-1);
  });
}

interface Outcome {
  call: string;
  code: number;
  /** The call that went wrong. */
  at: string;
  said: string;
  /** What sshd is told: as before the change, as after it, or something else. */
  answers: string;
  damage: string;
  login: string;
  /** What the next run complains about. */
  again: string;
  /** How what the next run left differs from what an undisturbed one leaves. */
  difference: string;
}

/** Lets a command go wrong at each of these calls. `how` is what strace(1) injects. */
async function goWrong(
  command: string,
  calls: Call[],
  how: (call: Call) => string,
  serverRuns = true,
): Promise<Outcome[]> {
  const steps = calls.map((call, i) => {
    // A real login where a file took another's place just before, or is about to.
    const login = serverRuns && [call, calls[i - 1]].some((each) => each?.name.startsWith("rename"));
    return `step '${command}' ${login ? "login" : "true"} ${call.name} ${how(call)} ${call.nth} ${call.path}`;
  });
  const output = await bash(steps.join("\n"));
  const records = output.split("\x1e").slice(0, -1);
  expect(records).toHaveLength(calls.length);
  return records.map((record, i) => {
    const [code, at = "", said = "", answers = "", damage = "", login = "", again = "", difference = ""] =
      record.split("\x1f");
    return {
      call: calls[i]!.text,
      code: Number(code),
      at,
      said,
      answers,
      damage,
      login,
      again,
      difference,
    };
  });
}

/** The steps at which something is not as it has to be, each with what was seen. */
function wrong(outcomes: Outcome[], isRight: (outcome: Outcome, i: number) => boolean): Outcome[] {
  return outcomes.filter(
    (outcome, i) =>
      !isRight(outcome, i) ||
      // Logins, account files, and the next run, whatever went wrong.
      outcome.damage + outcome.login + outcome.again + outcome.difference !== "",
  );
}

/** A call without process IDs, file numbers, lengths and result. */
const shape = (call: string) => call.replace(/ += .*/, "").replace(/[0-9]+/g, "");
const isKilled = ({ call, at, code }: Outcome) => code === 137 && shape(at) === shape(call);

/** Files that take another's place at once. */
const replaced = (calls: Call[]) =>
  calls.filter(({ name }) => name.startsWith("rename")).map(({ text }) => /"([^"]*)"\) /.exec(text)?.[1]);

const publication = (calls: Call[]) =>
  calls.findIndex(({ name, path }) => name.startsWith("rename") && path === `${state}/current.new`);

/** The error that such a call may well have. */
const errorOf = ({ name }: Call) => (/sync|ch(own|mod)|unlink/.test(name) ? "EIO" : "ENOSPC");

/** Whether a command that failed says so in one line, and leaves the logins as they were before or after the publication. */
function isReported({ call, at, code, said, answers }: Outcome, before: boolean): boolean {
  if (!at.endsWith("(INJECTED)") || at.split("(")[0] !== call.split("(")[0]) return false;
  const line = unfolded(said).split("\n").at(-1)!;
  // It can do without this call.
  if (code === 0) return answers === "after" && !line.startsWith("borgserver:");
  return (
    code === 1 &&
    answers === (before ? "before" : "after") &&
    /^borgserver: .*(ENOSPC|EIO|EFAULT|full|unable to open|readonly database|I\/O error)/.test(line) &&
    /\/(etc|repos|var)\//.test(line)
  );
}

// A hundred runs and more take a while; the bound is there so that a hang ends.
const timeout = 600_000;

describe("update-borgusers", { timeout }, () => {
  let calls: Call[];
  let some: Call[];
  let others: string[];
  beforeAll(async () => {
    ({ calls, others } = await changesOf("update-borgusers"));
    some = distinct(calls);
  });

  test("publishes index and accounts by one rename, all in the one thread that is watched here", async () => {
    expect(replaced(calls)).toEqual([`${state}/current`]);
    expect(calls.filter(({ path }) => path.startsWith("/etc/"))).toEqual([]);
    expect(others).toEqual([]);
  });

  test("forces all of it to disk before it is published, and the new link after", () => {
    const steps = calls
      .filter(({ name }) => /^(fsync|rename)/.test(name))
      .map(({ name, path }) => `${name.replace(/^rename.*/, "rename")} ${path}`);
    const files = [
      "addresses.json",
      "index.sqlite",
      "passwd.cache",
      "passwd.cache.ixname",
      "passwd.cache.ixuid",
      "served.json",
    ];
    expect(steps.slice(0, files.length).sort()).toEqual(files.map((name) => `fsync ${generation}/${name}`));
    expect(steps.slice(files.length)).toEqual([
      ...[`fsync ${generation}`, `fsync ${state}`, `rename ${state}/current.new`, `fsync ${state}`],
    ]);
  });

  test("lets nobody but root look at the accounts, nor at what is unfinished", () => {
    const made = calls.filter(({ name, path }) => name.startsWith("open") && path.includes("passwd.cache"));
    expect(made).toHaveLength(3);
    for (const { text } of made) expect(text).toContain(", 0600)");
    const folders = calls.filter(({ name, path }) => name.startsWith("mkdir") && path === generation);
    expect(folders).toHaveLength(1);
    expect(folders[0]!.text).toContain(", 0700)");
  });

  test("killed at any call: logins are as before or as after, and the next run finishes the work", async () => {
    const outcomes = await goWrong("update-borgusers", some, () => "signal=SIGKILL");
    const isRight = (outcome: Outcome, i: number) =>
      isKilled(outcome) && outcome.answers === (i <= publication(some) ? "before" : "after");
    expect(outcomes.length).toBeGreaterThan(0);
    expect(wrong(outcomes, isRight)).toEqual([]);
  });

  test("failed by a full or broken disk at any call: says what and where, and the next run finishes the work", async () => {
    const outcomes = await goWrong("update-borgusers", some, (call) => `error=${errorOf(call)}`);
    expect(wrong(outcomes, (outcome, i) => isReported(outcome, i <= publication(some)))).toEqual([]);
  });

  test("begins with the very calls of index rebuild", async () => {
    const rebuild = (await changesOf("index rebuild")).calls.map(({ text }) => shape(text));
    const released = rebuild.pop();
    expect(calls.slice(0, rebuild.length).map(({ text }) => shape(text))).toEqual(rebuild);
    expect(released).toBe(shape(calls.at(-1)!.text));
  });
});

describe("a start that gives the repositories to another owner", { timeout }, () => {
  const command = "env PUID=2000 borgserver prepare";
  let calls: Call[];
  beforeAll(async () => {
    await machine.stopServer();
    // borg's self-test would take most of the time.
    await machine.ok(
      "rm /usr/local/lib/borgserver/borg; printf '#!/bin/sh\\necho borgbackup version 1.4.0 >&2\\n' >/usr/local/lib/borgserver/borg; chmod 755 /usr/local/lib/borgserver/borg",
    );
    // The index and the account files are written as above.
    calls = (await changesOf(command)).calls.filter(({ path }) => !/^\/(etc|var)\//.test(path));
  });

  test("replaces the settings, the addresses and the host keys' copies whole", () => {
    expect(replaced(calls)).toEqual([
      ...["/run/borgserver/host-keys", "/run/borgserver/settings.json", "/run/borgserver/notify.json"],
    ]);
    expect(calls.filter(({ name, path }) => name.includes("chown") && path === "/repos/stay")).toHaveLength(
      2,
    );
  });

  test("killed at any call: the next start finishes the work", async () => {
    const outcomes = await goWrong(command, calls, () => "signal=SIGKILL", false);
    expect(
      wrong(outcomes, (outcome) => isKilled(outcome) && /^(before|after)$/.test(outcome.answers)),
    ).toEqual([]);
  });

  test("failed by a full or broken disk at any call: says what, and the next start finishes the work", async () => {
    const outcomes = await goWrong(command, calls, (call) => `error=${errorOf(call)}`, false);
    const isRight = ({ code, said, answers }: Outcome) =>
      /^(before|after)$/.test(answers) &&
      (code === 0 || /^(borgserver: |\/sshkeys\/).*(ENOSPC|EIO)/m.test(said));
    expect(wrong(outcomes, isRight)).toEqual([]);
  });
});
