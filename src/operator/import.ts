import { existsSync } from "node:fs";
import { here } from "../import/here.ts";
import { type Plan, planImport } from "../import/plan.ts";
import { readSource } from "../import/source.ts";
import { writeFiles } from "../import/write.ts";
import { refusedBySshKeygen } from "../keys/ssh-keygen.ts";
import { keyFolder } from "../paths.ts";
import { exitCode, OperatorError, type Problem, ProblemsFound } from "../problem.ts";
import { note, say } from "../report.ts";
import { plainWord } from "../role.ts";
import type { InForce } from "../server/in-force.ts";

/**
 * Takes over the keys of another server. Prints the commands that move its repositories, and beside them what was done.
 * @param source as readSource takes it
 * @param isTrial whether nothing is to be written
 * @returns the exit code
 */
export function importKeys(source: string, isTrial: boolean, { settings }: InForce): number {
  if (!existsSync(keyFolder))
    throw new OperatorError(
      `there is no ${keyFolder}`,
      "Mount the folder with the server's key files there.",
    );
  const found = readSource(source, settings.timeZone);
  const plan = planImport(found, here(settings.owner));
  const refused = refusedBySshKeygen(found.grants.map(({ key, place }) => ({ ...key, place })));
  const problems: Problem[] = [
    ...plan.problems,
    ...refused.map(({ place }) => ({
      ...place,
      text: "OpenSSH cannot read this key",
      hint: "Copy the line from the client's .pub file again.",
    })),
  ];
  if (problems.length > 0) throw new ProblemsFound(problems, exitCode.failed);
  if (!isTrial) writeFiles(keyFolder, plan.files);
  report(plan, isTrial);
  return plan.left.length > 0 ? exitCode.failed : exitCode.done;
}

/** Standard output has the commands alone, so that a shell can run them. */
function report({ files, moves, left, remarks }: Plan, isTrial: boolean): void {
  for (const { path, says, isThere } of files)
    note(
      `${keyFolder}/${path}: ${isThere ? "there already" : isTrial ? "would be written" : "written"}, ${says}`,
    );
  for (const remark of remarks) noteAt(remark);
  for (const each of left) noteAt(each, "not taken over: ");
  if (files.length === 0) note("nothing is taken over");
  for (const { from, to } of moves) say(`mv -T ${quoted(from)} ${quoted(to)}`);
}

function noteAt({ where, line, text, hint }: Problem, label = ""): void {
  note(`${label}${line === undefined ? where : `${where}:${line}`}: ${text}`, hint);
}

/** A word for a shell. */
const quoted = (word: string) => (plainWord.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
