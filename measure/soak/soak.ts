/** What scripts/soak runs: each part says what it tried and what was lost; the table of all is printed at the end. */

import { Machine } from "../../test/machine/machine.ts";
import { faults } from "./faults.ts";
import { load } from "./load.ts";
import { rebuilds } from "./rebuilds.ts";
import { progress, type Row } from "./row.ts";
import { secondReading } from "./second-reading.ts";

const seconds = Number(process.argv[2]) * 60;
if (!(seconds > 0)) throw new Error("the number of minutes is missing");

/** Fuzzing needs ssh-keygen, and a server to spoil: it runs in a throwaway machine as a whole. */
async function fuzz(): Promise<Row[]> {
  const machine = await Machine.start();
  try {
    const script = `${import.meta.dirname}/fuzz.ts`;
    const { code, stdout, stderr } = await machine.run(`${process.execPath} ${script} ${seconds / 2}`);
    if (code !== 0) throw new Error(`fuzzing found something:\n${stderr}`);
    return JSON.parse(stdout);
  } finally {
    await machine.stop();
  }
}

/** How many keys both readers get, which takes about 20 s. */
const plainKeys = 200_000;

function readTwice(): Row {
  progress(`${plainKeys} plain keys, read by sshpk too`);
  const { found, ...counts } = secondReading(plainKeys, Math.floor(Math.random() * 2 ** 31));
  for (const line of found) progress(`sshpk alone refuses: ${line}`);
  return counts;
}

progress(`fuzzing for ${seconds / 2} s`);
const rows: Row[] = [
  ...(await fuzz()),
  readTwice(),
  await load(),
  await rebuilds(),
  await faults(seconds / 2),
];

const heads = ["what", "cases tried", "refused", "faults injected", "logins lost", "bytes lost"];
const cells = rows.map((row) =>
  [row.what, row.tried, row.refused, row.faults, row.loginsLost, row.bytesLost].map(String),
);
const widths = heads.map((_, at) => Math.max(...[heads, ...cells].map((line) => line[at]!.length)));
for (const line of [heads, ...cells])
  console.log(
    line.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join("  "),
  );
process.exitCode = rows.some(({ loginsLost, bytesLost }) => loginsLost + bytesLost > 0) ? 1 : 0;
