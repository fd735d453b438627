/** What scripts/simulate runs: one night for each width of jitter, with what sessions cost as measure/RESULTS.md has it. */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { nodesFor, simulate } from "./night.ts";

const figure = (file: string, pattern: RegExp) =>
  Number(pattern.exec(readFileSync(`${import.meta.dirname}/../${file}`, "utf8"))![1]);
const cost = figure("measure/RESULTS.md", /server's processor time per session [^|]*\| ([0-9.]+) ms/) / 1000;
const megabytes = figure("measure/RESULTS.md", /memory of an idle session, [^|]*\| ([0-9.]+) MB/);
const places = figure("libexec/sshd_config.template", /^MaxStartups ([0-9]+):/m);

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "1000000" },
    cores: { type: "string", default: "8" },
    memory: { type: "string", default: "64" },
    length: { type: "string", default: "120" },
    jitter: { type: "string", default: "0,1,5,15,30,60,180" },
    seed: { type: "string", default: "1" },
  },
});
const number = (name: keyof typeof values) => {
  if (Number(values[name]) > 0) return Number(values[name]);
  throw new Error(`--${name} is a number above 0`);
};
const [clients, cores, memory, length] = [
  number("clients"),
  number("cores"),
  number("memory"),
  number("length"),
];
const seed = number("seed");

console.log(`${clients} clients start in one hour, half of them at the full hour and the others at any minute of it. A node has
${cores} cores and ${memory} GB; a session takes ${cost * 1000} ms of a core until it serves, and ${megabytes} MB for ${length} s. sshd lets ${places} wait. Seed ${seed}.

| jitter | nodes | longest wait | most sessions at once on a node |
| --- | --- | --- | --- |`);
const room = Math.floor((memory * 1000) / megabytes);
for (const minutes of values.jitter.split(",").map(Number)) {
  const night = { clients, cores, cost, places, length, room, seed, jitter: minutes * 60 };
  const nodes = nodesFor(night);
  const { longestWait, mostOpen } = simulate({ ...night, nodes });
  const jitter = minutes === 0 ? "none" : `${minutes} min`;
  console.log(`| ${jitter} | ${nodes} | ${longestWait.toFixed(1)} s | ${mostOpen} |`);
}
