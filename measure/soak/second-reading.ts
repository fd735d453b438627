/**
 * Is there a key that our grammar takes and sshpk does not? `second-reading.ts TRIES [SEED]` prints a row of the table,
 * and each such key, of so many that the grammar took.
 */
import fc from "fast-check";
import { parsePublicKey, refusedBySshpk } from "../../src/keys/public-key.ts";
import { isRefusal } from "../../src/problem.ts";
import { plainKey } from "../../test/corpus/plain-keys.ts";
import { type Row, row } from "./row.ts";

/** Keys that are made at once, with a seed of their own. */
const batch = 1000;

export function secondReading(tries: number, seed: number): Row & { found: string[] } {
  const counts = { ...row(`plain keys, read by sshpk too (seed ${seed})`, {}), found: [] as string[] };
  for (let next = seed; counts.tried < tries; next++) {
    for (const line of fc.sample(plainKey, { numRuns: batch, seed: next })) {
      const key = parsePublicKey(line);
      if (isRefusal(key) && key !== refusedBySshpk) continue;
      counts.tried++;
      if (isRefusal(key)) counts.found.push(line);
    }
  }
  return { ...counts, refused: counts.found.length };
}

if (import.meta.main) console.log(secondReading(Number(process.argv[2]), Number(process.argv[3] ?? 1)));
