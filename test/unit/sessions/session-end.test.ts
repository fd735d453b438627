import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Connection } from "../../../src/sessions/connections.ts";
import {
  borgsOfThisServer,
  borgsServing,
  type Process,
  readProcess,
  readProcesses,
  sessionServedBy,
  stillRuns,
} from "../../../src/sessions/process-table.ts";
import { endConnections } from "../../../src/sessions/session-end.ts";

/** The programs here are shells under other names, whose command lines are what a title would be. */
let folder: string;
const started = new Set<ChildProcess>();

beforeAll(() => {
  folder = mkdtempSync(`${tmpdir()}/borgserver-sessions-`);
  chmodSync(folder, 0o777);
  for (const name of ["borg", "borg-resident", "sshd"]) copyFileSync("/bin/sh", `${folder}/${name}`);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  for (const name of ["log", "over"]) rmSync(`${folder}/${name}`, { force: true });
  for (const child of started) child.kill("SIGKILL");
  started.clear();
});

const isRoot = process.getuid?.() === 0;
const log = () => readFileSync(`${folder}/log`, "utf8").trim().split("\n");

/** Starts a shell that obeys lines. */
async function start(
  name: string,
  title: string,
  asRoot = false,
): Promise<{ child: ChildProcess; found: Process }> {
  const child = spawn(`${folder}/${name}`, [], {
    argv0: title,
    stdio: ["pipe", "pipe", "ignore"],
    ...(isRoot && !asRoot && { uid: 1000, gid: 1000 }),
  });
  started.add(child);
  child.stdin!.write("echo there\n");
  await once(child.stdout!, "data");
  return { child, found: readProcess(child.pid!)! };
}
const startBorg = (session: number | string) => start("borg", `borg: web [${session}]`);

/** A borg that serves a program, and does this when it is asked to end. */
async function serve(program: Process, onTerm: string): Promise<Process> {
  const { child, found } = await startBorg(program.pid);
  child.stdin!.write(`trap '${onTerm}' TERM\necho ready\nwhile :; do sleep 0.02; done\n`);
  await once(child.stdout!, "data");
  return found;
}

/** A connection as sshd makes it: a process of its own, one that runs as the account, and the program of a session. */
async function connect(onTerm: string): Promise<{ connection: Connection; program: Process }> {
  // A program ends by itself when its borg has. Nothing below sshd's two processes is anything else, as with sshd.
  const end = `while [ ! -e ${folder}/over ]; do sleep 0.02; done\nkill -0 $PPID && echo program >>${folder}/log\n`;
  writeFileSync(`${folder}/program`, `trap '${onTerm}' TERM\necho ready\n${end}`);
  writeFileSync(`${folder}/account`, `sh ${folder}/program &\nexec sleep 300\n`);
  const { child, found } = await start("sshd", "sshd");
  child.stdin!.write(`sh ${folder}/account &\nexec sleep 300\n`);
  await once(child.stdout!, "data");
  const childOf = (pid: number) => readProcesses().find(({ parent }) => parent === pid)!;
  const connection = {
    process: found,
    isLoggedIn: true,
    account: "web",
    fingerprint: "",
    started: found.started,
  };
  return { connection, program: childOf(childOf(found.pid).pid) };
}

test("a borg tells by its title whom it serves", async () => {
  const borg = await startBorg(4711);
  expect(sessionServedBy(borg.found.pid)).toBe(4711);
  for (const title of [
    "borg: web 4711",
    "borg: web [4711] x",
    "borg: web [x]",
    "borg: [4711]",
    "xborg: web [4711]",
    "borg",
  ])
    expect({ title, serves: sessionServedBy((await start("borg", title)).found.pid) }).toEqual({
      title,
      serves: null,
    });
  expect(sessionServedBy(process.pid)).toBeNull();
  expect(sessionServedBy(2 ** 22 + 1)).toBeNull(); // there is no such process
});

test("borgs are those of this name that do not run as root, and not the process that starts them", async () => {
  const borg = await startBorg(1);
  const resident = await start("borg-resident", "borg-resident");
  const pids = () => borgsOfThisServer().map(({ pid }) => pid);
  expect(pids()).toContain(borg.found.pid);
  expect(pids()).not.toContain(resident.found.pid);
  if (isRoot) expect(pids()).not.toContain((await start("borg", "borg: web [1]", true)).found.pid);
});

test("a borg serves the session of its number that was there before it", async () => {
  const session = readProcess(process.pid)!;
  const [mine, other] = [await startBorg(session.pid), await startBorg(session.pid + 1)];
  expect(other.found.pid).not.toBe(mine.found.pid);
  expect(borgsServing([session], borgsOfThisServer()).map(({ pid }) => pid)).toEqual([mine.found.pid]);
  expect(borgsServing([], borgsOfThisServer())).toEqual([]);
  // A later process of the same number is another.
  const later = { ...session, started: `${Number(mine.found.started) + 1}` };
  expect(borgsServing([later], borgsOfThisServer())).toEqual([]);
});

test("a borg is asked before the program of its session, which ends by itself, and both before sshd", async () => {
  const { connection, program } = await connect(`echo asked >>${folder}/log; exit`);
  const borg = await serve(program, `sleep 0.3; echo borg >>${folder}/log; : >${folder}/over; exit`);
  const bystander = await serve({ ...program, pid: process.pid }, "exit");
  expect(endConnections([connection])).toEqual([]);
  expect(log()).toEqual(["borg", "program"]);
  expect([connection.process, program, borg, bystander].map(stillRuns)).toEqual([false, false, false, true]);
});

test("the program of a session that no borg serves, or serves any more, is asked", async () => {
  const first = await connect(`echo asked >>${folder}/log; exit`);
  expect(endConnections([first.connection])).toEqual([]);
  expect(log()).toEqual(["asked"]);

  const { connection, program } = await connect(`echo asked >>${folder}/log; exit`);
  await serve(program, `echo borg >>${folder}/log; exit`);
  expect(endConnections([connection])).toEqual([]);
  expect(log()).toEqual(["asked", "borg", "asked"]);
});

test("what does not end in time is killed: the borg, the program, and sshd", async () => {
  const { connection, program } = await connect("");
  const borg = await serve(program, "");
  expect(endConnections([connection], 0.3)).toEqual([]);
  expect([connection.process, program, borg].map(stillRuns)).toEqual([false, false, false]);
});

test("a borg that outlives the program of its session, and its connection, is waited for", async () => {
  const { connection, program } = await connect("exit");
  const borg = await serve(program, `sleep 0.5; echo borg >>${folder}/log; exit`);
  // The client leaves meanwhile.
  spawn("sh", ["-c", `sleep 0.2; kill -9 ${connection.process.pid} ${program.parent} ${program.pid}`], {
    stdio: "ignore",
  });
  expect(endConnections([connection])).toEqual([]);
  expect(log()).toEqual(["borg"]);
  expect(stillRuns(borg)).toBe(false);
});
