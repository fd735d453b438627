/** What scripts/soak runs: each part says what it tried and what was lost; the table of all is printed at the end. */

import { Machine } from "../../test/machine/machine.ts";
import { faults } from "./faults.ts";
import { load } from "./load.ts";
import { rebuilds } from "./rebuilds.ts";
import { progress, type Row } from "./row.ts";

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

progress(`fuzzing for ${seconds / 2} s`);
const rows: Row[] = [...(await fuzz()), await load(), await rebuilds(), await faults(seconds / 2)];

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
