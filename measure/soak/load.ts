import { existsSync, rmdirSync } from "node:fs";
import { Machine, programs } from "../../test/machine/machine.ts";
import { progress, type Row, row } from "./row.ts";

const clients = 300;
const strangers = 20;

/** A control group for sshd and all that it starts, in version 1 or 2 of their tree (cgroups(7)). */
const isFirstVersion = existsSync("/sys/fs/cgroup/cpuacct");
const group = `/sys/fs/cgroup/${isFirstVersion ? "cpuacct/" : ""}borgserver-soak-${process.pid}`;
/** Prints the processor time of the group, in milliseconds. */
const groupTime = isFirstVersion
  ? `awk '{ print $1 / 1e6 }' ${group}/cpuacct.usage`
  : `awk '/^usage_usec/ { print $2 / 1e3 }' ${group}/cpu.stat`;

/** What another address holds meanwhile: it tries to get more connections than it may have, and never logs in. */
const idlers = 600;

/**
 * Clients that connect in the same second, from one address, each to an account of its own; the keys of some of
 * them open nothing; another address takes all the places that it can get. Says on stderr what a login costs.
 */
export async function load(): Promise<Row> {
  progress(`${clients} clients in the same second, ${strangers} of them with a bad key`);
  const machine = await Machine.start();
  try {
    await machine.ok(
      `cd /client && for n in $(seq ${clients}); do ssh-keygen -q -t ed25519 -N '' -f c$n; cp c$n.pub /sshkeys/repos/c$n; done
       for n in $(seq ${strangers}); do cp c${clients}.pub /sshkeys/repos/c$n; done`,
    );
    if (await machine.startServer()) throw new Error(machine.log);
    await machine.pinHostKeys();
    await machine.ok(`mkdir ${group} && echo "$(pgrep -x -o sshd)" >${group}/cgroup.procs`);
    const processorTime = async () => Number(await machine.ok(groupTime));
    const holder = machine.spawn(`exec python3 ${programs}/idle.py 22 127.0.0.2 ${idlers}`);
    await new Promise((resolve) => holder.stdout!.once("data", resolve));
    const before = await processorTime();
    const started = Date.now();
    const printed = await machine.ok(`${import.meta.dirname}/connect_at_once ${clients}`);
    const seconds = (Date.now() - started) / 1000;
    const results = printed
      .trimEnd()
      .split("\n")
      .map((line) => /^(\d+) (\d+) ?(.*)$/.exec(line)!.slice(1));
    const isStranger = ([, number]: string[]) => Number(number) <= strangers;
    const lost = results.filter((result) => !isStranger(result) && result[0] !== "0");
    const refused = results.filter(
      (result) => isStranger(result) && result[2]!.includes("Permission denied"),
    );
    if (refused.length !== strangers) throw new Error(`a bad key was not refused as one:\n${printed}`);
    for (const result of lost) progress(`a login was lost: ${result.join(" ")}`);
    progress(`${clients} clients were served in ${seconds.toFixed(1)} s`);

    holder.stdin!.end();
    await machine.ok("while pgrep borg >/dev/null; do sleep 0.1; done; sleep 1");
    const each = ((await processorTime()) - before) / clients;
    progress(`processor time of a connection, its borg serve included (cgroups(7)): ${each.toFixed(0)} ms`);
    progress(
      `the login program, of which a login takes two runs (getrusage(2), 50 runs): ${await loginProgram(machine)}`,
    );
    return row(`${clients} clients in the same second`, {
      tried: results.length,
      refused: refused.length,
      loginsLost: lost.length,
    });
  } finally {
    await machine.stop();
    if (existsSync(group)) rmdirSync(group);
  }
}

/** Peak memory and processor time of the login program, called as sshd does. */
async function loginProgram(machine: Machine): Promise<string> {
  return (await machine.ok(`python3 ${import.meta.dirname}/login_cost.py c${clients}`)).trim();
}
